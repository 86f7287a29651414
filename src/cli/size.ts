/**
 * Sizes as people write them: `4096`, `8k`, `1.5G`, `64MiB`. The suffixes K, M, G, T are powers of 1024, in either case;
 * a trailing `B` or `iB` changes nothing.
 */
import { UsageError } from './usage-error.js';

const SUFFIXES = ['', 'k', 'm', 'g', 't'];
const SIZE = /^(\d+(?:\.\d+)?)([kmgt]?)(?:i?b)?$/i;

/** Bytes of `text`, which stands for `what` in the error. */
export function parseSize(text: string, what = 'size'): number {
  const match = SIZE.exec(text.trim());
  if (match === null) throw new UsageError(`${what} '${text}' is no size; write bytes, or a number with K, M, G or T`);
  const bytes = Number(match[1]) * 1024 ** SUFFIXES.indexOf(match[2].toLowerCase());
  if (!Number.isSafeInteger(bytes)) throw new UsageError(`${what} '${text}' is no whole number of bytes below 2^53`);
  return bytes;
}

/** `bytes` for people: three or four digits and a binary unit. */
export function formatSize(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < SUFFIXES.length - 1) {
    value /= 1024;
    unit++;
  }
  if (unit === 0) return `${value} B`;
  return `${value >= 100 ? value.toFixed(0) : value.toFixed(value >= 10 ? 1 : 2)} ${SUFFIXES[unit].toUpperCase()}iB`;
}
