/**
 * The power-cut machine at work: workloads on a small store, cut at every write; each image is opened, recovered, read, closed,
 * checked, and held against what was promised when the power went. Some recoveries are cut in turn.
 *
 * EMMENTAL_CUT_IMAGES is how many images there are in all; with more, there are more sequences of three operations, and then all
 * sequences again with more going on between their operations. EMMENTAL_CUT_SEED and EMMENTAL_CUT_RUN repeat one run. A failing image stays in the temporary directory.
 */
import { execFileSync } from 'node:child_process';
import { afterAll, describe, expect, it } from 'vitest';
import {
  type CampaignReport,
  cutRandomWorkloads,
  cutScatteredFiles,
  cutSequences,
  cutTruncations,
} from '#dist/src/explore/power-cut-campaign.js';

const IMAGES = Number(process.env.EMMENTAL_CUT_IMAGES ?? 20_000);
const SEED = Number(process.env.EMMENTAL_CUT_SEED ?? Math.floor(Math.random() * 2 ** 31));
const RUN = process.env.EMMENTAL_CUT_RUN;
/** A thousand images take a few seconds. */
const TIMEOUT_MS = 120_000 + IMAGES * 20;

const options = (images: number) => ({
  seed: SEED,
  images: Math.ceil(images),
  only: RUN === undefined ? undefined : Number(RUN),
});
const reports: CampaignReport[] = [];
const judged = (): number => reports.reduce((total, { images }) => total + images, 0);

function expectKept(report: CampaignReport, name: string): void {
  reports.push(report);
  if (report.failure === null) return;
  const { run, message, path } = report.failure;
  const command = `EMMENTAL_CUT_SEED=${SEED} EMMENTAL_CUT_RUN=${run} npx vitest run test/crash -t '${name}'`;
  expect.fail(`seed ${SEED}, run ${run}: ${message}\nimage: ${path}\nagain: ${command}`);
}

function sequences(): string {
  const report = reports.find((one) => one.sequences !== undefined);
  if (report?.sequences === undefined) return 'no sequences';
  const { runs, sequences: all } = report;
  return `${Math.min(runs, all).toLocaleString('en')} of all ${all.toLocaleString('en')} sequences`;
}

describe('after a power cut', () => {
  afterAll(() => {
    const sum = (key: 'runs' | 'images' | 'recovered' | 'cutRecoveries') =>
      reports.reduce((total, report) => total + report[key], 0).toLocaleString('en');
    console.log(
      `power cuts, seed ${SEED}: ${sum('images')} images of ${sum('runs')} runs judged, ${sum('recovered')} of them ` +
        `different and recovered, ${sum('cutRecoveries')} of cuts during a recovery; ${sequences()}`,
    );
  });

  it(
    'long random workloads keep their promises',
    () => expectKept(cutRandomWorkloads(1, 300, options(0.15 * IMAGES)), 'long random'),
    TIMEOUT_MS,
  );

  it(
    'files whose metadata becomes data keep their promises',
    () => expectKept(cutScatteredFiles(150, options(0.1 * IMAGES)), 'files whose metadata'),
    TIMEOUT_MS,
  );

  it(
    'threads that sync at the same time keep their promises',
    () => expectKept(cutRandomWorkloads(4, 40, options(0.15 * IMAGES)), 'threads'),
    TIMEOUT_MS,
  );

  it(
    'truncations that others commit half-way keep their promises',
    () => expectKept(cutTruncations(3, 30, options(0.05 * IMAGES)), 'truncations'),
    TIMEOUT_MS,
  );

  // The last, since it comes in small runs and makes up what is missing.
  it(
    'every sequence of up to three operations keeps its promises',
    () => expectKept(cutSequences(3, options(IMAGES - judged())), 'every sequence'),
    TIMEOUT_MS,
  );

  it('planted bugs are found: each can still be planted', () => {
    const script = new URL('../../scripts/planted-bugs.mjs', import.meta.url).pathname;
    expect(execFileSync(process.execPath, [script, '--dry'], { encoding: 'utf8' })).toMatch(/^\d\d bugs/);
  });

  it.runIf(RUN === undefined)('that were as many as they should be', () => {
    expect(judged()).toBeGreaterThanOrEqual(IMAGES);
  });
});
