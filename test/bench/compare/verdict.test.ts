import { expect, test } from 'vitest';
import { formatRatio, type SchemeSummary, spreadOf, verdict } from '#dist/bench/compare/verdict.js';

const FACTS = [
  { name: 'invalidate-lock', readAtomicity: 'none', breaks: null },
  { name: 'i-rwsem', readAtomicity: 'request', breaks: null },
  { name: 'none', readAtomicity: 'none', breaks: 'a fill may show stale data' },
];

function summary(scheme: string, reads: number[], writes: number[], readP99: number): SchemeSummary {
  const direction = (iops: number[], p99: number) => ({
    iops: spreadOf(iops),
    p50: spreadOf([1000]),
    p99: spreadOf([p99, p99]),
  });
  return {
    scheme,
    runs: reads.length,
    read: direction(reads, readP99),
    write: direction(writes, 5000),
    total: spreadOf(reads.map((value, i) => value + writes[i])),
  };
}

test('median and range', () => {
  expect(spreadOf([3, 1, 2])).toEqual({ median: 2, min: 1, max: 3 });
  expect(spreadOf([4, 1])).toEqual({ median: 2.5, min: 1, max: 4 });
});

test('ratios have three digits', () => {
  expect([54.4, 1.071, 0.4181, Number.POSITIVE_INFINITY].map(formatRatio)).toEqual(['54×', '1.07×', '0.42×', '∞×']);
});

test('says who wins, who loses where, under which policy, and what the loser buys', () => {
  const lines = verdict(
    [
      summary('invalidate-lock', [520_000, 540_000], [68_000, 70_000], 6800),
      summary('i-rwsem', [9000, 10_000], [280_000, 290_000], 16_000_000),
    ],
    'kernel',
    FACTS,
  );
  expect(lines).toEqual([
    'Verdict: under invalidate-lock, reads are 56× those under i-rwsem (530k/s against 9.50k/s); ' +
      'writes are 0.24× those under i-rwsem (69.0k/s against 285k/s); both together 2.03×. ' +
      "The rwsem policy was 'kernel'.",
    'invalidate-lock loses on writes (0.24×).',
    'i-rwsem buys reads that are atomic against writes; under invalidate-lock a read may see half of a write.',
  ]);
});

test('ranges that overlap are no difference', () => {
  const lines = verdict(
    [summary('invalidate-lock', [100, 120], [50, 60], 5000), summary('none', [110, 130], [55, 65], 5000)],
    'fifo',
    FACTS,
  );
  expect(lines[0]).toContain('reads are within the spread of those under none (110/s against 120/s)');
  expect(lines[1]).toBe('invalidate-lock loses nowhere in this job.');
  expect(lines.at(-1)).toBe('none is not safe: a fill may show stale data.');
});
