/** The plots of a report, as data: what the page's script draws and reads out, with every text ready. */
import type { DurationBins } from '../../src/index.js';
import type { RunResult } from '../workloads/result.js';
import type { Interval } from '../workloads/timeline.js';
import { type Axis, formatValue, percentilesAxis, secondsAxis, threadsAxis, type Unit, valueAxis } from './axis.js';
import { ninesOfPoint, percentileCurve, percentText } from './curve.js';
import { type LockRun, type Throughput, threadsOf } from './extra-runs.js';

export interface Line {
  /** The scheme. */
  name: string;
  /** Which of the colours and dashes, the same for a scheme in all plots. */
  style: number;
  values: (number | null)[];
  /** What stands in the read-out for each value. */
  texts: string[];
}

/** A row of bars above a plot: how often something happened. */
export interface Marks {
  label: string;
  style: number;
  /** Between 0 and 1, at each place on the x axis. */
  heights: number[];
}

export interface Chart {
  title: string;
  x: Axis;
  y: Axis;
  /** Where the values stand on the x axis, and how that is read out. */
  places: number[];
  placeTexts: string[];
  lines: Line[];
  marks: Marks[];
}

export interface Section {
  id: string;
  title: string;
  /** What is measured, in a sentence or two. */
  text: string;
  charts: Chart[];
}

export interface Measured {
  schemes: string[];
  runs: RunResult[];
  overThreads: Map<string, Throughput[]>;
  lockRuns: Map<string, LockRun>;
}

const OPERATION_NAMES = {
  read: 'Reads',
  write: 'Writes',
  punch: 'Punches',
  truncate: 'Truncations',
  willneed: 'WILLNEED',
};
type OperationName = keyof typeof OPERATION_NAMES;
const SCHEME_LOCKS = ['i_rwsem', 'invalidate_lock'];

export function sectionsOf(measured: Measured): Section[] {
  const sections = [
    overThreads(measured),
    overTime(measured),
    latencies(measured),
    locks(measured),
    hitRates(measured),
  ];
  return sections.filter(({ charts }) => charts.length > 0);
}

function overThreads({ schemes, runs, overThreads: found }: Measured): Section {
  const counts = (found.get(schemes[0]) ?? []).map(({ threads }) => threads);
  const x = threadsAxis(counts);
  const chart = (title: string, key: 'readsPerSecond' | 'writesPerSecond'): Chart[] => {
    const values = schemes.map((scheme) => found.get(scheme)!.map((point) => point[key]));
    if (values.flat().every((value) => value === 0)) return [];
    return [
      {
        title,
        x,
        y: valueAxis('per second', values.flat(), 'rate'),
        places: counts.map((_count, at) => at),
        placeTexts: counts.map((count) => `${count} threads`),
        lines: schemes.map((name, style) => lineOf(name, style, values[style], 'rate')),
        marks: [],
      },
    ];
  };
  const charts = counts.length < 2 ? [] : [...chart('Reads', 'readsPerSecond'), ...chart('Writes', 'writesPerSecond')];
  const whole = threadsOf(runs[0].jobs.map(({ job }) => job));
  const text = `All threads of the jobs together. The point of ${whole} threads is the median of the runs above; the others come from one run of a second each.`;
  return { id: 'threads', title: 'Throughput over threads', text, charts };
}

function overTime({ schemes, runs }: Measured): Section {
  const chosen = schemes.map((scheme) => medianRun(runs.filter((run) => run.scheme === scheme)));
  const lengths = chosen.map(({ intervals }) => intervals.length);
  const seconds = Math.max(...chosen.map(({ intervals }) => (intervals.at(-1)?.endMs ?? 0) / 1000));
  const longest = chosen[lengths.indexOf(Math.max(...lengths))].intervals;
  const chart = (title: string, key: 'reads' | 'writes'): Chart[] => {
    const rates = chosen.map(({ intervals }) => onGrid(longest, intervals, (interval) => rateOf(interval, key)));
    const known = rates.flat().filter((value) => value !== null);
    if (longest.length === 0 || known.every((value) => value === 0)) return [];
    const y = valueAxis('per second', known, 'rate');
    return [
      {
        title,
        x: secondsAxis(seconds),
        y,
        ...placesOf(longest),
        lines: schemes.map((name, style) => lineOf(name, style, rates[style], 'rate')),
        marks: chosen.flatMap((run, style) => marksOf(run, style, longest)),
      },
    ];
  };
  const hasStorms = chosen.some(({ storms }) => storms.some(({ kind }) => kind !== 'willneed'));
  const text = `Tenths of a second of one run under each scheme, the one nearest to its median. ${
    hasStorms ? 'The bars above say when holes were punched and tails cut off: the higher, the more of them.' : ''
  }`;
  return {
    id: 'time',
    title: 'Throughput over time',
    text: text.trim(),
    charts: [...chart('Reads', 'reads'), ...chart('Writes', 'writes')],
  };
}

function latencies({ schemes, runs }: Measured): Section {
  const charts = (Object.keys(OPERATION_NAMES) as OperationName[]).flatMap((operation) => {
    const bins = schemes.map((scheme) =>
      latencyBins(
        runs.filter((run) => run.scheme === scheme),
        operation,
      ),
    );
    return percentiles(OPERATION_NAMES[operation], schemes, bins);
  });
  const text =
    'How long an operation took, all runs together: a point at 99% says that one in a hundred took longer. The shorter, the better.';
  return { id: 'latency', title: 'Latency', text, charts };
}

function locks({ schemes, lockRuns }: Measured): Section {
  const charts = SCHEME_LOCKS.flatMap((lock) =>
    (['wait', 'hold'] as const).flatMap((kind) => {
      const bins = schemes.map((scheme) => lockRuns.get(scheme)?.locks[lock]?.[kind] ?? []);
      return percentiles(`${kind === 'wait' ? 'Waits for' : 'Holds of'} ${lock}`, schemes, bins);
    }),
  );
  const text =
    'From a run of a second or less under each scheme, in which every lock looks at the clock. Waits are those of who did not get the lock at once; a scheme without a line did not use the lock, or never waited.';
  return { id: 'locks', title: 'Waiting for locks, and holding them', text, charts };
}

function hitRates({ schemes, runs }: Measured): Section {
  const chosen = schemes.map((scheme) => medianRun(runs.filter((run) => run.scheme === scheme)));
  const longest = chosen.map(({ intervals }) => intervals).sort((a, b) => b.length - a.length)[0];
  const chart = (title: string, hits: 'hits' | 'writeHits', misses: 'misses' | 'writeMisses'): Chart[] => {
    const shares = chosen.map(({ intervals }) =>
      onGrid(longest, intervals, (interval) => {
        const all = interval[hits] + interval[misses];
        return all === 0 ? null : (interval[hits] / all) * 100;
      }),
    );
    if (longest.length === 0 || shares.flat().every((share) => share === null)) return [];
    return [
      {
        title,
        x: secondsAxis(longest[longest.length - 1].endMs / 1000),
        y: valueAxis('of pages', [], 'percent'),
        ...placesOf(longest),
        lines: schemes.map((name, style) => lineOf(name, style, shares[style], 'percent')),
        marks: [],
      },
    ];
  };
  const text =
    'Of the same runs. A read hits where its page is in the cache, though it may have waited for a lock; a write hits where it could be made at once: pages cached, with room promised for them, and the locks free.';
  return {
    id: 'hits',
    title: 'Hit rates',
    text,
    charts: [...chart('Reads', 'hits', 'misses'), ...chart('Writes', 'writeHits', 'writeMisses')],
  };
}

function percentiles(title: string, schemes: string[], bins: DurationBins[]): Chart[] {
  const curves = bins.map(percentileCurve);
  const points = Math.max(...curves.map((curve) => curve.length));
  if (points < 2) return [];
  const places = Array.from({ length: points }, (_, point) => ninesOfPoint(point));
  const y = valueAxis('', curves.flat(), 'latency');
  return [
    {
      title,
      x: percentilesAxis(places[points - 1]),
      y,
      places,
      placeTexts: places.map((at) => percentText(at)),
      lines: schemes.flatMap((name, style) => {
        if (curves[style].length === 0) return [];
        const padded = places.map((_at, point) => curves[style][point] ?? null);
        return [lineOf(name, style, padded, 'latency')];
      }),
      marks: [],
    },
  ];
}

/** Of the direction's operations, or of the storm's strikes. */
export function latencyBins(runs: readonly RunResult[], operation: OperationName): DurationBins {
  const counts = new Map<number, number>();
  for (const run of runs) {
    const histograms =
      operation === 'read' || operation === 'write'
        ? run.jobs.map((job) => job[operation].latency)
        : run.storms.filter(({ kind }) => kind === operation).map(({ latency }) => latency);
    for (const histogram of histograms) {
      for (const [value, count] of histogram.bins()) counts.set(value, (counts.get(value) ?? 0) + count);
    }
  }
  return [...counts];
}

/** The run whose reads and writes together are nearest to the median; of two, the first. */
export function medianRun(runs: readonly RunResult[]): RunResult {
  const totals = runs.map((run) =>
    run.jobs.reduce((sum, { read, write }) => sum + read.latency.count + write.latency.count, 0),
  );
  const order = totals.map((_total, index) => index).sort((a, b) => totals[a] - totals[b] || a - b);
  return runs[order[(order.length - 1) >> 1]];
}

function rateOf(interval: Interval, key: 'reads' | 'writes'): number {
  return (interval[key] / interval.lengthMs) * 1000;
}

function placesOf(intervals: readonly Interval[]): Pick<Chart, 'places' | 'placeTexts'> {
  const places = intervals.map(({ endMs, lengthMs }) => (endMs - lengthMs / 2) / 1000);
  return { places, placeTexts: places.map((seconds) => `${seconds.toFixed(1)} s`) };
}

/** Each run has its own tenths; what is drawn together stands at those of `grid`, taken from the interval that holds its middle. */
function onGrid(
  grid: readonly Interval[],
  intervals: readonly Interval[],
  value: (interval: Interval) => number | null,
): (number | null)[] {
  return grid.map(({ endMs, lengthMs }) => {
    const middle = endMs - lengthMs / 2;
    const found = intervals.find((interval) => interval.endMs > middle && interval.endMs - interval.lengthMs <= middle);
    return found === undefined ? null : value(found);
  });
}

function marksOf(run: RunResult, style: number, grid: readonly Interval[]): Marks[] {
  return (['punch', 'truncate'] as const).flatMap((kind) => {
    if (!run.storms.some((storm) => storm.kind === kind)) return [];
    const counts = onGrid(grid, run.intervals, ({ strikes }) => strikes[kind] ?? 0).map((count) => count ?? 0);
    const most = Math.max(1, ...counts);
    return [
      { label: kind === 'punch' ? 'punches' : 'truncations', style, heights: counts.map((count) => count / most) },
    ];
  });
}

function lineOf(name: string, style: number, values: (number | null)[], unit: Unit): Line {
  return { name, style, values, texts: values.map((value) => (value === null ? '–' : formatValue(value, unit))) };
}
