import { expect, test } from 'vitest';
import { percentilesAxis, valueAxis } from '#dist/bench/report/axis.js';
import { ninesOfPoint, percentileCurve, percentText } from '#dist/bench/report/curve.js';

test('a curve is the percentiles of its counts, and ends where they do', () => {
  expect(percentileCurve([])).toEqual([]);
  expect(percentileCurve([[7, 1]])).toEqual([7]);
  // A thousand: 989 of 10, 10 of 20, 1 of 30, in no order.
  const curve = percentileCurve([
    [30, 1],
    [10, 989],
    [20, 10],
  ]);
  const at = (nines: number) => curve[Math.round(nines * 20)];
  expect(curve).toHaveLength(61);
  expect(ninesOfPoint(curve.length - 1)).toBe(3);
  expect([at(0), at(1), at(1.9), at(2), at(2.9), at(3)]).toEqual([10, 10, 10, 20, 20, 20]);
});

test('percentiles as they are read', () => {
  expect([0, Math.log10(2), 1, 2, 3, 1.5].map(percentText)).toEqual(['0%', '50%', '90%', '99%', '99.9%', '96.84%']);
});

test('axes: linear from 0, or by powers where values differ by more than 20 times', () => {
  const linear = valueAxis('per second', [40_000, 110_000], 'rate');
  expect(linear).toMatchObject({ min: 0, isLogarithmic: false });
  expect(linear.max).toBeGreaterThan(110_000);
  expect(linear.ticks.map(([, text]) => text)).toEqual(['0', '50k', '100k']);
  const powers = valueAxis('', [2_000, 3e8, 0], 'latency');
  expect(powers).toMatchObject({ min: 1000, max: 1e9, isLogarithmic: true });
  expect(powers.ticks.map(([, text]) => text)).toEqual(['1 µs', '100 µs', '10 ms', '1 s']);
  expect(valueAxis('', [], 'percent')).toMatchObject({ min: 0, max: 100 });
  expect(percentilesAxis(2).ticks.map(([, text]) => text)).toEqual(['50%', '90%', '99%']);
});
