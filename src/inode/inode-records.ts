/**
 * The records of inodes on the device: where each lies, the free list, and the inode table's growth. The orphan list is
 * orphan-list.ts's.
 *
 * Any thread may call; changes inside a journal handle. Who owns what in a record:
 *   free list, orphan list, flags, generation   the InodeTable mutex
 *   size, links, times                           the slot's RecordLock leaf mutex (`store`)
 *   root of the extent tree, block counts        the inode's extent-map lock (extent-tree.ts)
 *
 *  1. A record never moves, and the inode table never shrinks.
 *  2. Every record below Header.InodeHighWater is used, or on the free list. A used one without links is on the orphan
 *     list, and in core but for what a crash left.
 *
 * Locks, in this order: the extent-map lock of the inode table file, the InodeTable mutex, the allocator's.
 */

import { ALLOCATE_METADATA_CREDITS, type Allocator } from '../allocator/allocator.js';
import { corrupt, StoreError } from '../errors.js';
import { rootProblem } from '../format/block-content.js';
import { BlockKind } from '../format/block-header.js';
import {
  clearInodeRecord,
  firstInodeOfPage,
  InodeAt,
  InodeRecord,
  inodeRecordOffset,
  inodesPerBlock,
  inodeTablePage,
  loadInodeRecord,
  RecordFlag,
  storeInodeRecord,
} from '../format/inode-record.js';
import { setUint53 } from '../format/uint53.js';
import type { Journal } from '../journal/journal.js';
import type { Metadata } from '../journal/metadata.js';
import type { Frames } from '../pagecache/frames.js';
import { BlockRun, RunKind } from '../pagecache/mapping-operations.js';
import type { Routine } from '../routine/effect.js';
import type { Task } from '../routine/task.js';
import type { Arena } from '../sync/arena.js';
import { GlobalLock, Header, Inode, InodeFlag } from '../sync/layout.js';
import { lockLeaf, unlockLeaf } from '../sync/leaf.js';
import { lockMutex, tryLockMutex, unlockMutex } from '../sync/mutex.js';
import { acquireExclusive, acquireShared, releaseExclusive, releaseShared, tryAcquireShared } from '../sync/rwsem.js';
import { type Frame, MAX_FILE_PAGES, type Slot } from '../units.js';
import { CREDITS_INSERT, type ExtentMap } from './extent-map.js';
import { INODE_TABLE_INO, INODE_TABLE_SLOT, mapLockAt, setSize, slotAt } from './inode.js';
import type { InodeSlots } from './inode-slots.js';

/** Blocks that the inode table grows by; their inodes lie together. */
const GROW_BLOCKS = 4;
/** The highest inode number that fits a word. */
const INO_MAX = 0xffff_ffff;

/** Blocks that `take` may dirty: a record; and where the table has to grow, its blocks, their bitmaps and its extents. */
export const CREDITS_TAKE_RECORD = 1 + GROW_BLOCKS * (1 + ALLOCATE_METADATA_CREDITS) + CREDITS_INSERT;

export class InodeRecords {
  private readonly perBlock: number;
  private readonly mutex: number;
  /** Goal of the inode that this thread freed last, until a new one takes it; 0: none. */
  private vacated = 0;

  constructor(
    private readonly arena: Arena,
    private readonly frames: Frames,
    private readonly journal: Journal,
    private readonly metadata: Metadata,
    private readonly allocator: Allocator,
    private readonly extents: ExtentMap,
    private readonly slots: InodeSlots,
  ) {
    this.perBlock = inodesPerBlock(frames.blockBytes);
    this.mutex = arena.layout.locks + GlobalLock.InodeTable;
  }

  /** The block that holds the record of `ino`. */
  private *locate(task: Task, ino: number): Routine<number> {
    const page = inodeTablePage(ino, this.perBlock);
    if (ino < 2 || ino >= this.arena.unsigned[Header.InodeHighWater]) {
      throw corrupt('inode table', 0, `there is no inode ${ino}`);
    }
    const run = new BlockRun();
    const lock = mapLockAt(this.arena, INODE_TABLE_SLOT);
    if (task.yieldsAtLocks || !tryAcquireShared(task, lock)) yield* acquireShared(task, lock);
    try {
      if (!this.extents.tryLookup(task, INODE_TABLE_SLOT, page, run, 1)) {
        yield* this.extents.lookup(task, INODE_TABLE_SLOT, page, run, 1);
      }
    } finally {
      releaseShared(task, lock);
    }
    if (run.kind !== RunKind.Written) throw corrupt('inode table', 0, `page ${page} has no block`);
    return run.block;
  }

  /** The frame of the inode's record, pinned; `put` gives it back. */
  *frameOf(task: Task, slot: Slot): Routine<Frame> {
    const block = this.arena.unsigned[slotAt(this.arena, slot) + Inode.RecordBlock];
    if (block === 0) return this.journal.superblockFrame;
    const frame = this.metadata.tryGet(task, block, BlockKind.Inodes);
    return frame !== 0 ? frame : yield* this.metadata.get(task, block, BlockKind.Inodes);
  }

  put(frame: Frame): void {
    if (frame !== this.journal.superblockFrame) this.metadata.put(frame);
  }

  /** Fills the words of a busy slot from the record of its inode. EUCLEAN when that is not in use. */
  *load(task: Task, slot: Slot): Routine<void> {
    const { arena } = this;
    const at = slotAt(arena, slot);
    const ino = arena.unsigned[at + Inode.Ino];
    const block = yield* this.locate(task, ino);
    const frame = yield* this.metadata.get(task, block, BlockKind.Inodes);
    try {
      const offset = inodeRecordOffset(ino, this.perBlock);
      const record = new InodeRecord();
      loadInodeRecord(this.frames.view(frame), offset, record);
      if ((record.flags & RecordFlag.Used) === 0) throw corrupt('inode block', block, `inode ${ino} is not in use`);
      if (record.ino !== ino) throw corrupt('inode block', block, `inode ${record.ino} in the place of ${ino}`);
      this.verify(frame, block, offset, record);
      this.setUp(task, slot, block, offset, record);
    } finally {
      this.metadata.put(frame);
    }
  }

  /** Fills the words of slot 1 from the superblock. */
  loadTable(task: Task, recordOffset: number): void {
    const record = new InodeRecord();
    loadInodeRecord(this.frames.view(this.journal.superblockFrame), recordOffset, record);
    this.verify(this.journal.superblockFrame, 0, recordOffset, record);
    this.arena.unsigned[slotAt(this.arena, INODE_TABLE_SLOT) + Inode.Ino] = record.ino;
    this.setUp(task, INODE_TABLE_SLOT, 0, recordOffset, record);
    Atomics.store(this.arena.words, slotAt(this.arena, INODE_TABLE_SLOT) + Inode.Refs, 1);
  }

  /** Throws EUCLEAN for a record that no walk may rely on. */
  private verify(frame: Frame, block: number, offset: number, record: InodeRecord): void {
    const view = this.frames.view(frame);
    const words = new Uint32Array(view.buffer, view.byteOffset, this.frames.blockBytes / 4);
    let wrong = rootProblem(words, view, offset, this.arena.unsigned[Header.Blocks]);
    if (record.sizeBytes > MAX_FILE_PAGES * this.frames.blockBytes) wrong ??= `a size of ${record.sizeBytes} bytes`;
    if (wrong === null) return;
    throw corrupt(block === 0 ? 'superblock' : 'inode block', block, `inode ${record.ino}: ${wrong}`);
  }

  private setUp(task: Task, slot: Slot, block: number, offset: number, record: InodeRecord): void {
    const { arena } = this;
    const { words, unsigned, doubles } = arena;
    const at = slotAt(arena, slot);
    setSize(task, slot, record.sizeBytes);
    doubles[(at + Inode.DiskSize) / 2] = record.sizeBytes;
    doubles[(at + Inode.Mtime) / 2] = record.mtimeMs;
    doubles[(at + Inode.Ctime) / 2] = record.ctimeMs;
    doubles[(at + Inode.Birthtime) / 2] = record.birthtimeMs;
    words[at + Inode.OrphanPrevious] = 0;
    Atomics.store(words, at + Inode.Error, 0);
    Atomics.add(words, at + Inode.MapSequence, 1);
    unsigned[at + Inode.RecordBlock] = block;
    unsigned[at + Inode.RecordOffset] = offset;
    unsigned[at + Inode.Links] = record.links;
    unsigned[at + Inode.Blocks] = record.blocks;
    unsigned[at + Inode.Goal] = this.randomGoal(task);
    unsigned[at + Inode.Generation] = record.generation;
    if ((record.flags & RecordFlag.Deleted) !== 0) Atomics.or(words, at + Inode.Flags, InodeFlag.Deleted);
  }

  /** Where the inode's first block is looked for: anywhere in the part of the device that is in use. */
  private randomGoal(task: Task): number {
    const { unsigned, layout } = this.arena;
    const groups = Math.max(unsigned[Header.GroupsInitialised], 1);
    return Math.floor((task.driver.random() * unsigned[Header.Blocks] * groups) / layout.groups);
  }

  /** Takes a record off the free list for a new inode with one link; gives its number to a claimed slot, which becomes busy. */
  *take(task: Task, claimed: Slot): Routine<void> {
    const { unsigned } = this.arena;
    for (;;) {
      const ino = unsigned[Header.InodeFreeHead];
      if (ino === 0) {
        yield* this.grow(task);
        continue;
      }
      const block = yield* this.locate(task, ino);
      const frame =
        this.metadata.tryGet(task, block, BlockKind.Inodes) ||
        (yield* this.metadata.get(task, block, BlockKind.Inodes));
      try {
        if (task.yieldsAtLocks || !tryLockMutex(task, this.mutex)) yield* lockMutex(task, this.mutex);
        try {
          if (unsigned[Header.InodeFreeHead] !== ino) continue;
          this.use(task, claimed, ino, block, frame);
          return;
        } finally {
          unlockMutex(task, this.mutex);
        }
      } finally {
        this.metadata.put(frame);
      }
    }
  }

  private use(task: Task, slot: Slot, ino: number, block: number, frame: Frame): void {
    const view = this.frames.view(frame);
    const offset = inodeRecordOffset(ino, this.perBlock);
    const record = new InodeRecord();
    loadInodeRecord(view, offset, record);
    if (record.flags !== 0 || !this.enter(task, slot, ino)) {
      throw corrupt('inode block', block, `inode ${ino} is in use and on the free list`);
    }
    this.arena.unsigned[Header.InodeFreeHead] = record.next;
    const now = task.driver.now();
    record.ino = ino;
    record.generation = (record.generation + 1) >>> 0;
    record.flags = RecordFlag.Used;
    record.links = 1;
    record.sizeBytes = 0;
    record.blocks = 0;
    record.mtimeMs = now;
    record.ctimeMs = now;
    record.birthtimeMs = now;
    record.next = 0;
    clearInodeRecord(view, offset);
    storeInodeRecord(view, offset, record);
    this.journal.dirty(task, frame);
    this.setUp(task, slot, block, offset, record);
    if (this.vacated === 0) return;
    this.arena.unsigned[slotAt(this.arena, slot) + Inode.Goal] = this.vacated;
    this.vacated = 0;
  }

  /** An inode is being freed: the next new one of this thread may have its place on the device. */
  vacate(slot: Slot): void {
    this.vacated = this.arena.unsigned[slotAt(this.arena, slot) + Inode.Goal];
  }

  /** False where the number is in core already: a damaged name led somebody to the free record. */
  private enter(task: Task, slot: Slot, ino: number): boolean {
    const entered = this.slots.enter(task, slot, ino);
    if (entered !== slot) this.slots.drop(entered);
    return entered === slot;
  }

  /** Adds blocks of free records to the inode table, where its free list is empty. ENOSPC when not even one is left. */
  private *grow(task: Task): Routine<void> {
    const { unsigned } = this.arena;
    const lock = mapLockAt(this.arena, INODE_TABLE_SLOT);
    const fresh: Frame[] = [];
    yield* acquireExclusive(task, lock);
    try {
      if (unsigned[Header.InodeFreeHead] !== 0) return;
      const page = inodeTablePage(unsigned[Header.InodeHighWater], this.perBlock);
      try {
        let goal = yield* this.extents.lookupNear(task, INODE_TABLE_SLOT, page, new BlockRun(), 1);
        while (fresh.length < GROW_BLOCKS) goal = 1 + (yield* this.addBlock(task, page + fresh.length, goal, fresh));
      } catch (error) {
        if (fresh.length === 0) throw error;
      }
      yield* lockMutex(task, this.mutex);
      this.addRecords(task, page, fresh);
      unlockMutex(task, this.mutex);
    } finally {
      for (const frame of fresh) this.metadata.put(frame);
      releaseExclusive(task, lock);
    }
  }

  /** Maps page `page` of the inode table to a new block; returns it, and adds its frame. Fails only with nothing changed. */
  private *addBlock(task: Task, page: number, goal: number, fresh: Frame[]): Routine<number> {
    if (firstInodeOfPage(page + 1, this.perBlock) > INO_MAX) {
      throw new StoreError('ENOSPC', { detail: 'no inode number is left' });
    }
    const block = yield* this.allocator.allocateMetadata(task, goal);
    let frame = 0 as Frame;
    try {
      frame = yield* this.metadata.create(task, block, BlockKind.Inodes, INODE_TABLE_INO);
      yield* this.extents.insert(task, INODE_TABLE_SLOT, page, block, 1, false);
    } catch (error) {
      if (frame !== 0) {
        this.metadata.put(frame);
        yield* this.metadata.forget(task, block);
      }
      yield* this.allocator.free(task, block, 1);
      throw error;
    }
    fresh.push(frame);
    return block;
  }

  /** Puts the records of new blocks, from page `first` of the table on, on the free list, the lowest number first. */
  private addRecords(task: Task, first: number, fresh: Frame[]): void {
    const { unsigned } = this.arena;
    for (let i = fresh.length - 1; i >= 0; i--) {
      const view = this.frames.view(fresh[i]);
      const firstIno = firstInodeOfPage(first + i, this.perBlock);
      for (let ino = firstIno + this.perBlock - 1; ino >= firstIno; ino--) {
        view.setUint32(inodeRecordOffset(ino, this.perBlock) + InodeAt.Next, unsigned[Header.InodeFreeHead], true);
        unsigned[Header.InodeFreeHead] = ino;
      }
      this.journal.dirty(task, fresh[i]);
    }
    unsigned[Header.InodeHighWater] = firstInodeOfPage(first + fresh.length, this.perBlock);
    this.resizeTable(task, (first + fresh.length) * this.frames.blockBytes);
  }

  private resizeTable(task: Task, bytes: number): void {
    const at = slotAt(this.arena, INODE_TABLE_SLOT);
    setSize(task, INODE_TABLE_SLOT, bytes);
    this.arena.doubles[(at + Inode.DiskSize) / 2] = bytes;
    const { superblockFrame } = this.journal;
    setUint53(this.frames.view(superblockFrame), this.arena.unsigned[at + Inode.RecordOffset] + InodeAt.Size, bytes);
    this.journal.dirty(task, superblockFrame);
  }

  /** Copies size, links and times of an in-core inode to its record. */
  *store(task: Task, slot: Slot): Routine<void> {
    const frame = yield* this.frameOf(task, slot);
    const { arena } = this;
    const { unsigned, doubles, words } = arena;
    const at = slotAt(arena, slot);
    const view = this.frames.view(frame);
    const record = unsigned[at + Inode.RecordOffset];
    lockLeaf(task, at + Inode.RecordLock);
    // Cleared before the words are read: what changes later sets it again.
    Atomics.and(words, at + Inode.Flags, ~InodeFlag.Dirty);
    view.setUint32(record + InodeAt.Links, unsigned[at + Inode.Links], true);
    setUint53(view, record + InodeAt.Size, doubles[(at + Inode.DiskSize) / 2]);
    view.setFloat64(record + InodeAt.MtimeMs, doubles[(at + Inode.Mtime) / 2], true);
    view.setFloat64(record + InodeAt.CtimeMs, doubles[(at + Inode.Ctime) / 2], true);
    view.setFloat64(record + InodeAt.BirthtimeMs, doubles[(at + Inode.Birthtime) / 2], true);
    unlockLeaf(task, at + Inode.RecordLock);
    this.journal.dirty(task, frame);
    this.put(frame);
  }
}
