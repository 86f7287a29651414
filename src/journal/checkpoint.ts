/**
 * Checkpoints: what the log holds is written where it belongs, and the log's tail moves on.
 *
 * Any thread, holding nothing above a page lock but perhaps the Commit mutex. A checkpoint does what recovery would do at
 * this moment: of the log's durable transactions it reads of each block the newest image that was not revoked, and writes
 * it. So it never looks at a page, which a handle may be changing, and never writes content that is not in the log. Which
 * images these are it is told (log-images.ts), or reads the log to know.
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
import { type LogImage, type LogPoint, LogScan } from './log-scan.js';
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
    const forgotten = log.images.forgottenDurably;
    const { sequence: last, position } = log.durableEnd();
    const { tail } = log;
    if (last < tail.sequence) return;
    const length = log.area.distance(tail.position, position) || log.area.length;
    let images = log.images.newest(tail, last, length);
    if (images === null || log.images.forgottenEver !== forgotten) images = yield* this.scan(task, tail, last);
    yield task.point('checkpoint:scanned');
    yield* replay(task, device, log.area, images);
    yield task.point('checkpoint:written');
    yield task.flush(device);
    yield* log.release(task, { sequence: last + 1, position }, length);
    this.logged.release(last);
    count(task, Count.Checkpoints);
    count(task, Count.CheckpointBlocks, images.length);
  }

  /** What the transactions up to `last` hold that is to be replayed, as the log itself says. */
  private *scan(task: Task, tail: LogPoint, last: number): Routine<LogImage[]> {
    const { log, device } = this;
    const scan = new LogScan(task, device, log.area, tail);
    try {
      yield* scan.run(last, false);
    } finally {
      scan.close();
    }
    if (scan.end.sequence !== last + 1) throw log.damaged(scan.end.sequence);
    return scan.live();
  }
}
