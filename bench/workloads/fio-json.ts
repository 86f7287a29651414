/**
 * Results in the shape of fio's JSON, so that what reads fio's reads ours. Beside fio's fields: `scheme`, `policy` and `huge_pages` on each
 * job, `iops_log` (operations in each second), and what the storms did.
 */
import { readFileSync } from 'node:fs';
import { type Histogram, PERCENTILES } from './histogram.js';
import type { Plan } from './plan.js';
import type { DirectionResult, JobResult, RunResult } from './result.js';

type Json = Record<string, unknown>;

/** fio's own number of "illegal byte sequence", with which it ends a job that failed to verify. */
const EILSEQ = 84;

export function packageVersion(): string {
  const url = new URL('../../../package.json', import.meta.url);
  return (JSON.parse(readFileSync(url, 'utf8')) as { version: string }).version;
}

export function fioDocument(plan: Plan, runs: RunResult[], withBins: boolean, device: string): Json {
  const now = new Date();
  return {
    'emmental version': packageVersion(),
    timestamp: Math.floor(now.getTime() / 1000),
    timestamp_ms: now.getTime(),
    time: now.toString(),
    'global options': optionsAsText({
      ...plan.given,
      scheme: plan.run.scheme.join(','),
      policy: plan.run.policy,
      device,
    }),
    jobs: runs.flatMap((run, index) => run.jobs.map((job) => jobDocument(job, run, index, withBins))),
    storms: runs.flatMap((run, index) =>
      run.storms.map(({ kind, total, perSecond, latency }) => ({
        kind,
        scheme: run.scheme,
        run: index,
        total_ops: total,
        ops_per_second: perSecond,
        clat_ns: latencyDocument(latency, withBins),
      })),
    ),
  };
}

function jobDocument(result: JobResult, run: RunResult, index: number, withBins: boolean): Json {
  const { job } = result;
  return {
    jobname: job.name,
    groupid: 0,
    error: result.verifyErrors > 0 ? EILSEQ : 0,
    elapsed: Math.ceil((job.ramp_time * 1000 + result.runtimeMs) / 1000),
    scheme: run.scheme,
    policy: run.policy,
    huge_pages: run.stats.hugePages,
    run: index,
    'job options': optionsAsText(job.given),
    read: directionDocument(result.read, withBins),
    write: directionDocument(result.write, withBins),
    job_runtime: Math.round(result.runtimeMs * job.numjobs),
    verify_errors: result.verifyErrors,
  };
}

function directionDocument(direction: DirectionResult, withBins: boolean): Json {
  const { latency, bytes, shortIos, runtimeMs, series } = direction;
  const perSecond = (value: number) => (runtimeMs > 0 ? (value / runtimeMs) * 1000 : 0);
  const bytesPerSecond = Math.round(perSecond(bytes));
  const clat = latencyDocument(latency, withBins);
  const { min, max, mean, stddev } = spreadOf(series);
  return {
    io_bytes: bytes,
    io_kbytes: Math.floor(bytes / 1024),
    bw_bytes: bytesPerSecond,
    bw: Math.floor(bytesPerSecond / 1024),
    iops: perSecond(latency.count),
    runtime: Math.round(runtimeMs),
    total_ios: latency.count,
    short_ios: shortIos,
    drop_ios: 0,
    slat_ns: { min: 0, max: 0, mean: 0, stddev: 0, N: 0 },
    clat_ns: clat,
    lat_ns: { min: clat.min, max: clat.max, mean: clat.mean, stddev: clat.stddev, N: clat.N },
    iops_min: min,
    iops_max: max,
    iops_mean: mean,
    iops_stddev: stddev,
    iops_samples: series.length,
    iops_log: series,
  };
}

function latencyDocument(latency: Histogram, withBins: boolean): Json {
  const figures: Json = {
    min: latency.min,
    max: latency.max,
    mean: latency.mean,
    stddev: latency.stddev,
    N: latency.count,
  };
  if (latency.count === 0) return figures;
  figures.percentile = Object.fromEntries(
    PERCENTILES.map((percent) => [percent.toFixed(6), Math.round(latency.percentile(percent))]),
  );
  if (withBins) figures.bins = Object.fromEntries(latency.bins().map(([value, count]) => [Math.round(value), count]));
  return figures;
}

function spreadOf(series: number[]): { min: number; max: number; mean: number; stddev: number } {
  if (series.length === 0) return { min: 0, max: 0, mean: 0, stddev: 0 };
  const mean = series.reduce((sum, value) => sum + value, 0) / series.length;
  const squares = series.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  const stddev = series.length > 1 ? Math.sqrt(squares / (series.length - 1)) : 0;
  return { min: Math.min(...series), max: Math.max(...series), mean, stddev };
}

/** As fio does, every value is text. */
function optionsAsText(options: Record<string, unknown>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(options)
      .filter(([, value]) => value !== '')
      .map(([name, value]) => [name, optionAsText(value)]),
  );
}

function optionAsText(value: unknown): string {
  if (typeof value === 'boolean') return value ? '1' : '0';
  if (Array.isArray(value)) return value.join(',');
  if (typeof value === 'object' && value !== null) {
    const { kind, theta } = value as { kind: string; theta?: number };
    return theta === undefined ? kind : `${kind}:${theta}`;
  }
  return String(value);
}
