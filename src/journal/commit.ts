/**
 * One commit: the running transaction is copied, and made durable in the log.
 *
 *   let callers gather ─ stop new handles ─ wait for open ones ─ counters, copies, revocations ─ let handles go on ─ seal
 *     ─ room in the log (a checkpoint, if need be) ─ flush, if data must come first ─ append to the log ─ flush
 *
 * By whoever holds the Commit mutex; the steps after "go on" run beside the next transaction's handles.
 *
 * 1. *Ordered data.* A transaction that maps blocks just written, or moves the size on the device up over them, is marked
 *    (`Journal.orderData`). What it points to was written before it was marked, and is flushed before the transaction is
 *    written to the log: a crash never exposes what lay in the blocks before. Transactions that only change names, times,
 *    or take blocks away spare the first flush.
 * 2. A transaction is published as durable after the second flush, and not if either fails: a flush that failed is not
 *    tried again, since the host may have dropped what it could not write. The journal stops for good. Which pages it
 *    logged, and that what it has forgotten needs no image any more, is said before it is published (log-images.ts).
 * 3. The log has room for the largest transaction once it is empty, and a checkpoint needs nothing that others hold but
 *    the Checkpoint mutex, whose holders wait for the device alone. So a full log makes commits slow, and never stops them.
 */
import type { Device } from '../device/device.js';
import { StoreError } from '../errors.js';
import type { PageCache } from '../pagecache/page-cache.js';
import type { Routine } from '../routine/effect.js';
import type { Task } from '../routine/task.js';
import { commitChannel, publishCommit } from '../sync/channels.js';
import { GlobalLock, Header, Journal as Word } from '../sync/layout.js';
import { lockLeaf, unlockLeaf } from '../sync/leaf.js';
import { Count, count } from '../sync/statistics.js';
import type { Frame, Slot } from '../units.js';
import type { Checkpoint } from './checkpoint.js';
import { CommitBuffer } from './commit-buffer.js';
import { Gathering } from './gathering.js';
import type { Log } from './log.js';
import type { LoggedFrames } from './logged-frames.js';
import type { Revocations } from './revocations.js';
import { storeCounters } from './superblock-page.js';
import { next } from './transaction-number.js';

const METADATA = 0 as Slot;
const EVERYBODY = Number.POSITIVE_INFINITY;
const EIO = 5;
const WORD = 2 ** 32;

export class Commit {
  private readonly words: Int32Array;
  private readonly at: number;
  private readonly copies: CommitBuffer;
  /** Of the transaction being committed. */
  private revoked: readonly number[] = [];
  private isOrdered = false;
  private forgotten = 0;
  private readonly gathering: Gathering;

  constructor(
    private readonly cache: PageCache,
    private readonly device: Device,
    buffer: SharedArrayBuffer,
    blockBytes: number,
    private readonly log: Log,
    private readonly logged: LoggedFrames,
    private readonly revocations: Revocations,
    private readonly checkpoint: Checkpoint,
  ) {
    this.words = cache.arena.words;
    this.at = cache.arena.layout.journal;
    this.copies = new CommitBuffer(cache, buffer, blockBytes);
    this.gathering = new Gathering(cache.arena);
  }

  /** Somebody has called for a commit. */
  arrive(task: Task): void {
    this.gathering.arrive(task);
  }

  /** Commits the running transaction; who waits for it is told by `announce`. */
  *run(task: Task): Routine<void> {
    const { words, at, copies } = this;
    const transaction = words[at + Word.Running];
    const number = words[at + Word.RunningHigh] * WORD + (transaction >>> 0);
    try {
      if (!this.log.isOpen) yield* this.log.open(task);
      yield* this.gathering.gather(task);
      yield* this.snapshot(task);
      if (task.stopsAtPoints) yield task.point('journal:snapshot');
      if (copies.count > 0) yield* this.write(task, number);
    } catch (error) {
      this.fail(error);
      copies.giveBack(task);
      throw error;
    }
    Atomics.store(words, at + Word.Durable, transaction);
  }

  /** Stops the journal for good. */
  fail(error: unknown): void {
    const errno = error instanceof StoreError ? -error.errno : EIO;
    Atomics.compareExchange(this.words, this.at + Word.Error, 0, errno);
  }

  /** A flush of the device that other commits may share: counted when it begins and when it has ended. */
  *flush(task: Task): Routine<void> {
    const { words, at } = this;
    const flush = Atomics.add(words, at + Word.FlushBegun, 1) + 1;
    if (!this.device.readOnly && !task.tryFlush(this.device)) yield task.flush(this.device);
    Atomics.store(words, at + Word.FlushEnded, flush | 0);
  }

  announce(task: Task): void {
    Atomics.add(this.words, this.at + Word.Progress, 1);
    task.driver.wake(this.at + Word.Progress, EVERYBODY);
  }

  private *write(task: Task, number: number): Routine<void> {
    const { copies, log } = this;
    const sinceMs = task.driver.now();
    copies.seal(number, sinceMs);
    const blocks = copies.count;
    const length = log.area.transactionLength(blocks, this.revoked.length);
    while (log.free < length) yield* this.checkpoint.run(task);
    if (this.isOrdered) yield* this.flush(task);
    const { sequence } = log;
    yield* log.append(task, copies, this.revoked);
    if (task.stopsAtPoints) yield task.point('journal:written');
    yield* this.flush(task);
    // Who sees the transaction durable may take it out of the log: what it logged is known before.
    copies.finish(sequence, this.logged);
    Atomics.store(this.words, this.at + Word.ForgottenDurably, this.forgotten);
    log.publish();
    count(task, Count.Commits);
    count(task, Count.CommitBlocks, blocks);
    count(task, Count.LogBlocks, length);
    if (commitChannel.hasSubscribers) publishCommit(task.arena, number, blocks, task.driver.now() - sinceMs);
    this.gathering.end(task);
  }

  /** Copies the running transaction and starts the next one, while no handle is open. */
  private *snapshot(task: Task): Routine<void> {
    const { words, at } = this;
    const stateLock = task.arena.layout.locks + GlobalLock.JournalState;
    lockLeaf(task, stateLock);
    Atomics.store(words, at + Word.Stopped, 1);
    unlockLeaf(task, stateLock);
    try {
      if (task.stopsAtPoints) yield task.point('journal:stopped');
      for (;;) {
        const open = Atomics.load(words, at + Word.Handles);
        if (open === 0) break;
        yield task.wait(at + Word.Handles, open);
      }
      // Before the next transaction's handles can order data of their own.
      this.isOrdered = words[at + Word.Ordered] === words[at + Word.Running];
      this.startNext();
      this.gathering.close();
      this.revoked = this.revocations.take();
      this.forgotten = Atomics.load(words, at + Word.Forgotten);
      if (Atomics.load(words, Header.MetadataDirty) === 0) return;
      const superblock = words[at + Word.SuperblockFrame] as Frame;
      if (storeCounters(task, this.cache.frames.view(superblock))) this.cache.markDirty(task, METADATA, superblock);
      const isCopyWanted = Atomics.exchange(words, at + Word.CopyWanted, 0) !== 0;
      this.copies.take(task, isCopyWanted ? task.arena.unsigned[Header.Blocks] - 1 : 0);
    } finally {
      Atomics.store(words, at + Word.Stopped, 0);
      task.driver.wake(at + Word.Stopped, EVERYBODY);
    }
  }

  private startNext(): void {
    const { words, at } = this;
    const running = next(words[at + Word.Running]);
    if (running === 1) words[at + Word.RunningHigh] += 1;
    Atomics.store(words, at + Word.Running, running);
  }
}
