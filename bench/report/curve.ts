/** A latency percentile curve from counts by duration: points at equal distances in nines, as far as the counts bear. */
import type { DurationBins } from '../../src/index.js';

const POINTS_PER_NINE = 20;
/** At five nines a run of seconds has nothing more to say. */
const NINES_MAX = 5;

/** Value i is that of the percentile with i / POINTS_PER_NINE nines. Empty where nothing was counted. */
export function percentileCurve(bins: DurationBins): number[] {
  const total = bins.reduce((sum, [, count]) => sum + count, 0);
  if (total === 0) return [];
  const sorted = [...bins].sort(([a], [b]) => a - b);
  const values: number[] = [];
  let seen = 0;
  let bin = -1;
  const end = Math.min(NINES_MAX, Math.log10(total)) * POINTS_PER_NINE;
  for (let point = 0; point <= end + 1e-9; point++) {
    const wanted = Math.max(1, Math.ceil(total * (1 - 10 ** (-point / POINTS_PER_NINE)) - 1e-9));
    while (seen < wanted) seen += sorted[++bin][1];
    values.push(sorted[bin][0]);
  }
  return values;
}

export function ninesOfPoint(point: number): number {
  return point / POINTS_PER_NINE;
}

/** `50%`, `99.9%` and what lies between them. */
export function percentText(nines: number): string {
  const percent = 100 - 10 ** (2 - nines);
  return `${percent.toFixed(Math.max(1, Math.ceil(nines))).replace(/\.?0+$/, '')}%`;
}
