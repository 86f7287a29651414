/**
 * A task is a logical thread of the engine: Linux's `current`. Every engine function that may lock, sleep, or look at the
 * time takes it as its first parameter.
 *
 * Under the blocking driver a thread of the process has one task; the exploring driver makes several in one thread. All
 * that a task shares with others lies in its slot of the thread registry (sync/threads.ts); the fields here are its own.
 */

import { assert } from '../assert.js';
import type { Device } from '../device/device.js';
import type { Arena } from '../sync/arena.js';
import { Header, HeaderFlag, RANGES_MAX, Range, STATISTICS_COLUMNS, Thread } from '../sync/layout.js';
import { LockTimes } from '../sync/lock-times.js';
import type { Lockdep } from '../sync/lockdep.js';
import { exclusiveBlockedBy, sharedBlockedBy } from '../sync/rwsem-policy.js';
import { DeviceEffects } from './device-effects.js';
import { type Effect, EffectKind } from './effect.js';
import { type PointName, pointNumber } from './points.js';

/** Time, chance and wake-ups reach the engine only through this, so that a schedule replays exactly. */
export interface Driver {
  /** Milliseconds since the epoch, not necessarily whole. */
  now(): number;
  /** Uniform in [0, 1). */
  random(): number;
  /** Wakes up to `count` tasks that wait on the arena word `word`. */
  wake(word: number, count: number): void;
  /** How often a contended lock is looked at again before its waiter sleeps. 0, the default, where spinning cannot help. */
  readonly spinLimit?: number;
  /**
   * Whether routines also yield where they would not sleep: before they take a lock that is free, and between steps that no
   * lock holds together. For drivers that try schedules; false by default.
   */
  readonly yieldsAtLocks?: boolean;
  /**
   * Schedule points that nobody holds need not be yielded, nor the I/O of frequent calls, which would block the thread in any
   * case: a yield leaves and enters all the routines above it, and costs as much as much else of a page's fill.
   */
  readonly passesPoints?: boolean;
  /**
   * Gives back a page's pin on behalf of a thread that died with it; set once a page cache is there. Until then the dead
   * thread's slot stays taken.
   */
  unpin?: ((frame: number) => void) | null;
}

export class Task extends DeviceEffects {
  /** Nested transaction handles; a task holds at most one, entered several times (journal/). */
  handleDepth = 0;
  /** Blocks that the open handle may dirty, and has newly dirtied. */
  handleCredits = 0;
  handleDirtied = 0;
  /** Above 0, an allocation of page frames must not write back dirty pages: the task holds what writeback needs. */
  noWriteback = 0;
  /** The arena's words, and the offset of this task's record in them. */
  readonly words: Int32Array;
  readonly record: number;
  /** Offset of this task's row of statistics, in doubles. */
  readonly statistics: number;
  /** Offset of this task's first record of a range (sync/ranges.ts). */
  readonly ranges: number;
  readonly rwsemPolicy: number;
  /** Bits of an rwsem's state that keep this task from acquiring it at once (sync/rwsem.ts). */
  readonly sharedBlocked: number;
  readonly exclusiveBlocked: number;
  /** Present in a store that was opened with `lockTimes`. */
  readonly lockTimes: LockTimes | null;
  readonly spinLimit: number;
  readonly yieldsAtLocks: boolean;
  private readonly passesPoints: boolean;
  /** Words to wake once a queue lock is dropped (sync/wait-queue.ts). */
  readonly wakes: number[] = [];

  constructor(
    /** This task's slot in the thread registry. */
    readonly thread: number,
    readonly arena: Arena,
    readonly driver: Driver,
    /** Present in verify mode. */
    readonly lockdep: Lockdep | null,
  ) {
    super();
    const { layout, words } = arena;
    this.words = words;
    this.record = layout.threadRecords + thread * Thread.Words;
    this.statistics = layout.statistics + thread * STATISTICS_COLUMNS;
    this.ranges = layout.ranges + thread * RANGES_MAX * Range.Words;
    this.rwsemPolicy = words[Header.RwsemPolicy];
    this.sharedBlocked = sharedBlockedBy(this.rwsemPolicy);
    this.exclusiveBlocked = exclusiveBlockedBy(this.rwsemPolicy);
    this.lockTimes = layout.timesLocks === true ? new LockTimes(arena, thread) : null;
    this.spinLimit = driver.spinLimit ?? 0;
    this.yieldsAtLocks = driver.yieldsAtLocks ?? false;
    this.passesPoints = driver.passesPoints ?? false;
  }

  /** Yield this to sleep until somebody wakes `word`, its value differs from `expected`, or the time is over. */
  wait(word: number, expected: number, timeoutMs = Number.POSITIVE_INFINITY): Effect {
    const e = this.effect;
    e.kind = EffectKind.Wait;
    e.word = word;
    e.expected = expected;
    e.timeoutMs = timeoutMs;
    return e;
  }

  /** Whether points are to be yielded: asked where they are passed for every page. */
  get stopsAtPoints(): boolean {
    return !this.passesPoints || (Atomics.load(this.words, Header.Flags) & HeaderFlag.Gates) !== 0;
  }

  /** `write`, done in place; false, and nothing done, where the effect has to be yielded. */
  tryWrite(device: Device, buffers: Uint8Array[], positionBytes: number): boolean {
    if (!this.passesPoints) return false;
    if (this.lockdep !== null) this.assertMayBlock();
    device.write(buffers, positionBytes);
    return true;
  }

  /** `flush`, likewise. */
  tryFlush(device: Device): boolean {
    if (!this.passesPoints) return false;
    if (this.lockdep !== null) this.assertMayBlock();
    device.flush();
    return true;
  }

  private assertMayBlock(): void {
    assert(this.words[this.record + Thread.LeafDepth] === 0, 'a routine does I/O while holding a leaf mutex');
  }

  /** `about`: the lock that is wanted, for those who look on. */
  point(name: PointName, about = 0): Effect {
    const e = this.effect;
    e.kind = EffectKind.Point;
    e.word = about;
    e.point = pointNumber(name);
    return e;
  }

  pause(timeoutMs: number): Effect {
    const e = this.effect;
    e.kind = EffectKind.Pause;
    e.timeoutMs = timeoutMs;
    return e;
  }
}
