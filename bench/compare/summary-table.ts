/** A plan in a line, and the summaries of its schemes in rows: the same on a terminal and on a page. */
import { formatSize } from '../../src/cli/size.js';
import { asksForHugePages, HUGE_FROM_BYTES } from '../../src/device/huge-pages.js';
import { type Plan, totalBytes } from '../workloads/plan.js';
import { formatCount, formatLatency } from '../workloads/summary.js';
import type { DirectionSummary, SchemeSummary, Spread } from './verdict.js';

/** What is run. */
export function describe({ jobs, run }: Plan): string {
  const groups = jobs.map((job) => `${job.numjobs} × ${job.rw} ${formatSize(job.bs)}`).join(' and ');
  const storms = (['punch', 'truncate', 'willneed'] as const).filter((kind) => run[kind] > 0);
  const disturbed = storms.map((kind) => `, ${kind} ${run[kind]}/s`).join('');
  const isHuge = run.cache >= HUGE_FROM_BYTES && asksForHugePages();
  const file = `${formatSize(totalBytes(jobs))} of files, ${formatSize(run.cache)} of cache${isHuge ? ' in huge pages' : ''}`;
  return `${groups}${disturbed}; ${file}; rwsem policy ${run.policy}`;
}

export const SUMMARY_HEAD = [
  'scheme',
  'runs',
  'reads/s (min–max)',
  'p50',
  'p99',
  'writes/s (min–max)',
  'p50',
  'p99',
  'reads+writes/s',
];

export function summaryRows(summaries: SchemeSummary[]): string[][] {
  return summaries.map(({ scheme, runs, read, write, total }) => [
    scheme,
    String(runs),
    ...directionCells(read),
    ...directionCells(write),
    formatCount(total.median),
  ]);
}

function directionCells(direction: DirectionSummary | null): string[] {
  if (direction === null) return ['–', '–', '–'];
  return [rangeText(direction.iops), formatLatency(direction.p50.median), formatLatency(direction.p99.median)];
}

function rangeText({ median, min, max }: Spread): string {
  return `${formatCount(median)} (${formatCount(min)}–${formatCount(max)})`;
}
