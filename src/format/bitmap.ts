/**
 * An allocation bitmap block: a header, then one bit a block of its group, 1 = in use. Bit b of the group is bit b mod 32
 * of word b / 32 after the header.
 *
 * Bits of fixed blocks, and bits past the group's end, are always set, so that a search never needs to know of them.
 * Functions take a block as words and the word where it starts (a page frame is word-aligned). Under the group's lock.
 */
import { HEADER_WORDS } from './block-header.js';
import {
  bitmapBlock,
  checksumBlocks,
  checksumStart,
  type Geometry,
  groupLength,
  groupStart,
  superblockCopyBlock,
} from './geometry.js';

const ALL = 0xffff_ffff;

export function isBlockUsed(words: Uint32Array, baseWord: number, bit: number): boolean {
  return ((words[baseWord + HEADER_WORDS + (bit >>> 5)] >>> (bit & 31)) & 1) !== 0;
}

/** Bits [from, to) of one word, as a mask; 0 ≤ from < to ≤ 32. */
function maskOf(from: number, to: number): number {
  return (ALL << from) & (ALL >>> (32 - to));
}

/** Sets bits [first, first + count). Returns how many were set before: anything but 0 is corruption or a bug. */
export function markUsed(words: Uint32Array, baseWord: number, first: number, count: number): number {
  const base = baseWord + HEADER_WORDS;
  let wrong = 0;
  for (let bit = first, end = first + count; bit < end; ) {
    const word = base + (bit >>> 5);
    const from = bit & 31;
    const to = Math.min(32, from + end - bit);
    const mask = maskOf(from, to);
    wrong += popcount(words[word] & mask);
    words[word] |= mask;
    bit += to - from;
  }
  return wrong;
}

/** Clears bits [first, first + count). Returns how many were clear before: anything but 0 is corruption or a bug. */
export function markFree(words: Uint32Array, baseWord: number, first: number, count: number): number {
  const base = baseWord + HEADER_WORDS;
  let wrong = 0;
  for (let bit = first, end = first + count; bit < end; ) {
    const word = base + (bit >>> 5);
    const from = bit & 31;
    const to = Math.min(32, from + end - bit);
    const mask = maskOf(from, to);
    wrong += popcount(~words[word] & mask);
    words[word] &= ~mask;
    bit += to - from;
  }
  return wrong;
}

/** First clear bit in [from, end), or `end`. */
export function nextFree(words: Uint32Array, baseWord: number, from: number, end: number): number {
  return nextWith(words, baseWord, from, end, ALL);
}

/** First set bit in [from, end), or `end`. */
export function nextUsed(words: Uint32Array, baseWord: number, from: number, end: number): number {
  return nextWith(words, baseWord, from, end, 0);
}

function nextWith(words: Uint32Array, baseWord: number, from: number, end: number, flip: number): number {
  if (from >= end) return end;
  const base = baseWord + HEADER_WORDS;
  let word = from >>> 5;
  let found = (words[base + word] ^ flip) & (ALL << (from & 31));
  const last = (end - 1) >>> 5;
  while (found === 0) {
    word += 1;
    if (word > last) return end;
    found = words[base + word] ^ flip;
  }
  const bit = word * 32 + (31 - Math.clz32(found & -found));
  return Math.min(bit, end);
}

/** Clear bits in [0, end); `end` a multiple of 32, or the group's length (bits beyond it are set). */
export function countFree(words: Uint32Array, baseWord: number, end: number): number {
  const base = baseWord + HEADER_WORDS;
  let free = 0;
  for (let word = 0, last = Math.ceil(end / 32); word < last; word++) free += popcount(~words[base + word]);
  return free;
}

/** Fills the bits of a fresh bitmap block: fixed blocks and everything past the group's end. The header is the caller's. */
export function initialiseBitmap(words: Uint32Array, baseWord: number, g: Geometry, group: number): void {
  const start = groupStart(g, group);
  const length = groupLength(g, group);
  const base = baseWord + HEADER_WORDS;
  const bits = (g.blockBytes / 4 - HEADER_WORDS) * 32;
  words.fill(0, base, base + bits / 32);
  markUsed(words, baseWord, length, bits - length);
  markUsed(words, baseWord, bitmapBlock(g, group) - start, 1);
  if (group === 0) {
    markUsed(words, baseWord, 0, 1);
    markUsed(words, baseWord, g.journalStart, g.journalBlocks);
  }
  markUsed(words, baseWord, checksumStart(g, group) - start, checksumBlocks(g, group));
  if (group === g.groups - 1) markUsed(words, baseWord, superblockCopyBlock(g) - start, 1);
}

export function popcount(word: number): number {
  let v = word - ((word >>> 1) & 0x5555_5555);
  v = (v & 0x3333_3333) + ((v >>> 2) & 0x3333_3333);
  return Math.imul((v + (v >>> 4)) & 0x0f0f_0f0f, 0x0101_0101) >>> 24;
}
