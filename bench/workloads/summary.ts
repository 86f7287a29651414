/** Results for people: numbers with three digits and a unit, and a table per run. */
import { formatTable } from '../../src/cli/print.js';
import { formatSize } from '../../src/cli/size.js';
import type { DirectionResult, RunResult } from './result.js';

/** 534k, 9.87k, 68. */
export function formatCount(value: number): string {
  if (value < 1000) return value >= 100 || Number.isInteger(value) ? value.toFixed(0) : value.toFixed(1);
  const [scaled, unit] = value >= 1e6 ? [value / 1e6, 'M'] : [value / 1e3, 'k'];
  return `${scaled.toFixed(scaled >= 100 ? 0 : scaled >= 10 ? 1 : 2)}${unit}`;
}

/** 820 ns, 6.82 µs, 16.1 ms. */
export function formatLatency(ns: number): string {
  const [scaled, unit] =
    ns >= 1e9 ? [ns / 1e9, 's'] : ns >= 1e6 ? [ns / 1e6, 'ms'] : ns >= 1e3 ? [ns / 1e3, 'µs'] : [ns, 'ns'];
  if (unit === 'ns') return `${Math.round(scaled)} ns`;
  return `${scaled.toFixed(scaled >= 100 ? 0 : scaled >= 10 ? 1 : 2)} ${unit}`;
}

export function iopsOf({ latency, runtimeMs }: DirectionResult): number {
  return runtimeMs > 0 ? (latency.count / runtimeMs) * 1000 : 0;
}

const HEAD = ['job', 'I/O', 'per second', 'bandwidth', 'mean', 'p50', 'p99', 'p99.9', 'max'];

export function runTable(run: RunResult): string {
  const rows = run.jobs.flatMap(({ job, read, write }) =>
    (
      [
        ['read', read],
        ['write', write],
      ] as const
    )
      .filter(([, direction]) => direction.latency.count > 0)
      .map(([name, direction]) => [`${job.name} (${job.numjobs})`, name, ...directionCells(direction)]),
  );
  return formatTable(HEAD, rows, HEAD.slice(2));
}

function directionCells(direction: DirectionResult): string[] {
  const { latency, bytes, runtimeMs } = direction;
  return [
    formatCount(iopsOf(direction)),
    `${formatSize((bytes / runtimeMs) * 1000)}/s`,
    formatLatency(latency.mean),
    formatLatency(latency.percentile(50)),
    formatLatency(latency.percentile(99)),
    formatLatency(latency.percentile(99.9)),
    formatLatency(latency.max),
  ];
}

export function stormLines(run: RunResult): string[] {
  return run.storms.map(
    ({ kind, total, perSecond }) => `${kind}: ${total} in all, ${formatCount(perSecond)} per second`,
  );
}
