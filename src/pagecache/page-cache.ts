/**
 * The page cache of one store, as one thread sees it.
 *
 * All state is in the arena and the page frames; an instance is views and constants, made once per thread. What each
 * method may be called with, and the invariants, stand in the module that does the work: page.ts (states, why hits need no
 * lock), lookup.ts, page-lock.ts, mapping.ts, reclaim.ts, fill.ts, drop.ts, writeback.ts, dirty-limit.ts.
 *
 * Locks: page lock (sleeping), and leaf mutexes of bucket, mapping list and reclaim, never two at once.
 */
import type { Device } from '../device/device.js';
import type { StoreError } from '../errors.js';
import type { Routine } from '../routine/effect.js';
import type { Task } from '../routine/task.js';
import type { Arena } from '../sync/arena.js';
import { Page } from '../sync/layout.js';
import type { Frame, Slot } from '../units.js';
import type { CacheParts, DirtyLimits } from './cache-parts.js';
import { BackgroundWriteback, balanceDirty, writeSome } from './dirty-limit.js';
import { detach, drop, evictRange } from './drop.js';
import { type FillOptions, fill, fillLocked } from './fill.js';
import type { FillBatch } from './fill-batch.js';
import type { Frames } from './frames.js';
import { Lookup } from './lookup.js';
import { Mappings } from './mapping.js';
import type { MappingOperations } from './mapping-operations.js';
import { assertTransition, PageFlag, Transition } from './page.js';
import { PageLock } from './page-lock.js';
import { Reclaim } from './reclaim.js';
import { errorSequence, errorSince, type WriteOptions, writeRange } from './writeback.js';

export type { DirtyLimits } from './cache-parts.js';

const DEFAULT_LIMITS: DirtyLimits = { dirtyRatio: 0.5, dirtyExpireMs: 30_000 };
const RELIEF_PAGES = 256;

export interface CacheOperations {
  files: MappingOperations;
  metadata: MappingOperations;
}

export class PageCache implements CacheParts {
  readonly lookup: Lookup;
  readonly locks: PageLock;
  readonly mappings: Mappings;
  readonly reclaim: Reclaim;
  /** Set by the store layer before the first fill. */
  operations: CacheOperations | null = null;
  /** Whether the last `findOrCreate` of this thread inserted the page. */
  created = false;
  spareBatch: FillBatch | null = null;
  private readonly background = new BackgroundWriteback();
  private readonly words: Int32Array;
  private readonly records: number;

  constructor(
    readonly arena: Arena,
    readonly frames: Frames,
    readonly device: Device,
    readonly limits: DirtyLimits = DEFAULT_LIMITS,
  ) {
    this.words = arena.words;
    this.records = arena.layout.pageRecords;
    this.lookup = new Lookup(arena);
    this.locks = new PageLock(arena);
    this.mappings = new Mappings(arena, this.locks);
    this.reclaim = new Reclaim(arena, this.lookup, this.mappings);
    this.reclaim.relieve = (task) => writeSome(this, task, RELIEF_PAGES);
  }

  operationsOf(mapping: Slot): MappingOperations {
    return mapping === 0 ? this.operations!.metadata : this.operations!.files;
  }

  // Hits. Hot.

  /** The page's frame, pinned, or 0: not cached, or missed. */
  find(mapping: Slot, index: number): Frame {
    return this.lookup.find(mapping, index);
  }

  unpin(frame: Frame): void {
    this.lookup.unpin(frame);
  }

  /** `find` and `unpin` of hit paths: a thread that dies in between gives its pin back. `record` is the task's. */
  findHit(record: number, mapping: Slot, index: number): Frame {
    return this.lookup.findHit(record, mapping, index);
  }

  unpinHit(record: number, frame: Frame): void {
    this.lookup.unpinHit(record, frame);
  }

  /** One more pin on a page pinned already. */
  pin(frame: Frame): void {
    this.lookup.pin(frame);
  }

  /** Counts a use of a pinned page whose state word was `state`; true on the first use of a page read ahead. */
  touch(frame: Frame, state: number): boolean {
    return this.lookup.touch(frame, state);
  }

  /** The state word: PageFlag bits, and pins. */
  stateOf(frame: Frame): number {
    return Atomics.load(this.words, this.records + frame * Page.Words + Page.State);
  }

  isUptodate(frame: Frame): boolean {
    return (this.stateOf(frame) & PageFlag.Uptodate) !== 0;
  }

  isDetached(frame: Frame): boolean {
    return (this.stateOf(frame) & PageFlag.Detached) !== 0;
  }

  /** The mapping's slot + 1, or 0 once the page is detached. */
  mappingOf(frame: Frame): number {
    return Atomics.load(this.words, this.records + frame * Page.Words + Page.Mapping);
  }

  indexOf(frame: Frame): number {
    return Atomics.load(this.words, this.records + frame * Page.Words + Page.Index) >>> 0;
  }

  // Finding and making pages.

  /** As `find`, authoritative; takes the bucket's lock. */
  findLocked(task: Task, mapping: Slot, index: number): Frame {
    return this.lookup.lookup(task, mapping, index);
  }

  /**
   * The page, pinned. With `created` true on return it is new: locked by the task, not up to date, without a block. Read
   * `created` before the next yield.
   */
  *findOrCreate(task: Task, mapping: Slot, index: number): Routine<Frame> {
    this.created = false;
    let frame = this.lookup.find(mapping, index);
    if (frame === 0) frame = this.lookup.lookup(task, mapping, index);
    if (frame !== 0) return frame;
    const fresh = new Int32Array(1);
    yield* this.reclaim.allocate(task, mapping, fresh, 1, true);
    const present = this.lookup.insert(task, fresh[0] as Frame, mapping, index);
    if (present !== 0) {
      this.reclaim.giveBack(task, fresh, 0, 1);
      this.created = false;
      return present;
    }
    frame = fresh[0] as Frame;
    this.locks.adopt(task, frame);
    this.mappings.add(task, mapping, fresh, 1);
    this.reclaim.enqueue(task, fresh, 1);
    this.created = true;
    return frame;
  }

  /**
   * The page, pinned and up to date, filled if need be. For mappings whose callers keep the extents still all the while:
   * the metadata mapping.
   */
  *read(task: Task, mapping: Slot, index: number): Routine<Frame> {
    for (;;) {
      const frame = this.lookup.find(mapping, index) || this.lookup.lookup(task, mapping, index);
      if (frame !== 0) {
        if (this.isUptodate(frame)) return frame;
        this.lookup.unpin(frame);
      }
      const busy = yield* fill(this, task, mapping, index, 1);
      if (busy === 0) continue;
      try {
        yield* this.locks.waitUnlocked(task, busy);
      } finally {
        this.lookup.unpin(busy);
      }
    }
  }

  fill(task: Task, mapping: Slot, first: number, pages: number, options?: FillOptions): Routine<Frame> {
    return fill(this, task, mapping, first, pages, options);
  }

  /** Fills one page that the task has locked. */
  fillLocked(task: Task, mapping: Slot, frame: Frame, index: number): Routine<void> {
    return fillLocked(this, task, mapping, frame, index);
  }

  /** Takes a page that the task has locked and pinned out of the cache, unlocks and unpins it: undoes a `findOrCreate`. */
  abandon(task: Task, mapping: Slot, frame: Frame, index: number): void {
    const reserved = detach(this, task, mapping, frame, index);
    if (reserved > 0) this.operationsOf(mapping).unreserve(task, mapping, reserved);
    this.locks.unlock(task, frame);
    this.lookup.unpin(frame);
  }

  // The page lock.

  tryLockPage(task: Task, frame: Frame): boolean {
    return this.locks.tryLock(task, frame);
  }

  lockPage(task: Task, frame: Frame): Routine<void> {
    return this.locks.lock(task, frame);
  }

  unlockPage(task: Task, frame: Frame): void {
    this.locks.unlock(task, frame);
  }

  waitUnlocked(task: Task, frame: Frame): Routine<void> {
    return this.locks.waitUnlocked(task, frame);
  }

  waitWriteback(task: Task, frame: Frame): Routine<void> {
    return this.locks.waitWriteback(task, frame);
  }

  // Flags and block of a locked page.

  markUptodate(frame: Frame): void {
    const old = Atomics.or(this.words, this.records + frame * Page.Words + Page.State, PageFlag.Uptodate);
    if (this.arena.verify) assertTransition(Transition.FillDone, old, frame);
  }

  /** Clears the readahead marker; true for the one caller that found it set. Needs a pin only. */
  takeMarker(frame: Frame): boolean {
    const at = this.records + frame * Page.Words + Page.State;
    return (Atomics.and(this.words, at, ~PageFlag.Readahead) & PageFlag.Readahead) !== 0;
  }

  /** The device block of the page's content: NO_BLOCK, UNWRITTEN_BLOCK or a number. */
  blockOf(frame: Frame): number {
    return Atomics.load(this.words, this.records + frame * Page.Words + Page.Block) >>> 0;
  }

  setBlock(frame: Frame, block: number): void {
    Atomics.store(this.words, this.records + frame * Page.Words + Page.Block, block | 0);
  }

  isReserved(frame: Frame): boolean {
    return (this.stateOf(frame) & PageFlag.Reserved) !== 0;
  }

  /** A block is promised to the page. Look at `isReserved` before `blockOf` to decide whether one is needed. */
  setReserved(frame: Frame): void {
    const old = Atomics.or(this.words, this.records + frame * Page.Words + Page.State, PageFlag.Reserved);
    if (this.arena.verify) assertTransition(Transition.Reserve, old, frame);
  }

  /** True if the page had a reservation, which is now the caller's. */
  clearReserved(frame: Frame): boolean {
    const old = Atomics.and(this.words, this.records + frame * Page.Words + Page.State, ~PageFlag.Reserved);
    return (old & PageFlag.Reserved) !== 0;
  }

  // Dirty pages.

  markDirty(task: Task, mapping: Slot, frame: Frame): void {
    this.mappings.markDirty(task, mapping, frame);
  }

  clearDirty(task: Task, mapping: Slot, frame: Frame): void {
    this.mappings.clearDirty(task, mapping, frame);
  }

  startWriteback(task: Task, mapping: Slot, frame: Frame): void {
    this.mappings.startWriteback(task, mapping, frame);
  }

  /** Ends writeback of frames[from] … frames[to - 1] of one mapping; with `failed` they are dirty again. */
  endWriteback(task: Task, mapping: Slot, frames: Int32Array, from: number, to: number, failed: boolean): void {
    this.mappings.endWriteback(task, mapping, frames, from, to, failed);
    this.reclaim.announce(task);
  }

  writeRange(task: Task, mapping: Slot, first: number, end: number, options: WriteOptions): Routine<StoreError | null> {
    return writeRange(this, task, mapping, first, end, options);
  }

  writeSome(task: Task, pages: number): Routine<number> {
    return writeSome(this, task, pages);
  }

  balanceDirty(task: Task): Routine<void> {
    return balanceDirty(this, task);
  }

  /** For the background thread: writes a chunk of what is due; answers pages written, 0 when nothing is. */
  backgroundPass(task: Task): Routine<number> {
    return this.background.pass(this, task);
  }

  errorSince(mapping: Slot, seen: number): StoreError | null {
    return errorSince(this, mapping, seen);
  }

  errorSequence(mapping: Slot): number {
    return errorSequence(this, mapping);
  }

  // Whole mappings.

  /** Drops whole pages [first, end). The caller holds what its scheme names against fills, and asserts it. */
  drop(task: Task, mapping: Slot, first: number, end: number): Routine<void> {
    return drop(this, task, mapping, first, end);
  }

  /** Evicts what is clean and unused of [first, end). */
  evictRange(task: Task, mapping: Slot, first: number, end: number): void {
    evictRange(this, task, mapping, first, end);
  }

  pagesOf(mapping: Slot): number {
    return this.mappings.pagesOf(mapping);
  }

  dirtyPagesOf(mapping: Slot): number {
    return this.mappings.dirtyPagesOf(mapping);
  }
}
