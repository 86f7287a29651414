import { expect, test } from 'vitest';
import { formatSize, parseSize } from '#dist/src/cli/size.js';

test.each([
  ['0', 0],
  ['4096', 4096],
  ['8k', 8192],
  ['8K', 8192],
  ['1.5G', 1.5 * 1024 ** 3],
  ['64MiB', 64 * 1024 ** 2],
  ['2tb', 2 * 1024 ** 4],
])('%s is %d bytes', (text, bytes) => {
  expect(parseSize(text)).toBe(bytes);
});

test.each(['', 'k', '-1', '1q', '1e3', '0x10', '1.0001', '0.3k', '99999999T', 'NaN'])("'%s' is refused", (text) => {
  expect(() => parseSize(text, '--size')).toThrow(/^--size '/);
});

test('sizes are written with three or four digits', () => {
  expect([0, 1023, 8192, 10 * 1024 ** 2, 1.5 * 1024 ** 3, 5000 * 1024 ** 4].map(formatSize)).toEqual([
    '0 B',
    '1023 B',
    '8.00 KiB',
    '10.0 MiB',
    '1.50 GiB',
    '5000 TiB',
  ]);
});
