/**
 * What a comparison says: medians and spread of each scheme's runs, and the differences in words.
 *
 * The first scheme is held against each of the others. Two figures differ when the ranges of their runs do not overlap; what
 * lies within the spread is called no difference.
 */

import type { DirectionResult, RunResult } from '../workloads/result.js';
import { formatCount, formatLatency, iopsOf } from '../workloads/summary.js';

export interface Spread {
  median: number;
  min: number;
  max: number;
}

/** Latencies in ns. A direction that did nothing is null. */
export interface DirectionSummary {
  iops: Spread;
  p50: Spread;
  p99: Spread;
}

export interface SchemeSummary {
  scheme: string;
  runs: number;
  read: DirectionSummary | null;
  write: DirectionSummary | null;
  /** Reads plus writes per second. */
  total: Spread;
}

export function spreadOf(values: number[]): Spread {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const median = sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
  return { median, min: sorted[0], max: sorted[sorted.length - 1] };
}

/** One run's figures of a direction, its jobs together: rates add up, of latencies the worst job counts. */
function figuresOf(directions: DirectionResult[]): { iops: number; p50: number; p99: number } {
  const active = directions.filter((direction) => direction.latency.count > 0);
  return {
    iops: active.reduce((sum, direction) => sum + iopsOf(direction), 0),
    p50: Math.max(0, ...active.map(({ latency }) => latency.percentile(50))),
    p99: Math.max(0, ...active.map(({ latency }) => latency.percentile(99))),
  };
}

export function summarise(scheme: string, runs: RunResult[]): SchemeSummary {
  const own = runs.filter((run) => run.scheme === scheme);
  const direction = (name: 'read' | 'write'): DirectionSummary | null => {
    const wanted = own.some((run) => run.jobs.some((job) => job[name].latency.count > 0));
    if (!wanted) return null;
    const figures = own.map((run) => figuresOf(run.jobs.map((job) => job[name])));
    return {
      iops: spreadOf(figures.map(({ iops }) => iops)),
      p50: spreadOf(figures.map(({ p50 }) => p50)),
      p99: spreadOf(figures.map(({ p99 }) => p99)),
    };
  };
  const totals = own.map((run) => figuresOf(run.jobs.flatMap((job) => [job.read, job.write])).iops);
  return { scheme, runs: own.length, read: direction('read'), write: direction('write'), total: spreadOf(totals) };
}

/** 54×, 1.07×, 0.42×. */
export function formatRatio(ratio: number): string {
  if (!Number.isFinite(ratio)) return '∞×';
  return `${ratio >= 10 ? ratio.toFixed(0) : ratio.toFixed(2)}×`;
}

function differ(a: Spread, b: Spread): boolean {
  return a.min > b.max || a.max < b.min;
}

/** `reads are 54× those under i-rwsem (534k/s against 9.87k/s)`. */
function compareRates(name: string, a: Spread, b: Spread, other: string): string {
  const rates = `(${formatCount(a.median)}/s against ${formatCount(b.median)}/s)`;
  if (!differ(a, b)) return `${name} are within the spread of those under ${other} ${rates}`;
  return `${name} are ${formatRatio(a.median / b.median)} those under ${other} ${rates}`;
}

export interface SchemeFacts {
  name: string;
  readAtomicity: string;
  /** What goes wrong under it; null where it is safe. */
  breaks: string | null;
}

/** The lines below the table. */
export function verdict(summaries: SchemeSummary[], policy: string, facts: readonly SchemeFacts[]): string[] {
  const [first, ...others] = summaries;
  if (others.length === 0) return [];
  return others.flatMap((other) => {
    const parts: string[] = [];
    for (const name of ['read', 'write'] as const) {
      const [a, b] = [first[name], other[name]];
      if (a !== null && b !== null) parts.push(compareRates(`${name}s`, a.iops, b.iops, other.scheme));
    }
    if (parts.length === 2) parts.push(`both together ${formatRatio(first.total.median / other.total.median)}`);
    const line = `Verdict: under ${first.scheme}, ${parts.join('; ')}. The rwsem policy was '${policy}'.`;
    return [line, ...losses(first, other), ...priceOf(first, other, facts)];
  });
}

/** Where the first scheme is the worse one. */
function losses(first: SchemeSummary, other: SchemeSummary): string[] {
  const lost: string[] = [];
  for (const name of ['read', 'write'] as const) {
    const [a, b] = [first[name], other[name]];
    if (a === null || b === null) continue;
    if (differ(a.iops, b.iops) && a.iops.median < b.iops.median) {
      lost.push(`${name}s (${formatRatio(a.iops.median / b.iops.median)})`);
    }
    if (differ(a.p99, b.p99) && a.p99.median > b.p99.median) {
      lost.push(`${name} p99 (${formatLatency(a.p99.median)} against ${formatLatency(b.p99.median)})`);
    }
  }
  return lost.length === 0
    ? [`${first.scheme} loses nowhere in this job.`]
    : [`${first.scheme} loses on ${lost.join(' and ')}.`];
}

/** What the schemes promise differs too; a figure without that is half the truth. */
function priceOf(first: SchemeSummary, other: SchemeSummary, facts: readonly SchemeFacts[]): string[] {
  const [a, b] = [first, other].map(({ scheme }) => facts.find((fact) => fact.name === scheme)!);
  const lines: string[] = [];
  const atomic = [a, b].find(({ readAtomicity }) => readAtomicity === 'request');
  const torn = [a, b].find(({ readAtomicity }) => readAtomicity === 'none');
  if (atomic !== undefined && torn !== undefined) {
    lines.push(
      `${atomic.name} buys reads that are atomic against writes; under ${torn.name} a read may see half of a write.`,
    );
  }
  for (const { name, breaks } of [a, b]) {
    if (breaks !== null) lines.push(`${name} is not safe: ${breaks}.`);
  }
  return lines;
}
