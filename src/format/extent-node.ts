/**
 * Nodes and entries of extent trees.
 *
 * An entry is three words. In a leaf (level 0): first page, first block, length with the top bit for "unwritten". In an
 * inner node: a page not above the first page of the child's subtree, the child's block, 0. Entries lie in the order of
 * their pages; extents do not overlap. A node is a block: header, level, count, entries. An inode's root (inode-record.ts)
 * has the same entries, so all functions on entries take (words, word of entry 0): `nodeWord + NODE_ENTRIES_WORD` in a node.
 *
 * Works on page frames in place, allocates nothing. Under the inode's map lock.
 */
import { MAX_FILE_PAGES } from '../units.js';
import { HEADER_BYTES, HEADER_WORDS } from './block-header.js';

/** Byte offsets in the node's block. */
export const enum ExtentNodeAt {
  Level = 32,
  Count = 34,
  Reserved = 36,
  Entries = 40,
}

/** Byte offsets in an entry. */
export const enum ExtentEntryAt {
  Page = 0,
  /** Inner nodes: the child's block. */
  Block = 4,
  /** Inner nodes: 0. */
  Length = 8,
  End = 12,
}

/** Higher trees are no trees of ours. */
export const MAX_EXTENT_LEVEL = 15;
export const ENTRY_BYTES = 12;
export const ENTRY_WORDS = 3;
export const NODE_ENTRIES_WORD = (HEADER_BYTES + 8) / 4;
/** Pages of one extent. */
export const MAX_EXTENT_LENGTH = 0x7fff_ffff;
const UNWRITTEN = 0x8000_0000;
const LENGTH_MASK = 0x7fff_ffff;
const LEVEL_AND_COUNT_WORD = HEADER_WORDS;

/** Entries that a node has room for. */
export function extentNodeCapacity(blockBytes: number): number {
  return Math.floor((blockBytes - NODE_ENTRIES_WORD * 4) / ENTRY_BYTES);
}

/** Level of the node whose block starts at word `nodeWord`; 0 is a leaf. */
export function extentNodeLevel(words: Uint32Array, nodeWord: number): number {
  return words[nodeWord + LEVEL_AND_COUNT_WORD] & 0xffff;
}

export function extentNodeCount(words: Uint32Array, nodeWord: number): number {
  return words[nodeWord + LEVEL_AND_COUNT_WORD] >>> 16;
}

export function setExtentNode(words: Uint32Array, nodeWord: number, level: number, count: number): void {
  words[nodeWord + LEVEL_AND_COUNT_WORD] = level | (count << 16);
}

export function setExtentNodeCount(words: Uint32Array, nodeWord: number, count: number): void {
  setExtentNode(words, nodeWord, words[nodeWord + LEVEL_AND_COUNT_WORD] & 0xffff, count);
}

/** First page of entry `index`. */
export function entryPage(words: Uint32Array, baseWord: number, index: number): number {
  return words[baseWord + index * ENTRY_WORDS];
}

/** First block of an extent, or a child's block. */
export function entryBlock(words: Uint32Array, baseWord: number, index: number): number {
  return words[baseWord + index * ENTRY_WORDS + 1];
}

/** Pages of an extent. */
export function entryLength(words: Uint32Array, baseWord: number, index: number): number {
  return words[baseWord + index * ENTRY_WORDS + 2] & LENGTH_MASK;
}

export function entryUnwritten(words: Uint32Array, baseWord: number, index: number): boolean {
  return words[baseWord + index * ENTRY_WORDS + 2] > LENGTH_MASK;
}

/** First page after an extent. */
export function entryEnd(words: Uint32Array, baseWord: number, index: number): number {
  const at = baseWord + index * ENTRY_WORDS;
  return words[at] + (words[at + 2] & LENGTH_MASK);
}

export function setExtent(
  words: Uint32Array,
  baseWord: number,
  index: number,
  page: number,
  block: number,
  length: number,
  unwritten: boolean,
): void {
  const at = baseWord + index * ENTRY_WORDS;
  words[at] = page;
  words[at + 1] = block;
  words[at + 2] = unwritten ? length + UNWRITTEN : length;
}

export function setChild(words: Uint32Array, baseWord: number, index: number, page: number, child: number): void {
  const at = baseWord + index * ENTRY_WORDS;
  words[at] = page;
  words[at + 1] = child;
  words[at + 2] = 0;
}

export function setEntryPage(words: Uint32Array, baseWord: number, index: number, page: number): void {
  words[baseWord + index * ENTRY_WORDS] = page;
}

/** The last entry that starts at or before `page`, or -1. */
export function findExtentEntry(words: Uint32Array, baseWord: number, count: number, page: number): number {
  return halve(words, baseWord, 0, count, page);
}

/** Lists no longer than this are searched by halving alone. */
const GUESS_ENTRIES_MIN = 16;
/** How far from a guess the entry is looked for before halving the rest. */
const GUESS_WINDOW = 4;

/**
 * As `findExtentEntry`, for a list known to start near page `low` and to end near page `high`. Files are often mapped
 * evenly, so in a long list the first guess goes to where the page would be then: that spares most of the halving, and
 * most of the memory that it would touch.
 */
export function guessExtentEntry(
  words: Uint32Array,
  baseWord: number,
  count: number,
  page: number,
  low: number,
  high: number,
): number {
  if (count <= GUESS_ENTRIES_MIN || page <= low || page >= high) return halve(words, baseWord, 0, count, page);
  const guess = Math.floor(((page - low) / (high - low)) * count);
  if (words[baseWord + guess * ENTRY_WORDS] <= page) {
    if (guess + 1 === count || words[baseWord + (guess + 1) * ENTRY_WORDS] > page) return guess;
    const beyond = guess + GUESS_WINDOW;
    const isBelow = beyond < count && words[baseWord + beyond * ENTRY_WORDS] > page;
    return halve(words, baseWord, guess + 1, isBelow ? beyond : count, page);
  }
  const before = guess - GUESS_WINDOW;
  const isAbove = before >= 0 && words[baseWord + before * ENTRY_WORDS] <= page;
  return halve(words, baseWord, isAbove ? before + 1 : 0, guess, page);
}

/** One less than the first entry of [low, high) that starts after `page`, or than `high`. */
function halve(words: Uint32Array, baseWord: number, low: number, high: number, page: number): number {
  let from = low;
  let to = high;
  while (from < to) {
    const middle = (from + to) >>> 1;
    if (words[baseWord + middle * ENTRY_WORDS] <= page) from = middle + 1;
    else to = middle;
  }
  return from - 1;
}

/** Makes room for `inserted` entries at `index` in a list of `count`; the caller keeps the count and has the room. */
export function openEntries(
  words: Uint32Array,
  baseWord: number,
  count: number,
  index: number,
  inserted: number,
): void {
  const from = baseWord + index * ENTRY_WORDS;
  words.copyWithin(from + inserted * ENTRY_WORDS, from, baseWord + count * ENTRY_WORDS);
}

/** Takes `removed` entries out at `index` and zeroes what becomes free at the list's end. */
export function closeEntries(
  words: Uint32Array,
  baseWord: number,
  count: number,
  index: number,
  removed: number,
): void {
  const to = baseWord + index * ENTRY_WORDS;
  const end = baseWord + count * ENTRY_WORDS;
  words.copyWithin(to, to + removed * ENTRY_WORDS, end);
  words.fill(0, end - removed * ENTRY_WORDS, end);
}

/** Copies entries [index, index + count) of one list to `toIndex` of another, which may be in another buffer. */
export function copyEntries(
  from: Uint32Array,
  fromBaseWord: number,
  index: number,
  count: number,
  to: Uint32Array,
  toBaseWord: number,
  toIndex: number,
): void {
  const source = fromBaseWord + index * ENTRY_WORDS;
  const target = toBaseWord + toIndex * ENTRY_WORDS;
  for (let i = 0; i < count * ENTRY_WORDS; i++) to[target + i] = from[source + i];
}

/** Why a list of entries cannot be part of a tree on a device of `blocks` blocks, or null when it can. */
export function validateEntries(
  words: Uint32Array,
  baseWord: number,
  count: number,
  level: number,
  blocks: number,
): string | null {
  let previousEnd = 0;
  for (let i = 0; i < count; i++) {
    const page = entryPage(words, baseWord, i);
    const block = entryBlock(words, baseWord, i);
    const length = level === 0 ? entryLength(words, baseWord, i) : 1;
    if (length === 0) return `entry ${i} is empty`;
    if (i > 0 && page < previousEnd) return `entry ${i} begins at page ${page}, before the end of the one before it`;
    if (page + length > MAX_FILE_PAGES) return `entry ${i} reaches past the last page`;
    if (block === 0 || block + length > blocks) return `entry ${i} points to blocks ${block} … ${block + length - 1}`;
    previousEnd = page + length;
  }
  return null;
}

/** Why the node's block at word `nodeWord` is no node of `level`, or null when it is. */
export function validateExtentNode(
  words: Uint32Array,
  nodeWord: number,
  blockBytes: number,
  level: number,
  blocks: number,
): string | null {
  const found = extentNodeLevel(words, nodeWord);
  if (found !== level) return `level ${found} where ${level} was expected`;
  const count = extentNodeCount(words, nodeWord);
  if (count === 0 || count > extentNodeCapacity(blockBytes)) return `${count} entries`;
  return validateEntries(words, nodeWord + NODE_ENTRIES_WORD, count, level, blocks);
}
