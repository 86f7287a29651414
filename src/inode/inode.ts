/**
 * The words of one in-core inode, read and written by functions on (arena, slot).
 *
 * Any thread may call. Invariants:
 * 1. The size is two words under a sequence count: odd while they change. Its only writer holds i_rwsem exclusive, to the file's end (file/enter.ts);
 *    readers take no lock and retry.
 * 2. The disk size and the block count are written under the extent-map lock exclusive. The disk size is what the record
 *    on the device says: it moves forward only once the data below it are on the device.
 * 3. Times and the disk size are doubles; a whole aligned double is never torn on the supported hosts. Times are written
 *    holding i_rwsem exclusive over some pages: the last store stays.
 * 4. A slot's locks are initialised once, before any thread may reference it (`initInodeSlots`).
 */
import type { Task } from '../routine/task.js';
import type { Arena } from '../sync/arena.js';
import { Inode, InodeFlag, Journal } from '../sync/layout.js';
import { LockRank } from '../sync/lockdep.js';
import { initRwsem } from '../sync/rwsem.js';
import type { Slot } from '../units.js';

/** The mapping of device metadata; no inode. */
export const METADATA_SLOT = 0 as Slot;
/** The inode table file, ino 1. Its record lies in the superblock; it is always in core and never in the hash. */
export const INODE_TABLE_SLOT = 1 as Slot;
export const INODE_TABLE_INO = 1;
/** The first inode number that a file may have. */
export const FIRST_FILE_INO = 2;
/** The first slot that files may use. */
export const FIRST_FILE_SLOT = 2;

const WORD_RANGE = 2 ** 32;
/** Reads of an odd sequence before a reader asks whether the writer's thread has died. */
const SIZE_SPINS = 1000;

/** Word offset of a slot's record. */
export function slotAt(arena: Arena, slot: Slot): number {
  return arena.layout.inodeRecords + slot * Inode.Words;
}

export function iRwsemAt(arena: Arena, slot: Slot): number {
  return slotAt(arena, slot) + Inode.IRwsem;
}

export function invalidateLockAt(arena: Arena, slot: Slot): number {
  return slotAt(arena, slot) + Inode.InvalidateLock;
}

export function mapLockAt(arena: Arena, slot: Slot): number {
  return slotAt(arena, slot) + Inode.MapLock;
}

/** Gives every slot its locks. The opening thread calls it once, before the arena is shared. */
export function initInodeSlots(arena: Arena): void {
  for (let slot = 0 as Slot; slot < arena.layout.inodes; slot++) {
    const at = slotAt(arena, slot);
    initRwsem(arena, at + Inode.IRwsem, LockRank.IRwsem);
    initRwsem(arena, at + Inode.InvalidateLock, LockRank.InvalidateLock);
    initRwsem(arena, at + Inode.MapLock, LockRank.ExtentMap);
  }
}

/** The file's size in bytes; what readers clamp to. Takes no lock. */
export function sizeOf(arena: Arena, slot: Slot): number {
  const at = slotAt(arena, slot);
  const words = arena.words;
  for (let spins = 1; ; spins++) {
    const before = Atomics.load(words, at + Inode.SizeSeq);
    if ((before & 1) === 0) {
      const high = Atomics.load(words, at + Inode.SizeHigh) >>> 0;
      const low = Atomics.load(words, at + Inode.SizeLow) >>> 0;
      if (Atomics.load(words, at + Inode.SizeSeq) === before) return high * WORD_RANGE + low;
    }
    if (spins % SIZE_SPINS === 0) arena.checkOpen('read');
  }
}

/**
 * Whether the host's processor loads and stores an aligned double in one piece, and keeps its plain loads and stores in
 * order: that a reader who sees the new size sees the bytes below it hangs on both.
 */
const DOUBLES_PUBLISH = process.arch === 'x64' || process.arch === 's390x';

/**
 * `sizeOf` for hits, which come right behind an atomic operation on the page: one plain load of a double where the processor
 * allows it. The language promises it for no double, so elsewhere the words are read.
 */
export function sizeForHit(arena: Arena, slot: Slot): number {
  if (!DOUBLES_PUBLISH) return sizeOf(arena, slot);
  return arena.doubles[(arena.layout.inodeRecords + slot * Inode.Words + Inode.HitSize) >> 1];
}

/** Sets the size that readers see. The caller holds i_rwsem exclusive to the end of the file (file/enter.ts), or is the slot's only user. */
export function setSize(task: Task, slot: Slot, bytes: number): void {
  const { arena } = task;
  const at = slotAt(arena, slot);
  const words = arena.words;
  const sequence = Atomics.add(words, at + Inode.SizeSeq, 1);
  Atomics.store(words, at + Inode.SizeHigh, Math.floor(bytes / WORD_RANGE) | 0);
  Atomics.store(words, at + Inode.SizeLow, bytes | 0);
  arena.doubles[(at + Inode.HitSize) / 2] = bytes;
  Atomics.store(words, at + Inode.SizeSeq, (sequence + 2) | 0);
}

/** The size in the record on the device (or in the running transaction). */
export function diskSizeOf(arena: Arena, slot: Slot): number {
  return arena.doubles[(slotAt(arena, slot) + Inode.DiskSize) / 2];
}

/**
 * The caller holds the extent-map lock exclusive, and calls `InodeTable.update` in the same handle. What a larger size
 * covers was written before, and must be durable first (`Journal.orderData`).
 */
export function setDiskSize(task: Task, slot: Slot, bytes: number): void {
  const { words, layout } = task.arena;
  if (bytes > diskSizeOf(task.arena, slot)) {
    Atomics.store(words, layout.journal + Journal.Ordered, words[layout.journal + Journal.Running]);
  }
  task.arena.doubles[(slotAt(task.arena, slot) + Inode.DiskSize) / 2] = bytes;
  markInodeDirty(task.arena, slot);
}

export function inoOf(arena: Arena, slot: Slot): number {
  return arena.unsigned[slotAt(arena, slot) + Inode.Ino];
}

/** Allocated blocks, those of the extent tree not counted. */
export function blocksOf(arena: Arena, slot: Slot): number {
  return arena.unsigned[slotAt(arena, slot) + Inode.Blocks];
}

export function linksOf(arena: Arena, slot: Slot): number {
  return arena.unsigned[slotAt(arena, slot) + Inode.Links];
}

export function mtimeOf(arena: Arena, slot: Slot): number {
  return arena.doubles[(slotAt(arena, slot) + Inode.Mtime) / 2];
}

export function ctimeOf(arena: Arena, slot: Slot): number {
  return arena.doubles[(slotAt(arena, slot) + Inode.Ctime) / 2];
}

export function birthtimeOf(arena: Arena, slot: Slot): number {
  return arena.doubles[(slotAt(arena, slot) + Inode.Birthtime) / 2];
}

/** Milliseconds since the epoch. The caller marks the inode dirty. */
export function setTimes(arena: Arena, slot: Slot, mtimeMs: number, ctimeMs: number, birthtimeMs: number): void {
  const at = slotAt(arena, slot);
  arena.doubles[(at + Inode.Mtime) / 2] = mtimeMs;
  arena.doubles[(at + Inode.Ctime) / 2] = ctimeMs;
  arena.doubles[(at + Inode.Birthtime) / 2] = birthtimeMs;
}

/** The content changed: mtime and ctime are now. The caller holds i_rwsem exclusive over what it changed. */
export function touchModified(task: Task, slot: Slot): void {
  const { arena } = task;
  const at = slotAt(arena, slot);
  const now = task.driver.now();
  arena.doubles[(at + Inode.Mtime) / 2] = now;
  arena.doubles[(at + Inode.Ctime) / 2] = now;
  markInodeDirty(arena, slot);
}

/** The inode itself changed (its names, its links): ctime is now. */
export function touchChanged(task: Task, slot: Slot): void {
  task.arena.doubles[(slotAt(task.arena, slot) + Inode.Ctime) / 2] = task.driver.now();
  markInodeDirty(task.arena, slot);
}

/**
 * The record on the device is older than the words, which the caller has changed before: `InodeTable.update` has something
 * to write. An atomic operation even where the flag is set, so that the words are seen by whoever clears it.
 */
export function markInodeDirty(arena: Arena, slot: Slot): void {
  Atomics.or(arena.words, slotAt(arena, slot) + Inode.Flags, InodeFlag.Dirty);
}

export function isInodeDirty(arena: Arena, slot: Slot): boolean {
  return (Atomics.load(arena.words, slotAt(arena, slot) + Inode.Flags) & InodeFlag.Dirty) !== 0;
}

/** No name is left; its blocks are freed at the last release. */
export function isDeleted(arena: Arena, slot: Slot): boolean {
  return (Atomics.load(arena.words, slotAt(arena, slot) + Inode.Flags) & InodeFlag.Deleted) !== 0;
}
