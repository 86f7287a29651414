/**
 * Nodes of the name tree: slotted pages over byte-ordered names.
 *
 *   header │ level count cellsStart garbage next │ slots → …free… ← cells │
 *
 * A slot is the u16 offset of its cell in the block; slots lie in the order of their names. A cell is a u32 (leaf: inode;
 * inner: child block), a length byte, and the name. Cells grow from the block's end downward. `garbage` counts the bytes
 * of removed cells that lie between others. In an inner node, cell i's name is not above any name in its child and above
 * all names in child i - 1; the first cell covers all names below the second's, whatever its own name (it may be empty).
 *
 * Functions take a buffer and the byte where the node's block starts; they work on page frames in place, and searching
 * allocates nothing. Under the names lock.
 */
import { HEADER_BYTES } from './block-header.js';

/** Byte offsets in the block. */
export const enum NameNodeAt {
  Level = 32,
  Count = 34,
  /** Offset of the lowest cell. */
  CellsStart = 36,
  Garbage = 40,
  /** Next leaf to the right, 0 in the last leaf and in inner nodes. */
  Next = 44,
  Slots = 48,
}

/** Byte offsets in a cell. */
export const enum NameCellAt {
  /** Inode number, or child block. */
  Value = 0,
  NameLength = 4,
  Name = 5,
}

/**
 * Levels of the tree. A node of the smallest block has room for at least 15 of the longest names, and a split leaves it
 * 7: ten levels are out of reach of any device.
 */
export const NAME_LEVELS_MAX = 10;
const SLOTS = HEADER_BYTES + 16;
const SLOT_BYTES = 2;
const CELL_HEADER_BYTES = 5;

function get16(bytes: Uint8Array, at: number): number {
  return bytes[at] | (bytes[at + 1] << 8);
}

function put16(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value;
  bytes[at + 1] = value >>> 8;
}

function get32(bytes: Uint8Array, at: number): number {
  return (bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16) | (bytes[at + 3] << 24)) >>> 0;
}

function put32(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value;
  bytes[at + 1] = value >>> 8;
  bytes[at + 2] = value >>> 16;
  bytes[at + 3] = value >>> 24;
}

/** Makes an empty node; the header is the caller's. */
export function initNameNode(bytes: Uint8Array, at: number, blockBytes: number, level: number): void {
  put16(bytes, at + NameNodeAt.Level, level);
  put16(bytes, at + NameNodeAt.Count, 0);
  put32(bytes, at + NameNodeAt.CellsStart, blockBytes);
  put32(bytes, at + NameNodeAt.Garbage, 0);
  put32(bytes, at + NameNodeAt.Next, 0);
}

/** 0: a leaf. */
export function nameNodeLevel(bytes: Uint8Array, at: number): number {
  return get16(bytes, at + NameNodeAt.Level);
}

export function nameNodeCount(bytes: Uint8Array, at: number): number {
  return get16(bytes, at + NameNodeAt.Count);
}

export function nextNameNode(bytes: Uint8Array, at: number): number {
  return get32(bytes, at + NameNodeAt.Next);
}

export function setNextNameNode(bytes: Uint8Array, at: number, block: number): void {
  put32(bytes, at + NameNodeAt.Next, block);
}

/** Bytes that a cell with a name of this length takes, its slot included. */
export function nameCellBytes(nameLength: number): number {
  return SLOT_BYTES + CELL_HEADER_BYTES + nameLength;
}

/** Bytes of a node for cells and slots. */
export function nameNodeRoom(blockBytes: number): number {
  return blockBytes - SLOTS;
}

/** Bytes free for cells and slots, garbage included. */
export function nameNodeFree(bytes: Uint8Array, at: number): number {
  return contiguousFree(bytes, at) + get32(bytes, at + NameNodeAt.Garbage);
}

function contiguousFree(bytes: Uint8Array, at: number): number {
  return get32(bytes, at + NameNodeAt.CellsStart) - SLOTS - nameNodeCount(bytes, at) * SLOT_BYTES;
}

function slotAt(at: number, index: number): number {
  return at + SLOTS + index * SLOT_BYTES;
}

/** Where in `bytes` cell `index` starts. */
function cellAt(bytes: Uint8Array, at: number, index: number): number {
  return at + get16(bytes, slotAt(at, index));
}

/** The inode number, or the child's block. */
export function nameValue(bytes: Uint8Array, at: number, index: number): number {
  return get32(bytes, cellAt(bytes, at, index) + NameCellAt.Value);
}

export function setNameValue(bytes: Uint8Array, at: number, index: number, value: number): void {
  put32(bytes, cellAt(bytes, at, index) + NameCellAt.Value, value);
}

export function nameLength(bytes: Uint8Array, at: number, index: number): number {
  return bytes[cellAt(bytes, at, index) + NameCellAt.NameLength];
}

/** Where in `bytes` the name of cell `index` starts. */
export function nameStart(bytes: Uint8Array, at: number, index: number): number {
  return cellAt(bytes, at, index) + NameCellAt.Name;
}

/** A copy of the name of cell `index`, in memory of its own. */
export function copyName(bytes: Uint8Array, at: number, index: number): Uint8Array<ArrayBuffer> {
  const start = nameStart(bytes, at, index);
  const name = new Uint8Array(nameLength(bytes, at, index));
  name.set(bytes.subarray(start, start + name.length));
  return name;
}

/** Byte order of the name of cell `index` against `key[0, keyLength)`: below 0, 0, above 0. */
export function compareName(bytes: Uint8Array, at: number, index: number, key: Uint8Array, keyLength: number): number {
  const cell = cellAt(bytes, at, index);
  const length = bytes[cell + NameCellAt.NameLength];
  const start = cell + NameCellAt.Name;
  const common = Math.min(length, keyLength);
  for (let i = 0; i < common; i++) {
    const difference = bytes[start + i] - key[i];
    if (difference !== 0) return difference;
  }
  return length - keyLength;
}

/** Index of the cell named `key`, or -1 - i where i is the index that it would get. */
export function findName(bytes: Uint8Array, at: number, key: Uint8Array, keyLength: number): number {
  let low = 0;
  let high = nameNodeCount(bytes, at);
  while (low < high) {
    const middle = (low + high) >>> 1;
    const order = compareName(bytes, at, middle, key, keyLength);
    if (order === 0) return middle;
    if (order < 0) low = middle + 1;
    else high = middle;
  }
  return -1 - low;
}

/** In an inner node: index of the cell whose child holds `key` if anything does. */
export function findChild(bytes: Uint8Array, at: number, key: Uint8Array, keyLength: number): number {
  const found = findName(bytes, at, key, keyLength);
  // The first cell covers everything below the second one's name, whatever its own says.
  return found >= 0 ? found : Math.max(0, -2 - found);
}

/** Inserts a cell at `index`; false, with nothing changed, when there is no room for it even after compaction. */
export function insertName(
  bytes: Uint8Array,
  at: number,
  blockBytes: number,
  index: number,
  value: number,
  key: Uint8Array,
  keyLength: number,
): boolean {
  const needed = nameCellBytes(keyLength);
  if (nameNodeFree(bytes, at) < needed) return false;
  if (contiguousFree(bytes, at) < needed) compactNameNode(bytes, at, blockBytes);
  const cell = openCell(bytes, at, index, CELL_HEADER_BYTES + keyLength);
  put32(bytes, cell + NameCellAt.Value, value);
  bytes[cell + NameCellAt.NameLength] = keyLength;
  for (let i = 0; i < keyLength; i++) bytes[cell + NameCellAt.Name + i] = key[i];
  return true;
}

/** Takes room for a cell and gives it slot `index`; returns where in `bytes` the cell starts. */
function openCell(bytes: Uint8Array, at: number, index: number, cellBytes: number): number {
  const count = nameNodeCount(bytes, at);
  const start = get32(bytes, at + NameNodeAt.CellsStart) - cellBytes;
  const slot = slotAt(at, index);
  bytes.copyWithin(slot + SLOT_BYTES, slot, slotAt(at, count));
  put16(bytes, slot, start);
  put16(bytes, at + NameNodeAt.Count, count + 1);
  put32(bytes, at + NameNodeAt.CellsStart, start);
  return at + start;
}

export function removeName(bytes: Uint8Array, at: number, index: number): void {
  const count = nameNodeCount(bytes, at);
  const slot = slotAt(at, index);
  const start = get16(bytes, slot);
  const cellBytes = CELL_HEADER_BYTES + bytes[at + start + NameCellAt.NameLength];
  const cellsStart = get32(bytes, at + NameNodeAt.CellsStart);
  if (start === cellsStart) put32(bytes, at + NameNodeAt.CellsStart, cellsStart + cellBytes);
  else put32(bytes, at + NameNodeAt.Garbage, get32(bytes, at + NameNodeAt.Garbage) + cellBytes);
  bytes.copyWithin(slot, slot + SLOT_BYTES, slotAt(at, count));
  put16(bytes, slotAt(at, count - 1), 0);
  put16(bytes, at + NameNodeAt.Count, count - 1);
}

let scratch = new Uint8Array(0);

/** Moves all cells together at the block's end, in the order of their names, and zeroes what lies between. */
export function compactNameNode(bytes: Uint8Array, at: number, blockBytes: number): void {
  if (scratch.length < blockBytes) scratch = new Uint8Array(blockBytes);
  scratch.set(bytes.subarray(at, at + blockBytes));
  const count = nameNodeCount(bytes, at);
  let start = blockBytes;
  for (let i = count - 1; i >= 0; i--) {
    const cell = get16(bytes, slotAt(at, i));
    const end = cell + CELL_HEADER_BYTES + scratch[cell + NameCellAt.NameLength];
    start -= end - cell;
    bytes.set(scratch.subarray(cell, end), at + start);
    put16(bytes, slotAt(at, i), start);
  }
  bytes.fill(0, slotAt(at, count), at + start);
  put32(bytes, at + NameNodeAt.CellsStart, start);
  put32(bytes, at + NameNodeAt.Garbage, 0);
}

/**
 * Moves cells [first, count) to the end of another node, which has room for them and only lower names. Both stay
 * compact. The nodes may lie in different buffers.
 */
export function moveNames(
  from: Uint8Array,
  fromAt: number,
  first: number,
  to: Uint8Array,
  toAt: number,
  blockBytes: number,
): void {
  const count = nameNodeCount(from, fromAt);
  let needed = 0;
  for (let i = first; i < count; i++) needed += nameCellBytes(nameLength(from, fromAt, i));
  if (contiguousFree(to, toAt) < needed) compactNameNode(to, toAt, blockBytes);
  for (let i = first; i < count; i++) {
    const start = cellAt(from, fromAt, i);
    const end = start + CELL_HEADER_BYTES + from[start + NameCellAt.NameLength];
    const cell = openCell(to, toAt, nameNodeCount(to, toAt), end - start);
    to.set(from.subarray(start, end), cell);
  }
  put16(from, fromAt + NameNodeAt.Count, first);
  compactNameNode(from, fromAt, blockBytes);
}

/** The index at which a split leaves about half of the bytes on each side: 1 … count - 1; the node has at least 2 cells. */
export function splitIndex(bytes: Uint8Array, at: number): number {
  const count = nameNodeCount(bytes, at);
  let total = 0;
  for (let i = 0; i < count; i++) total += nameCellBytes(nameLength(bytes, at, i));
  let below = 0;
  for (let i = 0; i < count - 1; i++) {
    below += nameCellBytes(nameLength(bytes, at, i));
    if (below * 2 >= total) return i + 1;
  }
  return count - 1;
}

/** Why the node's block is no node of `level`, or null when it is. `limit`: values of inner cells are blocks below it. */
export function validateNameNode(
  bytes: Uint8Array,
  at: number,
  blockBytes: number,
  level: number,
  limit: number,
): string | null {
  const found = nameNodeLevel(bytes, at);
  if (found !== level) return `level ${found} where ${level} was expected`;
  const count = nameNodeCount(bytes, at);
  const cellsStart = get32(bytes, at + NameNodeAt.CellsStart);
  if (SLOTS + count * SLOT_BYTES > cellsStart || cellsStart > blockBytes) return `${count} names do not fit`;
  if (level > 0 && count === 0) return 'inner node without children';
  let used = 0;
  for (let i = 0; i < count; i++) {
    const cell = get16(bytes, slotAt(at, i));
    if (cell < cellsStart || cell + CELL_HEADER_BYTES > blockBytes) return `cell ${i} is out of place`;
    const length = bytes[at + cell + NameCellAt.NameLength];
    if (cell + CELL_HEADER_BYTES + length > blockBytes) return `name ${i} reaches past the block`;
    if (length === 0 && (level === 0 || i > 0)) return `name ${i} is empty`;
    const value = get32(bytes, at + cell);
    if (value === 0 || value >= limit) return `name ${i} points to ${value}`;
    used += CELL_HEADER_BYTES + length;
  }
  if (used + get32(bytes, at + NameNodeAt.Garbage) !== blockBytes - cellsStart) return 'free space is miscounted';
  return validateOrder(bytes, at, count);
}

function validateOrder(bytes: Uint8Array, at: number, count: number): string | null {
  for (let i = 1; i < count; i++) {
    const start = nameStart(bytes, at, i);
    const length = nameLength(bytes, at, i);
    if (compareName(bytes, at, i - 1, bytes.subarray(start, start + length), length) >= 0) {
      return `name ${i} is out of order`;
    }
  }
  return null;
}
