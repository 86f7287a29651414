/**
 * Latencies in fio's logarithmic buckets: exact up to 127 ns, then 64 buckets per power of two, so that a percentile is off by
 * at most 1/128; what took longer than 17 s shares the last bucket. The counts lie in shared memory: written by one thread, read by others once it has ended.
 *
 * Recording costs less than the clock (bench/micro measures both). One clock reading per operation serves as
 * the end of it and the start of the next, so that a latency includes drawing the next offset.
 */

const GROUP_BITS = 6;
const GROUP = 1 << GROUP_BITS;
const GROUPS = 29;
export const BUCKETS = GROUPS * GROUP;

/** Words of a histogram's Float64 part. */
export const enum HistogramSum {
  Count,
  Sum,
  SumOfSquares,
  Min,
  Max,
  Words,
}

/** fio's default percentiles. */
export const PERCENTILES = [1, 5, 10, 20, 30, 40, 50, 60, 70, 80, 90, 95, 99, 99.5, 99.9, 99.95, 99.99];

export class Histogram {
  constructor(
    readonly counts: Uint32Array = new Uint32Array(BUCKETS),
    readonly sums: Float64Array = new Float64Array(HistogramSum.Words),
  ) {}

  record(valueNs: number): void {
    const { counts, sums } = this;
    const value = valueNs > 0 ? Math.floor(valueNs + 0.5) : 0;
    counts[bucketOf(value)]++;
    if (value < sums[HistogramSum.Min] || sums[HistogramSum.Count] === 0) sums[HistogramSum.Min] = value;
    if (value > sums[HistogramSum.Max]) sums[HistogramSum.Max] = value;
    sums[HistogramSum.Count]++;
    sums[HistogramSum.Sum] += value;
    sums[HistogramSum.SumOfSquares] += value * value;
  }

  /** Adds all that `other` recorded. */
  add(other: Histogram): void {
    if (other.count === 0) return;
    const { sums } = this;
    const min = this.count === 0 ? other.min : Math.min(this.min, other.min);
    for (let i = 0; i < BUCKETS; i++) this.counts[i] += other.counts[i];
    sums[HistogramSum.Max] = Math.max(this.max, other.max);
    for (const sum of [HistogramSum.Count, HistogramSum.Sum, HistogramSum.SumOfSquares]) sums[sum] += other.sums[sum];
    sums[HistogramSum.Min] = min;
  }

  clear(): void {
    this.counts.fill(0);
    this.sums.fill(0);
  }

  get count(): number {
    return this.sums[HistogramSum.Count];
  }

  get min(): number {
    return this.sums[HistogramSum.Min];
  }

  get max(): number {
    return this.sums[HistogramSum.Max];
  }

  get mean(): number {
    return this.count === 0 ? 0 : this.sums[HistogramSum.Sum] / this.count;
  }

  get stddev(): number {
    if (this.count < 2) return 0;
    const variance = (this.sums[HistogramSum.SumOfSquares] - this.count * this.mean ** 2) / (this.count - 1);
    return Math.sqrt(Math.max(0, variance));
  }

  /** The latency that `percent` of the operations did not exceed, to the bucket's width; never above the maximum. */
  percentile(percent: number): number {
    const wanted = Math.max(1, Math.ceil((percent / 100) * this.count - 1e-9));
    let seen = 0;
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
      seen += this.counts[bucket];
      if (seen >= wanted) return Math.min(bucketValue(bucket), this.max);
    }
    return this.max;
  }

  /** The middles of the buckets that are not empty, with their counts. */
  bins(): [valueNs: number, count: number][] {
    const bins: [number, number][] = [];
    this.counts.forEach((count, bucket) => {
      if (count > 0) bins.push([bucketValue(bucket), count]);
    });
    return bins;
  }
}

export function bucketOf(value: number): number {
  if (value < 2 * GROUP) return value;
  if (value < 2 ** 32) {
    const shift = 31 - GROUP_BITS - Math.clz32(value);
    return (shift << GROUP_BITS) + (value >>> shift);
  }
  const shift = Math.floor(Math.log2(value)) - GROUP_BITS;
  return Math.min(shift * GROUP + Math.floor(value / 2 ** shift), BUCKETS - 1);
}

/** The middle of a bucket. */
export function bucketValue(bucket: number): number {
  if (bucket < 2 * GROUP) return bucket;
  const shift = (bucket >> GROUP_BITS) - 1;
  return (GROUP + (bucket % GROUP) + 0.5) * 2 ** shift;
}
