import { expect, test } from 'vitest';
import { BUCKETS, bucketOf, bucketValue, Histogram } from '#dist/bench/workloads/histogram.js';
import { Random } from '#dist/bench/workloads/random.js';

function exactPercentile(sorted: number[], percent: number): number {
  return sorted[Math.max(0, Math.ceil((percent / 100) * sorted.length) - 1)];
}

test('buckets rise with the value, and are right to 1 part in 128', () => {
  let last = -1;
  for (let value = 0; value < 1.7e10; value = Math.ceil(value * 1.01) + 1) {
    const bucket = bucketOf(value);
    expect(bucket).toBeGreaterThanOrEqual(last);
    expect(Math.abs(bucketValue(bucket) - value)).toBeLessThanOrEqual(value / 128 + 0.5);
    last = bucket;
  }
  expect(bucketOf(1e18)).toBe(BUCKETS - 1);
});

test('percentiles are those of the sorted values, to the width of a bucket', () => {
  const random = new Random(5);
  const histogram = new Histogram();
  const values: number[] = [];
  for (let i = 0; i < 50_000; i++) {
    const value = Math.round(200 * Math.exp(10 * random.fraction())); // 200 ns to 4 ms
    values.push(value);
    histogram.record(value);
  }
  values.sort((a, b) => a - b);
  for (const percent of [1, 10, 50, 90, 99, 99.9, 99.99, 100]) {
    const exact = exactPercentile(values, percent);
    expect(Math.abs(histogram.percentile(percent) - exact)).toBeLessThanOrEqual(exact / 64);
  }
  const mean = values.reduce((a, b) => a + b, 0) / values.length;
  const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (values.length - 1);
  expect(histogram.mean).toBeCloseTo(mean, 6);
  expect(histogram.stddev).toBeCloseTo(Math.sqrt(variance), 3);
  expect([histogram.min, histogram.max, histogram.count]).toEqual([values[0], values.at(-1), values.length]);
});

test('adding histograms is recording all their values', () => {
  const [a, b, both, sum] = [new Histogram(), new Histogram(), new Histogram(), new Histogram()];
  for (const [histogram, value] of [
    [a, 100],
    [a, 2000],
    [b, 50],
    [b, 9_999_999],
  ] as const) {
    histogram.record(value);
    both.record(value);
  }
  for (const part of [a, new Histogram(), b]) sum.add(part);
  expect(sum.counts).toEqual(both.counts);
  expect(sum.sums).toEqual(both.sums);
  expect(sum.bins().map(([, count]) => count)).toEqual([1, 1, 1, 1]);
});

test('an empty one has no figures', () => {
  const empty = new Histogram();
  expect([empty.count, empty.mean, empty.stddev, empty.percentile(50), empty.bins()]).toEqual([0, 0, 0, 0, []]);
});
