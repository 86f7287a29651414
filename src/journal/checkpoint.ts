/**
 * Checkpoints: what the log holds is written where it belongs, and the log's tail moves on.
 *
 * Any thread, holding nothing above a page lock but perhaps the Commit mutex. A checkpoint does what recovery would do at
 * this moment: it reads the log's durable transactions, and writes of each block the newest image that was not revoked. So
 * it never looks at a page, which a handle may be changing, and never writes content that is not in the log.
 *
 * 1. Under the Checkpoint mutex, which the release of quarantined blocks takes too. A block freed by a transaction that
 *    becomes durable meanwhile stays quarantined until the checkpoint is over: no old image is written over new data.
 * 2. The tail moves after a flush of the blocks written, and the ring's space is free after a flush of the head.
 * 3. Transactions that become durable meanwhile stay in the log, with the pages that they logged.
 */
import type { Device } from '../device/device.js';
import type { PageCache } from '../pagecache/page-cache.js';
import type { Routine } from '../routine/effect.js';
import type { Task } from '../routine/task.js';
import type { Arena } from '../sync/arena.js';
import { GlobalLock } from '../sync/layout.js';
import { LockRank } from '../sync/lockdep.js';
import { initMutex, lockMutex, unlockMutex } from '../sync/mutex.js';
import { Count, count } from '../sync/statistics.js';
import type { Log } from './log.js';
import { LogScan } from './log-scan.js';
import type { LoggedFrames } from './logged-frames.js';
import { replay } from './replay.js';

export function initCheckpoint(arena: Arena): void {
  initMutex(arena, checkpointLock(arena), LockRank.Checkpoint);
}

export function checkpointLock(arena: Arena): number {
  return arena.layout.locks + GlobalLock.Checkpoint;
}

export class Checkpoint {
  private readonly lock: number;

  constructor(
    arena: Arena,
    private readonly cache: PageCache,
    private readonly device: Device,
    private readonly log: Log,
    private readonly logged: LoggedFrames,
  ) {
    this.lock = checkpointLock(arena);
  }

  /** Empties the log of what is durable when it begins. */
  *run(task: Task): Routine<void> {
    if (!this.log.isOpen) return;
    yield* lockMutex(task, this.lock);
    try {
      yield* this.runLocked(task);
    } finally {
      unlockMutex(task, this.lock);
    }
    this.cache.reclaim.announce(task);
  }

  private *runLocked(task: Task): Routine<void> {
    const { log, device } = this;
    const last = log.durable;
    if (last < log.tail.sequence) return;
    const scan = new LogScan(task, device, log.area, log.tail);
    try {
      yield* scan.run(last, false);
    } finally {
      scan.close();
    }
    if (scan.end.sequence !== last + 1) throw log.damaged(scan.end.sequence);
    const images = scan.live();
    yield task.point('checkpoint:scanned');
    yield* replay(task, device, log.area, images);
    yield task.point('checkpoint:written');
    yield task.flush(device);
    yield* log.release(task, scan.end, scan.length);
    this.logged.release(last);
    count(task, Count.Checkpoints);
    count(task, Count.CheckpointBlocks, images.length);
  }
}
