/** `--report=FILE.html`: what a benchmark found, as a page. Makes the runs that the page needs beyond those of the verdict. */
import { accessSync, constants, statSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { UsageError } from '../../src/cli/usage-error.js';
import type { DurationBins } from '../../src/index.js';
import { describe, SUMMARY_HEAD, summaryRows } from '../compare/summary-table.js';
import type { SchemeSummary } from '../compare/verdict.js';
import { fioDocument } from '../workloads/fio-json.js';
import type { Histogram } from '../workloads/histogram.js';
import type { RunResult } from '../workloads/result.js';
import type { RunContext } from '../workloads/run-context.js';
import { formatCount, formatLatency, iopsOf } from '../workloads/summary.js';
import { type Measured, sectionsOf } from './charts.js';
import { describeEnvironment } from './environment.js';
import { type LockRun, runOverThreads, runWithLockTimes, type Throughput, threadsOf } from './extra-runs.js';
import { type FigureTable, renderPage } from './page.js';

export interface Outcome {
  runs: RunResult[];
  summaries: SchemeSummary[];
  verdict: string[];
  isTemporary: boolean;
}

/** Fails before anything is measured where the page could not be written in the end. */
export function checkReportPath(path: string): void {
  if (path === '') return;
  try {
    accessSync(dirname(path), constants.W_OK);
    if (statSync(path, { throwIfNoEntry: false })?.isDirectory() === true) throw new Error('it is a directory');
  } catch (error) {
    throw new UsageError(`the report '${path}' cannot be written: ${(error as Error).message}`);
  }
}

export async function writeReport(context: RunContext, outcome: Outcome): Promise<void> {
  const { plan, device, monitor } = context;
  const { runs, summaries, isTemporary } = outcome;
  if (plan.run.report === '') return;
  const measured: Measured = {
    schemes: plan.run.scheme,
    runs,
    overThreads: new Map<string, Throughput[]>(),
    lockRuns: new Map<string, LockRun>(),
  };
  for (const scheme of plan.run.scheme) {
    const { read, write } = summaries.find((summary) => summary.scheme === scheme)!;
    const whole = {
      threads: threadsOf(plan.jobs),
      readsPerSecond: read?.iops.median ?? 0,
      writesPerSecond: write?.iops.median ?? 0,
    };
    const others = (await runOverThreads(context, scheme)).filter(({ threads }) => threads !== whole.threads);
    measured.overThreads.set(
      scheme,
      [...others, whole].sort((a, b) => a.threads - b.threads),
    );
    measured.lockRuns.set(scheme, await runWithLockTimes(context, scheme));
  }
  monitor.setPrefix('');
  const environment = describeEnvironment(plan, runs, device, isTemporary);
  const page = renderPage({
    title: plan.run.scheme.length > 1 ? `${listed(plan.run.scheme)} compared` : `A benchmark of ${plan.run.scheme[0]}`,
    subtitle: `${describe(plan)}.`,
    verdict: outcome.verdict.map((line) => line.replace(/^Verdict: u/, 'U')),
    schemes: plan.run.scheme,
    summary: {
      caption: 'Medians of the runs (lowest–highest)',
      head: SUMMARY_HEAD,
      names: 1,
      rows: summaryRows(summaries),
    },
    sections: sectionsOf(measured),
    environment,
    tables: [runsTable(runs), lockTable(measured)].filter(({ rows }) => rows.length > 0),
    raw: {
      ...fioDocument(plan, runs, true, isTemporary ? 'a temporary sparse image' : device),
      environment: Object.fromEntries(environment),
      comparison: { policy: plan.run.policy, schemes: summaries, verdict: outcome.verdict },
      intervals: runs.map(({ scheme, intervals }, run) => ({ scheme, run, intervals })),
      over_threads: Object.fromEntries(measured.overThreads),
      lock_times: Object.fromEntries(measured.lockRuns),
    },
  });
  writeFileSync(plan.run.report, page);
  monitor.say(`report: ${plan.run.report}`);
}

function listed(names: readonly string[]): string {
  return names.length < 2 ? names.join() : `${names.slice(0, -1).join(', ')} and ${names.at(-1)}`;
}

const PERCENTS = [50, 90, 99, 99.9, 99.99];

function latencyCells(latency: Histogram): string[] {
  return [latency.mean, ...PERCENTS.map((percent) => latency.percentile(percent)), latency.max].map(formatLatency);
}

function runsTable(runs: readonly RunResult[]): FigureTable {
  const rows = runs.flatMap((run, index) => {
    const name = [`${index + 1}`, run.scheme];
    const jobs = run.jobs.flatMap(({ job, read, write }) =>
      [
        { kind: 'read', direction: read },
        { kind: 'write', direction: write },
      ]
        .filter(({ direction }) => direction.latency.count > 0)
        .map(({ kind, direction }) => [
          ...name,
          kind,
          String(job.numjobs),
          formatCount(direction.latency.count),
          formatCount(iopsOf(direction)),
          ...latencyCells(direction.latency),
        ]),
    );
    const storms = run.storms
      .filter(({ latency }) => latency.count > 0)
      .map(({ kind, total, perSecond, latency }) => [
        ...name,
        kind,
        '1',
        formatCount(total),
        formatCount(perSecond),
        ...latencyCells(latency),
      ]);
    return [...jobs, ...storms];
  });
  const head = [
    'run',
    'scheme',
    'operation',
    'threads',
    'count',
    'per second',
    'mean',
    ...PERCENTS.map((p) => `p${p}`),
    'max',
  ];
  return { caption: 'Each run, in the order in which they were made', head, names: 3, rows };
}

function percentileOf(bins: DurationBins, count: number, percent: number): number {
  let left = Math.max(1, Math.ceil((count * percent) / 100));
  for (const [ns, n] of bins) {
    left -= n;
    if (left <= 0) return ns;
  }
  return 0;
}

function lockTable({ schemes, lockRuns }: Measured): FigureTable {
  const rows = schemes.flatMap((scheme) =>
    Object.entries(lockRuns.get(scheme)?.locks ?? {}).flatMap(([lock, times]) =>
      (['wait', 'hold'] as const).flatMap((kind) => {
        const bins = times[kind];
        const count = bins.reduce((sum, [, n]) => sum + n, 0);
        if (count === 0) return [];
        const at = (percent: number) => formatLatency(percentileOf(bins, count, percent));
        return [[scheme, lock, kind, formatCount(count), at(50), at(99), at(99.9), at(100)]];
      }),
    ),
  );
  const head = ['scheme', 'lock', '', 'count', 'p50', 'p99', 'p99.9', 'longest'];
  return { caption: 'Locks, in runs of their own', head, names: 3, rows };
}
