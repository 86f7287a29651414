/**
 * The journal: every change of metadata happens inside a handle of the running transaction, and a commit makes the
 * transaction durable as a whole. Any thread may call; a commit runs on whichever thread needs it first (commit.ts), a
 * checkpoint on the background thread, or on a committer who finds no room in the log (checkpoint.ts).
 *
 * 1. A dirty page of the metadata mapping belongs to the running transaction; the snapshot leaves none dirty.
 * 2. Dirty blocks + credits of open handles never exceed `capacity`, what a commit can copy and the log hold at once;
 *    credits of open handles never exceed the free exclusion records, nor the room for revocations: `begin` commits first
 *    where they would. A handle dirties at most its credits (asserted), and frees at most as many runs of blocks.
 * 3. Commits are serial (Commit mutex, tried, never waited for). Data written before `commit` was called are durable when
 *    it returns: it waits for a device flush that began after the call.
 * 4. The first failed commit or checkpoint stops the journal: pages stay readable, `begin` and `commit` throw EIO.
 * 5. The superblock's copy in the last block is refreshed when the store's state changes (open, closed, error).
 *
 * No wake-up is lost. Starters sleep on Stopped = 1, which is stored before its waker wakes all. The committer sleeps on
 * the number of handles it saw, which only falls while Stopped is 1; who brings it to 0 sees Stopped under the same leaf
 * mutex, and wakes. Who shares a commit reads Progress, then sees its transaction not durable, then fails to take the
 * Commit mutex: its holder increments Progress after releasing it, so after that reading.
 *
 * Locks: takes Commit, Checkpoint, and what the allocator's release takes; JournalState and Exclusions leaf mutexes. A
 * handle counts as a lock of rank JournalHandle. Nobody waits for a commit while holding anything above a page lock.
 */
import { assert } from '../assert.js';
import type { Device } from '../device/device.js';
import { StoreError } from '../errors.js';
import { DiskState, SuperblockAt, UUID_BYTES } from '../format/superblock.js';
import { PageFlag } from '../pagecache/page.js';
import type { PageCache } from '../pagecache/page-cache.js';
import type { Routine } from '../routine/effect.js';
import type { Task } from '../routine/task.js';
import type { Arena } from '../sync/arena.js';
import { GlobalLock, Header, REVOKED_MAX, StoreState, Thread, Journal as Word } from '../sync/layout.js';
import { lockLeaf, unlockLeaf } from '../sync/leaf.js';
import { LockMode, LockRank } from '../sync/lockdep.js';
import { initMutex, tryLockMutex, unlockMutex } from '../sync/mutex.js';
import { Count, count } from '../sync/statistics.js';
import type { Frame, Slot } from '../units.js';
import { Checkpoint, initCheckpoint } from './checkpoint.js';
import { Commit } from './commit.js';
import { RECORD_SLOTS } from './commit-buffer.js';
import { Log } from './log.js';
import { handleBlocksMax, type LogShape, revokedMax, SUPERBLOCK_IMAGES } from './log-area.js';
import { LoggedFrames } from './logged-frames.js';
import { Revocations } from './revocations.js';
import { loadCounters } from './superblock-page.js';
import { next, reached } from './transaction-number.js';

const METADATA = 0 as Slot;
const EVERYBODY = Number.POSITIVE_INFINITY;
/** A transaction takes at most so many frames of the cache, since they cannot be evicted; small caches give more. */
const FRAMES_SHARE = 4;
/** A transaction of so many blocks may fill the log alone; larger ones leave half of it to the one before. */
const CAPACITY_MIN = 128;
/** Pages that are in the log and not in place cannot be evicted either: at this share of the frames they are written. */
const LOGGED_SHARE = 8;
/** The background thread empties the log when this part of it is in use, or of the frames' share. */
const BACKGROUND_SHARE = 2;
/** Claims hold at most one exclusion record in so many; the rest is for what handles free. */
export const CLAIM_SHARE = 4;

/** Told when a transaction is durable, by the thread that committed it, after it released the Commit mutex. */
export interface DurableListener {
  /** Without `waiting` it does nothing while somebody else is at it, or while a checkpoint is under way. */
  releaseQuarantine(task: Task, waiting: boolean): Routine<void>;
}

/** What a thread needs of the journal beyond handles; made when the superblock has told where the log is. */
interface Parts {
  /** Blocks that the handles of one transaction may dirty, and may free. */
  capacity: number;
  revokedMax: number;
  /** Credits that one handle may have: it must fit an empty transaction, and records for what it may free be there. */
  creditsMax: number;
  /** No handle can dirty more: there are no more blocks that may hold metadata. */
  metadataBlocks: number;
  log: Log;
  logged: LoggedFrames;
  commit: Commit;
  checkpoint: Checkpoint;
}

/** Makes the journal's locks. Called once, by the opening thread, before the arena is shared. */
export function initJournal(arena: Arena): void {
  initMutex(arena, arena.layout.locks + GlobalLock.Commit, LockRank.Commit);
  initCheckpoint(arena);
}

export class Journal {
  /** The allocator. */
  listener: DurableListener | null = null;
  private readonly words: Int32Array;
  /** Where the journal's words are, and the locks. */
  private readonly at: number;
  private readonly stateLock: number;
  private readonly commitLock: number;
  private readonly revocations: Revocations;
  private made: Parts | null = null;

  constructor(
    readonly arena: Arena,
    readonly cache: PageCache,
    readonly device: Device,
    /** Memory that O_DIRECT takes, shared by all threads; bounds a transaction. At least 64 blocks. */
    readonly buffer: SharedArrayBuffer,
    readonly blockBytes: number,
  ) {
    this.words = arena.words;
    this.at = arena.layout.journal;
    this.stateLock = arena.layout.locks + GlobalLock.JournalState;
    this.commitLock = arena.layout.locks + GlobalLock.Commit;
    this.revocations = new Revocations(arena);
  }

  /** Blocks that the handles of one transaction may dirty. */
  get capacity(): number {
    return this.parts.capacity;
  }

  /** Credits that one handle may have. */
  get creditsMax(): number {
    return this.parts.creditsMax;
  }

  /**
   * Takes over the superblock's page, pinned by the caller for as long as the store is open, and the counters in it. The
   * opening thread calls it once, before any handle.
   */
  start(superblock: Frame): void {
    const { words, at } = this;
    const view = this.cache.frames.view(superblock);
    loadCounters(this.arena, view);
    const last = view.getUint32(SuperblockAt.Transaction, true);
    const high = view.getUint32(SuperblockAt.Transaction + 4, true);
    words[at + Word.SuperblockFrame] = superblock;
    words[at + Word.Running] = next(last);
    words[at + Word.RunningHigh] = last === 0xffff_ffff ? high + 1 : high;
    words[at + Word.Durable] = last | 0;
    words[at + Word.Dirtied] = last | 0;
    words[at + Word.Wanted] = last | 0;
  }

  /** The superblock's page (block 0), pinned. For fields that are no counters: change them in a handle, and `dirty` it. */
  get superblockFrame(): Frame {
    return this.words[this.at + Word.SuperblockFrame] as Frame;
  }

  /**
   * Opens a handle: the metadata changes until `end` become durable together. It may dirty `credits` blocks and free as
   * many runs. Inside a handle it only deepens it, and the outer credits must do. The task must not wait, until `end`, for
   * data pages' locks or writeback, nor for anybody who might wait for a commit.
   */
  *begin(task: Task, credits: number): Routine<void> {
    if (task.yieldsAtLocks && task.handleDepth === 0) yield task.point('lock:wanted', this.at);
    if (this.tryBegin(task, credits)) return;
    count(task, Count.HandleWaits);
    do {
      this.throwIfFailed();
      if (Atomics.load(this.words, this.at + Word.Stopped) !== 0) yield task.wait(this.at + Word.Stopped, 1);
      else yield* this.makeRoom(task);
    } while (!this.tryBegin(task, credits));
  }

  /** `begin` where nothing has to be waited for. */
  tryBegin(task: Task, wanted: number): boolean {
    if (task.handleDepth > 0) {
      task.handleDepth += 1;
      return true;
    }
    const { creditsMax, metadataBlocks } = this.parts;
    const credits = Math.min(wanted, metadataBlocks);
    assert(credits > 0 && credits <= creditsMax, `a handle of ${credits} credits; it may have ${creditsMax}`);
    const { words, at } = this;
    if (task.lockdep !== null) task.lockdep.acquire(LockRank.JournalHandle, at, LockMode.Shared, false);
    words[task.record + Thread.Handles] = 1;
    lockLeaf(task, this.stateLock);
    const admitted = words[at + Word.Stopped] === 0 && words[at + Word.Error] === 0 && this.hasRoom(credits);
    if (admitted) {
      Atomics.add(words, at + Word.Handles, 1);
      words[at + Word.Credits] += credits;
    }
    unlockLeaf(task, this.stateLock);
    if (!admitted) {
      words[task.record + Thread.Handles] = 0;
      if (task.lockdep !== null) task.lockdep.release(LockRank.JournalHandle, at);
      return false;
    }
    task.handleDepth = 1;
    task.handleCredits = credits;
    task.handleDirtied = 0;
    task.noWriteback += 1;
    return true;
  }

  end(task: Task): void {
    assert(task.handleDepth > 0, 'a handle is ended that was not begun');
    task.handleDepth -= 1;
    if (task.handleDepth > 0) return;
    const { words, at } = this;
    lockLeaf(task, this.stateLock);
    words[at + Word.Credits] -= task.handleCredits;
    const left = Atomics.sub(words, at + Word.Handles, 1) - 1;
    const wakeCommitter = left === 0 && words[at + Word.Stopped] !== 0;
    unlockLeaf(task, this.stateLock);
    words[task.record + Thread.Handles] = 0;
    task.noWriteback -= 1;
    if (task.lockdep !== null) task.lockdep.release(LockRank.JournalHandle, at);
    if (wakeCommitter) task.driver.wake(at + Word.Handles, 1);
    if (Atomics.load(words, Header.MetadataDirty) * 2 > this.parts.capacity) this.want(task);
  }

  /** Makes a pinned metadata page part of the running transaction; before or after its change, inside the handle. */
  dirty(task: Task, frame: Frame): void {
    assert(task.handleDepth > 0, 'metadata changed outside a transaction');
    const { words, at } = this;
    if ((this.cache.stateOf(frame) & PageFlag.Dirty) !== 0) return;
    Atomics.store(words, at + Word.Dirtied, words[at + Word.Running]);
    this.cache.markDirty(task, METADATA, frame);
    task.handleDirtied += 1;
    assert(
      task.handleDirtied <= task.handleCredits,
      `a handle of ${task.handleCredits} credits dirtied more blocks than that`,
    );
  }

  /** Inside the handle that frees a metadata block: images of it in the log must not be replayed. */
  revoke(task: Task, block: number): void {
    assert(task.handleDepth > 0, 'a block is revoked outside a transaction');
    this.revocations.add(task, block);
  }

  /** A freed block's page is detached, and pinned by the caller. */
  forget(frame: Frame): void {
    this.parts.logged.forget(frame);
  }

  /** Inside a handle: what was written to the device so far must be durable before this transaction may be. */
  orderData(task: Task): void {
    assert(task.handleDepth > 0, 'data are ordered before no transaction');
    Atomics.store(this.words, this.at + Word.Ordered, this.words[this.at + Word.Running]);
  }

  /**
   * On return, what ended handles changed and what was written to the device before the call is durable. Concurrent
   * callers share one commit. The caller has no handle, and no lock above a page lock. Throws EIO once a commit failed.
   */
  *commit(task: Task): Routine<void> {
    const { words, at } = this;
    const flush = Atomics.load(words, at + Word.FlushBegun) + 1;
    this.parts.commit.arrive(task);
    yield* this.commitThrough(task, Atomics.load(words, at + Word.Dirtied), flush | 0);
  }

  /** Asks the background thread to commit the running transaction soon; it asks `isWanted`. */
  want(task: Task): void {
    const { words, at } = this;
    const running = Atomics.load(words, at + Word.Running);
    if (Atomics.exchange(words, at + Word.Wanted, running) === running) return;
    this.wakeBackground(task);
  }

  /** Whether somebody asked for a commit that has not happened. */
  get isWanted(): boolean {
    return !reached(this.durable, Atomics.load(this.words, this.at + Word.Wanted));
  }

  /** Writes what the log holds where it belongs, and empties it. Callers as of `commit`. Throws EIO once one failed. */
  *checkpoint(task: Task): Routine<void> {
    assert(task.handleDepth === 0, 'a checkpoint inside a handle');
    this.throwIfFailed();
    const { checkpoint, commit } = this.parts;
    try {
      yield* checkpoint.run(task);
    } catch (error) {
      commit.fail(error);
      throw error;
    }
    if (this.listener !== null) yield* this.listener.releaseQuarantine(task, false);
  }

  /** Whether a checkpoint in the background is worth while. */
  get wantsCheckpoint(): boolean {
    const { log, logged } = this.parts;
    return log.used * BACKGROUND_SHARE > log.area.length || logged.count * BACKGROUND_SHARE > this.loggedMax;
  }

  /** Blocks of the log in use. */
  get logBlocksUsed(): number {
    return this.parts.log.used;
  }

  /** Writes the store's state into the superblock and its copy, durably and in place. */
  *setState(task: Task, state: DiskState): Routine<void> {
    yield* this.begin(task, 1);
    try {
      this.cache.frames.view(this.superblockFrame).setUint32(SuperblockAt.State, state, true);
      this.dirty(task, this.superblockFrame);
      Atomics.store(this.words, this.at + Word.CopyWanted, 1);
    } finally {
      this.end(task);
    }
    yield* this.commit(task);
    yield* this.checkpoint(task);
  }

  /** Makes everything durable, and only then the store clean. No handle may follow. */
  *close(task: Task): Routine<void> {
    yield* this.commit(task);
    yield* this.setState(task, DiskState.Clean);
  }

  /** The running transaction's number, low word. */
  get running(): number {
    return Atomics.load(this.words, this.at + Word.Running);
  }

  /** The last durable transaction's number, low word; compare with `reached`. */
  get durable(): number {
    return Atomics.load(this.words, this.at + Word.Durable);
  }

  get failed(): boolean {
    return Atomics.load(this.words, this.at + Word.Error) !== 0;
  }

  /** Under the JournalState lock. Claims of the moment, which take records without it, are at most one a thread. */
  private hasRoom(credits: number): boolean {
    const { words } = this;
    const { capacity, revokedMax } = this.parts;
    const promised = words[this.at + Word.Credits] + credits;
    if (Atomics.load(words, Header.MetadataDirty) + promised > capacity) return false;
    if (words[this.at + Word.Revoked] + promised > revokedMax) return false;
    return Atomics.load(words, Header.ExclusionCount) - this.arena.layout.threads >= promised;
  }

  private *makeRoom(task: Task): Routine<void> {
    yield* this.commitThrough(task, this.running, Atomics.load(this.words, this.at + Word.FlushEnded));
    // The commit may have been another thread's, which is still busy with what it freed.
    if (this.listener !== null) yield* this.listener.releaseQuarantine(task, true);
  }

  /** Commits, or shares others' commits and flushes, until the transaction and the flush of these numbers are done. */
  private *commitThrough(task: Task, transaction: number, flush: number): Routine<void> {
    assert(task.handleDepth === 0, 'a commit inside a handle waits for itself');
    if (task.lockdep !== null) task.lockdep.assertMayWait(LockRank.PageLock, 'a commit');
    const { words, at } = this;
    const { commit } = this.parts;
    if (task.yieldsAtLocks) yield task.point('lock:wanted', this.commitLock);
    for (;;) {
      const progress = Atomics.load(words, at + Word.Progress);
      const isDurable = reached(this.durable, transaction);
      if (isDurable && reached(Atomics.load(words, at + Word.FlushEnded), flush)) return;
      this.throwIfFailed();
      if (!tryLockMutex(task, this.commitLock)) {
        yield task.wait(at + Word.Progress, progress);
        continue;
      }
      try {
        if (!reached(this.durable, transaction)) yield* commit.run(task);
        else if (!reached(Atomics.load(words, at + Word.FlushEnded), flush)) yield* commit.flush(task);
      } finally {
        unlockMutex(task, this.commitLock);
        commit.announce(task);
      }
      if (!isDurable) yield* this.afterCommit(task);
    }
  }

  /** By the committer, when nobody waits for it any more. */
  private *afterCommit(task: Task): Routine<void> {
    const { logged } = this.parts;
    if (logged.count > this.loggedMax) yield* this.checkpoint(task);
    else if (this.listener !== null) yield* this.listener.releaseQuarantine(task, false);
    if (this.wantsCheckpoint) this.wakeBackground(task);
  }

  private wakeBackground(task: Task): void {
    Atomics.add(this.words, Header.WritebackWork, 1);
    task.driver.wake(Header.WritebackWork, EVERYBODY);
  }

  private get loggedMax(): number {
    return Math.floor(this.arena.layout.frames / LOGGED_SHARE);
  }

  /** For who changes something before its first transaction: once the journal has stopped, nothing is changed any more. */
  throwIfFailed(): void {
    if (!this.failed) return;
    // A commit that meets what a dead thread held fails, too: then that is what has happened to the store.
    if (this.arena.state === StoreState.Fenced) this.arena.checkOpen('commit');
    throw new StoreError('EIO', { detail: 'the journal stopped after an error; reopen the store' });
  }

  private get parts(): Parts {
    this.made ??= this.makeParts();
    return this.made;
  }

  private makeParts(): Parts {
    const { arena, cache, device, buffer, blockBytes } = this;
    const shape = this.shape();
    const log = new Log(arena, cache, device, shape);
    const { exclusions, threads, frames } = arena.layout;
    const revoked = Math.min(REVOKED_MAX, revokedMax(log.area.length, blockBytes));
    const fitting = handleBlocksMax(log.area.length, blockBytes, revoked);
    const capacity = Math.min(
      Math.floor(buffer.byteLength / blockBytes) - RECORD_SLOTS - SUPERBLOCK_IMAGES,
      Math.max(CAPACITY_MIN, Math.floor(frames / FRAMES_SHARE)),
      Math.max(Math.min(fitting, CAPACITY_MIN), Math.floor(fitting / 2)),
    );
    const logged = new LoggedFrames(arena, cache);
    const checkpoint = new Checkpoint(arena, cache, device, log, logged);
    return {
      capacity,
      revokedMax: revoked,
      creditsMax: Math.min(capacity, revoked, exclusions - Math.ceil(exclusions / CLAIM_SHARE) - threads),
      metadataBlocks: shape.storeBlocks - shape.blocks,
      log,
      logged,
      checkpoint,
      commit: new Commit(cache, device, buffer, blockBytes, log, logged, this.revocations, checkpoint),
    };
  }

  /** Where the log is, from the superblock's page. */
  private shape(): LogShape {
    const { superblockFrame } = this;
    assert(superblockFrame !== 0, 'the journal is used before it has started');
    const view = this.cache.frames.view(superblockFrame);
    const uuid = new Uint8Array(UUID_BYTES);
    for (let i = 0; i < UUID_BYTES; i++) uuid[i] = view.getUint8(SuperblockAt.Uuid + i);
    return {
      start: view.getUint32(SuperblockAt.JournalStart, true),
      blocks: view.getUint32(SuperblockAt.JournalBlocks, true),
      blockBytes: this.blockBytes,
      uuid,
      storeBlocks: view.getUint32(SuperblockAt.Blocks, true),
    };
  }
}
