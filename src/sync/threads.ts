/**
 * The thread registry: who is attached to the store, what each holds, and what happens when one dies.
 *
 * 1. A thread owns its record from attach to detach and writes it alone, but for the words of Thread that say otherwise.
 * 2. Everything that others could wait for is recorded *before* it is taken and erased *after* it is given back and its
 *    waiters are woken: the stack of held locks, and the counts of leaf mutexes, page locks and journal handles. So a
 *    thread that died recorded as holding nothing holds nothing. (Plain stores do: the atomic operation that takes
 *    the lock comes after them, and a dead thread's stores are looked at only after the host says that it is gone.)
 * 3. A thread ends only at a safe point of the JavaScript engine: a function's entry or a loop's end. `HitPin` is set
 *    and cleared in straight-line code beside the atomic operation on the pin, and so is exact.
 * 4. Tid is not 0 from attach until detach, or until somebody erases it to free a dead thread's slot; where the host
 *    tells nothing it is 0 always. A thread is dead when its Tid is gone, or belongs to a thread that started at another
 *    time. Any waiter looks, at most one every REAP_INTERVAL_MS in all.
 * 5. A death that held something fences the store for good (StoreState.Fenced): every waiter throws EOWNERDEAD. One
 *    that held nothing is forgotten, and its slot is free again.
 *
 * Takes no lock.
 */
import { readFileSync, readlinkSync } from 'node:fs';
import { assert } from '../assert.js';
import { StoreError } from '../errors.js';
import { type Driver, Task } from '../routine/task.js';
import type { Arena } from './arena.js';
import { BIASED_READS_MAX, HELD_MAX, Header, Mutex, Pin, Rwsem, StoreState, Thread, ThreadState } from './layout.js';
import { LOCK_RANK_NAMES, Lockdep, LockMode } from './lockdep.js';

/** No sleep is longer: after each slice the sleeper looks for dead threads. */
export const WAIT_SLICE_MS = 200;
const REAP_INTERVAL_MS = 100;

/** Whether this host tells which of the process's threads live. Where not, a death is not noticed. */
export function canDetectDeath(): boolean {
  return hostThread() !== null;
}

/** Registers the calling thread, or one logical thread of it. Throws EBUSY when all slots are taken. */
export function attachThread(arena: Arena, driver: Driver): Task {
  const host = hostThread();
  let thread = claimSlot(arena, host);
  if (thread < 0) {
    reapDeadThreads(arena, driver);
    thread = claimSlot(arena, host);
  }
  if (thread < 0) {
    throw new StoreError('EBUSY', {
      syscall: 'attach',
      detail: `${arena.layout.threads} threads are attached already`,
    });
  }
  return new Task(thread, arena, driver, arena.verify ? new Lockdep(arena) : null);
}

/** Gives the slot back. The task holds nothing, unless the store is fenced. */
export function detachThread(task: Task): void {
  const { arena, words, record } = task;
  if (arena.state !== StoreState.Fenced) {
    assert(
      !holdsAnything(arena, task.thread),
      `thread ${task.thread} detaches while holding ${describeHeld(arena, task.thread)}`,
    );
  }
  Atomics.store(words, record + Thread.Tid, 0);
  Atomics.store(words, record + Thread.State, ThreadState.Free);
}

/**
 * Looks at every attached thread; returns how many were found dead. The slot of one that held nothing is freed, with its
 * pins given back through `driver.unpin`; one that held something fences the store.
 */
export function reapDeadThreads(arena: Arena, driver: Driver): number {
  const { words, layout } = arena;
  let dead = 0;
  if (arena.state === StoreState.Fenced) return dead;
  for (let thread = 0; thread < layout.threads; thread++) {
    const record = layout.threadRecords + thread * Thread.Words;
    const tid = Atomics.load(words, record + Thread.Tid);
    if (tid === 0 || isAlive(tid, words[record + Thread.Start])) continue;
    const held = holdsAnything(arena, thread);
    // The slot may have passed to another thread meanwhile; if not, all that was read is the dead one's.
    if (Atomics.load(words, record + Thread.Tid) !== tid) continue;
    dead++;
    if (held) fence(arena, thread, driver);
    else forget(arena, thread, tid, driver);
  }
  return dead;
}

/** As reapDeadThreads, unless somebody looked a moment ago. */
export function reapIfDue(arena: Arena, driver: Driver): void {
  const now = Math.floor(driver.now()) | 0;
  const last = Atomics.load(arena.words, Header.ReapedAt);
  const since = (now - last) | 0;
  if (last !== 0 && since >= 0 && since < REAP_INTERVAL_MS) return;
  if (Atomics.compareExchange(arena.words, Header.ReapedAt, last, now) !== last) return;
  reapDeadThreads(arena, driver);
}

/** Stops the store for good because `thread` died holding something. Every waiter wakes and throws EOWNERDEAD. */
export function fence(arena: Arena, thread: number, driver: Driver): void {
  const { words, layout } = arena;
  if (arena.state === StoreState.Closed) return;
  Atomics.compareExchange(words, Header.DeadThread, 0, thread + 1);
  Atomics.store(words, Header.State, StoreState.Fenced);
  for (let other = 0; other < layout.threads; other++) {
    // One that is about to sleep and not yet on its word looks again after a slice.
    const word = Atomics.load(words, layout.threadRecords + other * Thread.Words + Thread.WaitingOn);
    if (word !== 0) driver.wake(word, Number.POSITIVE_INFINITY);
  }
  // The opening thread waits here asynchronously, without a record of it.
  Atomics.add(words, Header.ServiceDone, 1);
  driver.wake(Header.ServiceDone, Number.POSITIVE_INFINITY);
}

/** Throws EOWNERDEAD if the store is fenced. */
export function checkFence(arena: Arena): void {
  if (Atomics.load(arena.words, Header.State) === StoreState.Fenced) throw ownerDied(arena);
}

/** What a call gets that was under way when the store was fenced. */
export function ownerDied(arena: Arena, syscall?: string): StoreError {
  const dead = arena.words[Header.DeadThread] - 1;
  return new StoreError('EOWNERDEAD', { syscall, detail: `thread ${dead} died holding ${describeHeld(arena, dead)}` });
}

/** Before the atomic operation that takes the lock. */
export function pushHeld(task: Task, at: number, mode: LockMode): void {
  const { words, record } = task;
  const depth = words[record + Thread.HeldDepth];
  if (depth >= HELD_MAX) heldOverflow(task);
  const entry = record + Thread.Held + 2 * depth;
  words[entry] = at;
  words[entry + 1] = mode;
  words[record + Thread.HeldDepth] = depth + 1;
  if (task.lockTimes !== null) task.lockTimes.began(depth);
}

/** After the atomic operation that gives the lock back, and after the waking of its waiters. */
export function popHeld(task: Task, at: number): void {
  const { words, record } = task;
  if (task.lockTimes !== null) task.lockTimes.ended(at);
  const last = words[record + Thread.HeldDepth] - 1;
  const top = record + Thread.Held + 2 * last;
  if (words[top] !== at) replaceHeld(task, at, top);
  words[record + Thread.HeldDepth] = last;
}

/** Not the last one taken: the last one moves to its place. */
function replaceHeld(task: Task, at: number, top: number): void {
  const { words, record } = task;
  for (let entry = top - 2; entry >= record + Thread.Held; entry -= 2) {
    if (words[entry] !== at) continue;
    words[entry] = words[top];
    words[entry + 1] = words[top + 1];
    return;
  }
  assert(false, `thread ${task.thread} releases the lock at ${at}, which it does not hold`);
}

/** How the task holds the lock, or waits for it; 0 if it does neither. */
export function holdMode(task: Task, at: number): LockMode | 0 {
  const { words, record } = task;
  const first = record + Thread.Held;
  for (let entry = first + 2 * (words[record + Thread.HeldDepth] - 1); entry >= first; entry -= 2) {
    if (words[entry] === at) return words[entry + 1];
  }
  return 0;
}

function heldOverflow(task: Task): never {
  assert(false, `thread ${task.thread} holds more than ${HELD_MAX} locks: ${describeHeld(task.arena, task.thread)}`);
}

export function holdsAnything(arena: Arena, thread: number): boolean {
  const { words } = arena;
  const record = arena.layout.threadRecords + thread * Thread.Words;
  return (
    words[record + Thread.HeldDepth] !== 0 ||
    words[record + Thread.LeafDepth] !== 0 ||
    words[record + Thread.PageLocks] !== 0 ||
    words[record + Thread.Handles] !== 0
  );
}

/** What a thread holds or was about to take, for messages. */
export function describeHeld(arena: Arena, thread: number): string {
  const { words } = arena;
  const record = arena.layout.threadRecords + thread * Thread.Words;
  const held: string[] = [];
  for (let i = 0; i < words[record + Thread.HeldDepth]; i++) {
    const at = words[record + Thread.Held + 2 * i];
    const mode = words[record + Thread.Held + 2 * i + 1];
    const rank = words[at + (mode === LockMode.Mutex ? Mutex.Rank : Rwsem.Rank)];
    held.push(`${LOCK_RANK_NAMES[rank] ?? 'a lock'}${mode === LockMode.Shared ? ' shared' : ''}`);
  }
  if (words[record + Thread.Handles] !== 0) held.push('a journal handle');
  if (words[record + Thread.PageLocks] !== 0) held.push('page locks');
  if (words[record + Thread.LeafDepth] !== 0) held.push('a leaf mutex');
  return held.length === 0 ? 'nothing' : held.join(', ');
}

/** Frees the slot of a dead thread that held nothing. Of several that try, the one that erases its id does it. */
function forget(arena: Arena, thread: number, tid: number, driver: Driver): void {
  const { words, layout } = arena;
  const record = layout.threadRecords + thread * Thread.Words;
  const unpin = driver.unpin ?? null;
  if (unpin === null && pinsAnything(arena, thread)) return;
  if (Atomics.compareExchange(words, record + Thread.Tid, tid, 0) !== tid) return;
  Atomics.store(words, record + Thread.State, ThreadState.Dying);
  if (unpin !== null) unpinAll(arena, thread, unpin);
  Atomics.store(words, record + Thread.State, ThreadState.Free);
}

function pinsAnything(arena: Arena, thread: number): boolean {
  const { words, layout } = arena;
  if (words[layout.threadRecords + thread * Thread.Words + Thread.HitPin] !== 0) return true;
  for (let pin = 0; pin < layout.pins; pin++) {
    if (Atomics.load(words, layout.pinRecords + pin * Pin.Words + Pin.Thread) === thread + 1) return true;
  }
  return false;
}

function unpinAll(arena: Arena, thread: number, unpin: (frame: number) => void): void {
  const { words, layout } = arena;
  const record = layout.threadRecords + thread * Thread.Words;
  const hit = words[record + Thread.HitPin];
  words[record + Thread.HitPin] = 0;
  if (hit !== 0) unpin(hit);
  for (let pin = 0; pin < layout.pins; pin++) {
    const at = layout.pinRecords + pin * Pin.Words;
    if (Atomics.load(words, at + Pin.Thread) !== thread + 1) continue;
    const frame = words[at + Pin.Frame];
    words[at + Pin.Frame] = 0;
    if (frame !== 0) {
      Atomics.sub(words, Header.Pins, 1);
      unpin(frame);
    }
    Atomics.store(words, at + Pin.Thread, 0);
  }
}

interface HostThread {
  tid: number;
  start: number;
}

let self: HostThread | null | undefined;

/** The host's name of the calling thread, or null where the host tells no start times. It stays what it is: asked once. */
function hostThread(): HostThread | null {
  if (self === undefined) self = askHost();
  return self;
}

function askHost(): HostThread | null {
  try {
    const tid = Number(readlinkSync('/proc/thread-self').split('/').at(-1));
    const start = startTime(tid);
    return start === null ? null : { tid, start };
  } catch {
    return null;
  }
}

/** The low word of a thread's start time in ticks, or null when there is no such thread (any more). */
function startTime(tid: number): number | null {
  let stat: string;
  try {
    stat = readFileSync(`/proc/self/task/${tid}/stat`, 'latin1');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ESRCH') return null;
    throw error;
  }
  // The name in parentheses may hold anything; the state follows it, and the start time is the 20th field from there.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  if (fields[0] === 'Z' || fields[0] === 'X') return null;
  return Number(fields[19]) | 0;
}

function isAlive(tid: number, start: number): boolean {
  try {
    return startTime(tid) === start;
  } catch {
    // Out of file descriptors, say: not known is not dead.
    return true;
  }
}

/** Takes a free slot, or answers -1. No safe point between taking it and having an id in it. */
function claimSlot(arena: Arena, host: HostThread | null): number {
  const { words, layout } = arena;
  for (let thread = 0; thread < layout.threads; thread++) {
    const record = layout.threadRecords + thread * Thread.Words;
    if (words[record + Thread.State] !== ThreadState.Free) continue;
    const free = Atomics.compareExchange(words, record + Thread.State, ThreadState.Free, ThreadState.Attaching);
    if (free !== ThreadState.Free) continue;
    words[record + Thread.WaitingOn] = 0;
    words[record + Thread.NodeGranted] = 0;
    words[record + Thread.NodeNext] = 0;
    words[record + Thread.LeafDepth] = 0;
    words[record + Thread.PageLocks] = 0;
    words[record + Thread.Handles] = 0;
    words[record + Thread.HitPin] = 0;
    words[record + Thread.HeldDepth] = 0;
    words[record + Thread.Busy] = 0;
    words[record + Thread.ReadsAhead] = 0;
    words.fill(0, record + Thread.BiasedReads, record + Thread.BiasedReads + BIASED_READS_MAX);
    words[record + Thread.Generation]++;
    words[record + Thread.Start] = host === null ? 0 : host.start;
    Atomics.store(words, record + Thread.Tid, host === null ? 0 : host.tid);
    Atomics.store(words, record + Thread.State, ThreadState.Attached);
    return thread;
  }
  return -1;
}
