/**
 * The exploring driver: runs one schedule of a scenario, step by step, in one real thread.
 *
 * A chooser says before each step which thread takes it. All that threads wait for is simulated: futexes (a sleeper goes on
 * only when it is woken, or when its time is over and nobody else can run), device I/O (a transfer is a step of its own), time
 * (it passes only when nobody can run, or by `stepMs` a step).
 *
 *  1. The same choices give the same run, byte by byte.
 *  2. A thread that is asleep is woken by `wake` alone. So a wake-up that is left out shows as one that sleeps while what it
 *     waits for has come true.
 *  3. The first failure ends the run: what the engine does after a broken promise says nothing.
 */
import { AssertionError } from '../assert.js';
import { StoreError } from '../errors.js';
import { reached } from '../journal/transaction-number.js';
import { type Effect, EffectKind, IoKind, TIMED_OUT, WOKEN } from '../routine/effect.js';
import { POINTS } from '../routine/points.js';
import type { Driver } from '../routine/task.js';
import { Inode, Page, StoreState, Thread } from '../sync/layout.js';
import { ownerDied, reapDeadThreads } from '../sync/threads.js';
import { audit } from './audit.js';
import { watchQueues } from './bypasses.js';
import { HappensBefore } from './happens-before.js';
import { LogicalThread, ThreadState } from './logical-thread.js';
import { Observer } from './observer.js';
import { OWNER_CLAIM } from './simulated-device.js';
import { PAGE_BYTES } from './stamp.js';
import { explainStandstill } from './standstill.js';
import { type Clock, ThreadProgram } from './thread-program.js';
import { type Failure, ScheduleFailed } from './verdict.js';
import type { World } from './world.js';

/** A choice: the thread, and whether it dies instead of going on. */
export const DIES = 16;
/** The chooser's answer that ends the run: the rest is known. */
export const STOP = -1;

const STEPS_MAX = 4000;
/** A thread id that no host gives out. */
const NO_TID = 0x7fff_fff0;

export interface Chooser {
  /** A thread of `enabled` (a bit each), with DIES or not, or STOP. `running`: who took the last step, or -1. */
  choose(run: Execution): number;
}

/** Told of each step, when somebody wants to look at a schedule. */
export interface StepListener {
  started(run: Execution, thread: LogicalThread): void;
  stepped(run: Execution, thread: LogicalThread, died: boolean): void;
}

export class Execution implements Driver, Clock {
  readonly yieldsAtLocks = true;
  unpin: ((frame: number) => void) | null = null;
  readonly happensBefore: HappensBefore;
  readonly choices: number[] = [];
  threads: LogicalThread[] = [];
  step = 0;
  /** Threads that may take the next step, a bit each. */
  enabled = 0;
  /** Who took the last step, or -1. */
  running = -1;
  /** Switches away from a thread that could have gone on. */
  preemptions = 0;
  deaths = 0;
  listener: StepListener | null = null;
  private nowMs = 0;
  private readonly observer: Observer;

  constructor(readonly world: World) {
    this.happensBefore = new HappensBefore(world.footprint.total);
    this.observer = new Observer(world);
  }

  // The driver, for the engine.

  now(): number {
    return this.nowMs;
  }

  random(): number {
    return 0.25;
  }

  wake(word: number, count: number): void {
    this.world.footprint.write(word);
    let left = count;
    for (const thread of this.threads) {
      if (left <= 0) return;
      if (thread.state !== ThreadState.Asleep || thread.word !== word) continue;
      thread.state = ThreadState.Ready;
      thread.answer = WOKEN;
      left -= 1;
    }
  }

  // The run.

  /** Runs one schedule. Null: nothing wrong, or stopped by the chooser (`stopped`). */
  run(chooser: Chooser): Failure | null {
    return this.world.footprint.watch(() => {
      try {
        this.start();
        while (this.takeStep(chooser));
        if (!this.stopped) this.lookAfterwards();
        return null;
      } catch (error) {
        return this.failureOf(error);
      }
    });
  }

  stopped = false;

  /** Whether going on with another thread now would be a preemption. */
  get wouldPreempt(): boolean {
    return this.running >= 0 && this.threads[this.running].state === ThreadState.Ready;
  }

  /** Whether the thread may die here: at a yield of an operation. */
  mayDie(index: number): boolean {
    return (
      this.deaths === 0 && this.world.scenario.threads[index].mortal === true && this.threads[index].effect !== null
    );
  }

  private start(): void {
    const { world } = this;
    world.restore();
    this.happensBefore.reset();
    this.observer.reset();
    this.choices.length = 0;
    this.step = 0;
    this.running = -1;
    this.preemptions = 0;
    this.deaths = 0;
    this.stopped = false;
    this.nowMs = world.startMs;
    this.threads = world.scenario.threads.map((thread, index) => {
      const actor = world.actor(index, this);
      const program = new ThreadProgram(world, this.observer, this, actor, thread);
      return new LogicalThread(index, thread.name, actor, program.run(), () => program.inode);
    });
  }

  /** False when all threads have ended, or the chooser wants no more. */
  private takeStep(chooser: Chooser): boolean {
    this.enabled = this.findEnabled();
    if (this.enabled === 0) return false;
    const choice = chooser.choose(this);
    if (choice === STOP) {
      this.stopped = true;
      return false;
    }
    const thread = this.threads[choice & (DIES - 1)];
    if (this.wouldPreempt && thread.index !== this.running) this.preemptions++;
    this.choices.push(choice);
    this.running = thread.index;
    this.perform(thread, (choice & DIES) !== 0);
    return true;
  }

  private perform(thread: LogicalThread, dies: boolean): void {
    const { footprint, scenario } = this.world;
    this.step++;
    this.nowMs += scenario.stepMs ?? 0;
    if (this.step > STEPS_MAX) throw new ScheduleFailed('livelock', `no end after ${STEPS_MAX} steps`);
    this.listener?.started(this, thread);
    footprint.begin();
    const inode = thread.inode();
    // Read plainly by hits and before pages are dropped: the sizes in memory and on the device.
    footprint.read(inode + Inode.Flags);
    footprint.read(inode + Inode.SizeSeq);
    if (dies) this.kill(thread);
    else if (thread.state === ThreadState.InFlight) this.transfer(thread);
    else this.resume(thread);
    this.happensBefore.step(thread.index, dies ? 1 : 0, footprint);
    this.listener?.stepped(this, thread, dies);
    watchQueues(this.world, this.threads, thread, this.step, this.nowMs);
  }

  private findEnabled(): number {
    for (;;) {
      let enabled = 0;
      let open = 0;
      for (const { state, index } of this.threads) {
        if (state === ThreadState.Ready || state === ThreadState.InFlight) enabled |= 1 << index;
        if (state === ThreadState.Asleep) open++;
      }
      if (enabled !== 0 || open === 0) return enabled;
      if (!this.reap() && !this.passTime()) throw explainStandstill(this.world, this.threads);
    }
  }

  private resume(thread: LogicalThread): void {
    const { arena } = this.world;
    const wasAsleep = thread.effect?.kind === EffectKind.Wait;
    if (wasAsleep && arena.state === StoreState.Fenced) thread.error ??= ownerDied(arena);
    arena.words[thread.actor.task.record + Thread.WaitingOn] = 0;
    const { error } = thread;
    thread.error = undefined;
    const next = error === undefined ? thread.routine.next(thread.answer) : thread.routine.throw(error);
    if (next.done === true) {
      thread.state = ThreadState.Done;
      thread.effect = null;
    } else {
      thread.effect = next.value;
      this.begin(thread, next.value);
    }
  }

  private begin(thread: LogicalThread, effect: Effect): void {
    const { arena, footprint } = this.world;
    thread.answer = 0;
    if (effect.kind === EffectKind.Io) {
      thread.state = ThreadState.InFlight;
    } else if (effect.kind === EffectKind.Wait) {
      footprint.write(effect.word);
      if (arena.state === StoreState.Fenced) thread.error = ownerDied(arena);
      else if (arena.words[effect.word] === effect.expected) this.sleep(thread, effect.word, effect.timeoutMs);
    } else if (effect.kind === EffectKind.Pause && effect.timeoutMs > 0) {
      this.sleep(thread, thread.actor.task.record + Thread.WaitingOn, effect.timeoutMs);
    }
  }

  private sleep(thread: LogicalThread, word: number, timeoutMs: number): void {
    thread.state = ThreadState.Asleep;
    thread.word = word;
    thread.wakesAtMs = this.nowMs + timeoutMs;
    Atomics.store(this.world.arena.words, thread.actor.task.record + Thread.WaitingOn, word);
  }

  /** The device does what a thread waits for. */
  private transfer(thread: LogicalThread): void {
    const effect = thread.effect!;
    const { device } = this.world;
    thread.state = ThreadState.Ready;
    this.noteIo(effect);
    this.checkOwners(thread, effect);
    try {
      if (effect.io === IoKind.Read) thread.answer = device.read(effect.buffers, effect.positionBytes);
      else if (effect.io === IoKind.Write) thread.answer = device.write(effect.buffers, effect.positionBytes);
      else if (effect.io === IoKind.Flush) device.flush();
      else device.discard(effect.positionBytes, effect.lengthBytes);
    } catch (error) {
      thread.error = error;
    }
  }

  /** The blocks, and the bytes of the page frames, which lie behind their state words. */
  private noteIo({ io, buffers, positionBytes, lengthBytes }: Effect): void {
    const { footprint, arena } = this.world;
    let block = positionBytes / PAGE_BYTES;
    for (const buffer of buffers) {
      const frame = this.world.frameOf(buffer);
      for (let i = 0; i < buffer.length / PAGE_BYTES; i++, block++) {
        const state = arena.layout.pageRecords + (frame + i) * Page.Words + Page.State;
        if (io === IoKind.Read) footprint.readBlock(block);
        else footprint.writeBlock(block);
        if (frame === 0) continue;
        if (io === IoKind.Read) footprint.write(state);
        else footprint.read(state);
      }
    }
    for (let i = 0; i < lengthBytes / PAGE_BYTES; i++) footprint.writeBlock(block + i);
  }

  /** No writeback reaches a block that the file does not own; nothing that somebody owns is discarded. */
  private checkOwners(thread: LogicalThread, { io, buffers, positionBytes, lengthBytes }: Effect): void {
    const { arena } = this.world;
    let block = positionBytes / PAGE_BYTES;
    if (io === IoKind.Discard) {
      for (let i = 0; i < lengthBytes / PAGE_BYTES; i++) this.checkOwner(thread, block + i, -1, 'discards');
    } else if (io === IoKind.Write) {
      for (const buffer of buffers) {
        const frame = this.world.frameOf(buffer);
        for (let i = 0; i < buffer.length / PAGE_BYTES; i++, block++) {
          const mapping =
            frame === 0 ? 0 : arena.words[arena.layout.pageRecords + (frame + i) * Page.Words + Page.Mapping];
          this.checkOwner(thread, block, mapping - 1, mapping > 1 ? 'writes a page back to' : 'writes metadata to');
        }
      }
    }
  }

  private checkOwner(thread: LogicalThread, block: number, slot: number, what: string): void {
    const { device } = this.world;
    const owner = device.owners[block];
    const isOwn = slot > 0 ? owner === slot || owner === OWNER_CLAIM - thread.actor.task.thread : owner <= 0;
    const freedBy = device.freedBy[block];
    const isGivenBack = slot > 0 && freedBy !== 0 && !reached(thread.actor.engine.journal.durable, freedBy);
    if (isGivenBack) {
      throw new ScheduleFailed(
        'writeback',
        `${thread.name} ${what} block ${block}, which a crash would give back: what freed it is not durable`,
      );
    }
    if (isOwn) return;
    const whose = owner > 0 ? `${this.world.fileOfSlot(owner)?.name ?? `slot ${owner}`}'s` : "nobody's of it";
    const from = this.world.fileOfSlot(slot);
    throw new ScheduleFailed(
      'writeback',
      `${thread.name} ${what} block ${block}, which is ${whose}${from === null ? '' : `, from ${from.name}`}`,
    );
  }

  /** The thread is gone at the place where it stands; what it held stays held. */
  private kill(thread: LogicalThread): void {
    const { words } = this.world.arena;
    thread.state = ThreadState.Dead;
    this.deaths++;
    Atomics.store(words, thread.actor.task.record + Thread.Tid, NO_TID);
  }

  /** Sleepers look for dead threads; true when somebody was found. The fence, if there is one, wakes them. */
  private reap(): boolean {
    return this.deaths > 0 && reapDeadThreads(this.world.arena, this) > 0;
  }

  /** Ends the shortest of the sleeps that have an end. */
  private passTime(): boolean {
    let first: LogicalThread | null = null;
    for (const thread of this.threads) {
      if (thread.state !== ThreadState.Asleep || thread.wakesAtMs === Number.POSITIVE_INFINITY) continue;
      if (first === null || thread.wakesAtMs < first.wakesAtMs) first = thread;
    }
    if (first === null) return false;
    const { effect } = first;
    const changed = effect?.kind === EffectKind.Wait && this.world.arena.words[first.word] !== effect.expected;
    if (changed) throw explainStandstill(this.world, [first]);
    this.nowMs = Math.max(this.nowMs, first.wakesAtMs);
    first.state = ThreadState.Ready;
    first.answer = TIMED_OUT;
    return true;
  }

  private lookAfterwards(): void {
    if (this.deaths > 0) this.reap();
    audit(this.world, this.observer, this, this.threads);
  }

  private failureOf(error: unknown): Failure {
    const { step } = this;
    if (error instanceof ScheduleFailed) return { kind: error.kind, message: error.message, step };
    if (error instanceof AssertionError) return { kind: 'assertion', message: error.message, step };
    if (error instanceof StoreError) {
      return { kind: 'error', message: `${this.threads[this.running]?.name ?? 'nobody'} got ${error.message}`, step };
    }
    throw error;
  }
}

/** Where a thread stands: the point's name, or what it waits for. */
export function standsAt(thread: LogicalThread): string {
  const { effect } = thread;
  if (thread.state === ThreadState.Done) return 'end';
  if (effect === null) return 'start';
  if (effect.kind === EffectKind.Point) return POINTS[effect.point];
  return ['wait', 'io', 'point', 'pause'][effect.kind];
}
