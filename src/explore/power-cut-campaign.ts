/**
 * Campaigns of the power-cut machine: many workloads, one after another, until so many images have been judged or one breaks
 * a promise. Failing images are kept as files, with what made them.
 *
 * Every run has a seed of its own, made of the campaign's and the run's number, so that one run can be repeated alone
 * (`only`). One thread.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type CrashBase, makeBase } from './crash-base.js';
import type { CrashModel } from './crash-model.js';
import { type CrashOperation, describeOperation } from './crash-operation.js';
import { CrashRandom } from './crash-random.js';
import { CrashRunner } from './crash-run.js';
import {
  allSequences,
  cuttingOperations,
  dressed,
  isPossibleSequence,
  randomOperations,
  SEQUENCE_BASE,
  scatteredOperations,
} from './crash-sequences.js';
import { BlockContents } from './power-cut-contents.js';
import { type CutFailure, type CutOptions, PowerCutMachine, type Recorded } from './power-cut-machine.js';

const BLOCK_BYTES = 4096;
/** The smallest journal that takes every handle, and room for the files of a workload. */
const JOURNAL_BLOCKS = 96;
const SEQUENCE_BLOCKS = 256;
const RANDOM_BLOCKS = 448;
/** Runs that share a table of contents, and so the memory of what was seen. */
const RUNS_PER_TABLE = 4;
const SEED_STEP = 7919;
/** Of the runs; the others' stores have no data checksums. */
const CHECKSUMS_SHARE = 0.3;

export interface CampaignOptions {
  seed: number;
  /** Stop when so many images have been judged. */
  images: number;
  /** Run this one alone. */
  only?: number | undefined;
  cuts?: CutOptions;
}

export interface CampaignReport {
  runs: number;
  images: number;
  /** Images that were recovered; the rest equalled one of them. */
  recovered: number;
  /** Images of cuts during a recovery, among `images`. */
  cutRecoveries: number;
  failure: CampaignFailure | null;
  /** How many different sequences there are, of a campaign of sequences. */
  sequences?: number;
}

export interface CampaignFailure {
  run: number;
  message: string;
  /** The image as a device that can be opened. */
  path: string;
}

/** Sequences are many and share their beginnings: few images of each. */
const SEQUENCE_CUTS: CutOptions = {
  bounds: { subsets: 3, torn: 2 },
  recoveries: 0.02,
  recoveryBounds: { subsets: 1, torn: 1 },
};

/**
 * Sequences of up to `length` operations until there are enough images: all shorter ones, then the longest ones in an order
 * that the seed chooses, and when all have had their turn, all of them again with other background activity.
 */
export function cutSequences(length: number, options: CampaignOptions): CampaignReport {
  const contents = new BlockContents(BLOCK_BYTES);
  const campaign = new Campaign(contents, { cuts: SEQUENCE_CUTS, ...options });
  const bases = new Bases(contents, SEQUENCE_BLOCKS, SEQUENCE_BASE);
  const runner = new CrashRunner(contents, false);
  const sequences = sequencesFor(length, bases.plain.model, new CrashRandom(options.seed));
  for (let n = 0; !campaign.isOver && (n < sequences.shorter || campaign.wantsMore); n++) {
    campaign.run((random) => {
      const operations = dressed(sequences.all[n % sequences.all.length], random);
      const recorded = runner.run(bases.draw(random), operations, random.chance(0.5));
      return { recorded, workload: describeAll(operations) };
    });
  }
  return { ...campaign.report, sequences: sequences.all.length };
}

/** All that are possible; those of `length` operations come last, and far from each other. */
function sequencesFor(length: number, start: CrashModel, random: CrashRandom) {
  const possible = (n: number) => [...allSequences(n)].filter((sequence) => isPossibleSequence(sequence, start));
  const all: CrashOperation[][] = [];
  for (let n = 1; n < length; n++) all.push(...possible(n));
  const shorter = all.length;
  all.push(...random.shuffled(possible(length)));
  return { all, shorter };
}

/** Long random workloads: of one thread, or of several that chance interleaves. */
export function cutRandomWorkloads(threads: number, operations: number, options: CampaignOptions): CampaignReport {
  return cutInterleaved(threads, operations, options, randomOperations);
}

/** Threads that truncate, and commit what others have begun. */
export function cutTruncations(threads: number, operations: number, options: CampaignOptions): CampaignReport {
  return cutInterleaved(threads, operations, options, cuttingOperations);
}

function cutInterleaved(
  threads: number,
  operations: number,
  options: CampaignOptions,
  sourceOf: (random: CrashRandom, prefix: string) => Generator<CrashOperation>,
): CampaignReport {
  return cutWorkloads(options, (runner, base, random) => {
    const sources = Array.from({ length: threads }, (_, i) => sourceOf(random, threads === 1 ? '' : `t${i}-`));
    const workloads = sources.map((source) => take(operations, source));
    const recorded =
      threads === 1
        ? runner.run(base, workloads[0], random.chance(0.5), true)
        : runner.runThreads(base, workloads, random);
    return { recorded, workload: workloads.map(describeAll).join('\n') };
  });
}

/** Workloads that turn metadata into data. */
export function cutScatteredFiles(operations: number, options: CampaignOptions): CampaignReport {
  return cutWorkloads(options, (runner, base, random) => {
    const workload = take(operations, scatteredOperations(random));
    return { recorded: runner.run(base, workload, false, true), workload: describeAll(workload) };
  });
}

function cutWorkloads(
  options: CampaignOptions,
  record: (runner: CrashRunner, base: CrashBase, random: CrashRandom) => { recorded: Recorded; workload: string },
): CampaignReport {
  let contents = new BlockContents(BLOCK_BYTES);
  const campaign = new Campaign(contents, options);
  let bases = new Bases(contents, RANDOM_BLOCKS, []);
  let runner = new CrashRunner(contents, true);
  while (campaign.wantsMore && !campaign.isOver) {
    if (campaign.report.runs % RUNS_PER_TABLE === 0) {
      contents = new BlockContents(BLOCK_BYTES);
      campaign.forget(contents);
      bases = new Bases(contents, RANDOM_BLOCKS, []);
      runner = new CrashRunner(contents, true);
    }
    campaign.run((random) => record(runner, bases.draw(random), random));
  }
  return campaign.report;
}

function take(count: number, source: Generator<CrashOperation>): CrashOperation[] {
  return Array.from({ length: count }, () => source.next().value as CrashOperation);
}

/** The stores that workloads begin with: one without data checksums, one with them. */
class Bases {
  readonly plain: CrashBase;
  private readonly checksummed: CrashBase;

  constructor(contents: BlockContents, blocks: number, operations: CrashOperation[]) {
    const shape = { blocks, journalBlocks: JOURNAL_BLOCKS, operations };
    this.plain = makeBase(contents, { ...shape, dataChecksums: false });
    this.checksummed = makeBase(contents, { ...shape, dataChecksums: true });
  }

  draw(random: CrashRandom): CrashBase {
    return random.chance(CHECKSUMS_SHARE) ? this.checksummed : this.plain;
  }
}

function describeAll(operations: readonly CrashOperation[]): string {
  return operations.map(describeOperation).join('; ');
}

/** One campaign's progress. */
export class Campaign {
  readonly report: CampaignReport = { runs: 0, images: 0, recovered: 0, cutRecoveries: 0, failure: null };
  private machine: PowerCutMachine;

  constructor(
    private contents: BlockContents,
    private readonly options: CampaignOptions,
  ) {
    this.machine = new PowerCutMachine(contents, options.cuts);
  }

  get isOver(): boolean {
    return this.report.failure !== null;
  }

  get wantsMore(): boolean {
    const { only, images } = this.options;
    return only === undefined ? this.report.images < images : this.report.runs <= only;
  }

  /** Goes on with another table of contents. */
  forget(contents: BlockContents): void {
    this.contents = contents;
    this.machine = new PowerCutMachine(contents, this.options.cuts);
  }

  /** Runs the next workload, unless another one is wanted alone, and cuts it. */
  run(record: (random: CrashRandom) => { recorded: Recorded; workload: string }): void {
    const run = this.report.runs++;
    const { seed, only } = this.options;
    if (only !== undefined && run !== only) return;
    const random = new CrashRandom(seed + run * SEED_STEP);
    const { recorded, workload } = record(random);
    const { machine, report } = this;
    const before = { images: machine.images, recovered: machine.recovered, cutRecoveries: machine.cutRecoveries };
    const failure = machine.examine(recorded, random);
    report.images += machine.images - before.images;
    report.recovered += machine.recovered - before.recovered;
    report.cutRecoveries += machine.cutRecoveries - before.cutRecoveries;
    if (failure !== null) report.failure = this.keep(run, workload, failure);
  }

  private keep(run: number, workload: string, { message, image }: CutFailure): CampaignFailure {
    const directory = join(tmpdir(), 'emmental-power-cuts');
    mkdirSync(directory, { recursive: true });
    const path = join(directory, `seed-${this.options.seed}-run-${run}.img`);
    const bytes = new Uint8Array(image.length * BLOCK_BYTES);
    for (let block = 0; block < image.length; block++) {
      bytes.set(this.contents.bytes(image[block]), block * BLOCK_BYTES);
    }
    writeFileSync(path, bytes);
    writeFileSync(`${path}.txt`, `${message}\n\n${workload}\n`);
    return { run, message: `${message}\nworkload: ${workload}`, path };
  }
}
