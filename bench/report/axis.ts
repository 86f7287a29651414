/** Axes of a plot: their ends, and ticks with their texts. Counts and rates by 1, 2 and 5; percentiles by nines. */
import { formatCount, formatLatency } from '../workloads/summary.js';

export type Unit = 'rate' | 'latency' | 'percent';

export interface Axis {
  label: string;
  min: number;
  max: number;
  isLogarithmic: boolean;
  ticks: [at: number, text: string][];
}

/** Values that differ by more than this are drawn by their powers. */
const LOGARITHMIC_FROM = 20;
const TICKS_MAX = 6;

export function formatValue(value: number, unit: Unit): string {
  if (unit === 'latency') return formatLatency(value);
  if (unit === 'percent') return `${value >= 99.95 || Number.isInteger(value) ? value.toFixed(0) : value.toFixed(1)}%`;
  return formatCount(value);
}

/** For texts on an axis: 20k rather than 20.0k. */
function shortText(value: number, unit: Unit): string {
  return formatValue(value, unit)
    .replace(/\.0+(?=\D|$)/, '')
    .replace(/(\.\d*[1-9])0+(?=\D)/, '$1');
}

export function valueAxis(label: string, values: number[], unit: Unit): Axis {
  if (unit === 'percent') return linear(label, 0, 100, unit);
  const positive = values.filter((value) => value > 0);
  const [least, most] = [Math.min(...positive), Math.max(...positive)];
  if (positive.length === 0) return linear(label, 0, 1, unit);
  return most / least > LOGARITHMIC_FROM ? logarithmic(label, least, most, unit) : linear(label, 0, most * 1.05, unit);
}

function linear(label: string, min: number, max: number, unit: Unit): Axis {
  const step = niceStep((max - min) / 4);
  const ticks: Axis['ticks'] = [];
  for (let i = Math.ceil(min / step); i * step <= max * 1.0001; i++) ticks.push([i * step, shortText(i * step, unit)]);
  return { label, min, max, isLogarithmic: false, ticks };
}

function logarithmic(label: string, least: number, most: number, unit: Unit): Axis {
  const [from, to] = [Math.floor(Math.log10(least)), Math.ceil(Math.log10(most * 1.02))];
  const stride = Math.ceil((to - from + 1) / TICKS_MAX);
  const ticks: Axis['ticks'] = [];
  for (let power = from; power <= to; power += stride) ticks.push([10 ** power, shortText(10 ** power, unit)]);
  return { label, min: 10 ** from, max: 10 ** to, isLogarithmic: true, ticks };
}

function niceStep(step: number): number {
  const power = 10 ** Math.floor(Math.log10(step));
  return power * ([1, 2, 5].find((factor) => factor * power >= step * 0.999) ?? 10);
}

export function secondsAxis(seconds: number): Axis {
  const axis = linear('seconds', 0, seconds, 'rate');
  return { ...axis, max: seconds };
}

/** Numbers of threads at equal distances. */
export function threadsAxis(counts: number[]): Axis {
  const ticks = counts.map((count, at): [number, string] => [at, String(count)]);
  return { label: 'threads', min: -0.2, max: counts.length - 0.8, isLogarithmic: false, ticks };
}

/** Where a percentile stands on its axis: each nine takes as much room as the last. */
export function nines(percent: number): number {
  return -Math.log10(1 - percent / 100);
}

const PERCENTILE_TICKS = ['50', '90', '99', '99.9', '99.99', '99.999'];

export function percentilesAxis(end: number): Axis {
  const ticks = PERCENTILE_TICKS.map((text): [number, string] => [nines(Number(text)), `${text}%`]);
  const shown = ticks.filter(([at]) => at <= end + 1e-6);
  return { label: 'percentile', min: 0, max: end, isLogarithmic: false, ticks: shown };
}
