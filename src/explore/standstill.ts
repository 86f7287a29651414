/**
 * Why nobody can go on: a deadlock, with its cycle, or a wake-up that was lost.
 *
 * For each sleeper: what its word stands for, whether that has come true (then nobody woke it), and otherwise which threads
 * have what it waits for. A circle among these is a deadlock. A sleeper at the end of a chain, whose lock nobody alive has,
 * waits for something that was left behind.
 */
import { PageFlag } from '../pagecache/page.js';
import { EffectKind } from '../routine/effect.js';
import type { Arena } from '../sync/arena.js';
import {
  GlobalLock,
  Header,
  Inode,
  Journal,
  Mutex,
  OWNER_MASK,
  PAGE_WAIT_QUEUES,
  Page,
  Rwsem,
  Thread,
} from '../sync/layout.js';
import { LOCK_RANK_NAMES, LockMode } from '../sync/lockdep.js';
import { RwsemState } from '../sync/rwsem-policy.js';
import { type LogicalThread, ThreadState } from './logical-thread.js';
import { ScheduleFailed } from './verdict.js';
import type { World } from './world.js';

interface Wait {
  readonly thread: LogicalThread;
  /** What it waits for, in words. */
  readonly what: string;
  /** It has come true. */
  readonly isOver: boolean;
  /** Who has it. */
  readonly holders: readonly LogicalThread[];
  readonly how: string;
}

/** The failure of threads of which none can take a step and none will be woken by time. */
export function explainStandstill(world: World, threads: readonly LogicalThread[]): ScheduleFailed {
  const waits = threads
    .filter(({ state }) => state === ThreadState.Asleep)
    .map((thread) => waitOf(world, threads, thread));
  const lost = waits.find(({ isOver }) => isOver);
  if (lost !== undefined) {
    return new ScheduleFailed(
      'lost-wakeup',
      `${lost.thread.name} sleeps on ${lost.what}, which has come; nobody woke it`,
    );
  }
  const cycle = findCycle(waits);
  if (cycle !== null) return new ScheduleFailed('deadlock', cycle.map(describe).join('; '));
  return new ScheduleFailed('left-held', `nobody is left to end the wait: ${waits.map(describe).join('; ')}`);
}

function describe({ thread, what, holders, how }: Wait): string {
  const who = holders.length === 0 ? 'nobody who runs' : holders.map(({ name }) => name).join(' and ');
  return `${thread.name} waits for ${what}, held${how} by ${who}`;
}

/** A circle of waits: each waits for something that the next one has. */
function findCycle(waits: readonly Wait[]): Wait[] | null {
  for (const first of waits) {
    const path: Wait[] = [];
    const seen = new Set<Wait>();
    const walk = (wait: Wait): boolean => {
      path.push(wait);
      seen.add(wait);
      for (const holder of wait.holders) {
        if (holder === first.thread) return true;
        const next = waits.find(({ thread }) => thread === holder);
        if (next !== undefined && !seen.has(next) && walk(next)) return true;
      }
      path.pop();
      return false;
    };
    if (walk(first)) return path;
  }
  return null;
}

function waitOf(world: World, threads: readonly LogicalThread[], thread: LogicalThread): Wait {
  const { arena } = world;
  const { words, layout } = arena;
  const { effect, word } = thread;
  const { record } = thread.actor.task;
  const changed = effect?.kind === EffectKind.Wait && words[word] !== effect.expected;
  if (word === record + Thread.NodeGranted)
    return waitForLock(world, threads, thread, words[record + Thread.NodeLock], changed);
  if (word >= layout.pageWaits && word < layout.pageWaits + PAGE_WAIT_QUEUES)
    return waitForPage(world, threads, thread, changed);
  const at = layout.journal;
  if (word === at + Journal.Stopped || word === at + Journal.Progress) {
    const holders = holdersOf(arena, threads, thread, layout.locks + GlobalLock.Commit);
    return { thread, what: 'the commit in progress', isOver: changed || holders.length === 0, holders, how: '' };
  }
  if (word === at + Journal.Handles) {
    const holders = threads.filter((other) => words[other.actor.task.record + Thread.Handles] !== 0);
    return { thread, what: 'open handles', isOver: changed || holders.length === 0, holders, how: '' };
  }
  const lock = mutexAt(thread, words);
  if (lock !== 0) return waitForLock(world, threads, thread, lock, changed);
  const name =
    word === Header.FramesWait ? 'page frames' : word === Header.WritebackWait ? 'writeback' : `word ${word}`;
  return { thread, what: name, isOver: changed, holders: [], how: '' };
}

/** The mutex that the thread was about to take when it fell asleep, or 0. */
function mutexAt(thread: LogicalThread, words: Int32Array): number {
  const { record } = thread.actor.task;
  const depth = words[record + Thread.HeldDepth];
  if (depth === 0) return 0;
  const last = record + Thread.Held + 2 * (depth - 1);
  return words[last] + Mutex.State === thread.word ? words[last] : 0;
}

function waitForLock(
  world: World,
  threads: readonly LogicalThread[],
  thread: LogicalThread,
  lock: number,
  changed: boolean,
): Wait {
  const { arena } = world;
  const holders = holdersOf(arena, threads, thread, lock);
  const how = holders.length > 0 ? ` ${modeOf(arena, holders[0], lock)}` : '';
  const isMutex = modeOf(arena, thread, lock) === 'as a mutex';
  const isFree = isMutex
    ? arena.words[lock + Mutex.State] === 0
    : (arena.words[lock + Rwsem.State] & RwsemState.Held) === 0;
  return { thread, what: nameLock(world, lock), isOver: changed || isFree, holders, how };
}

function waitForPage(world: World, threads: readonly LogicalThread[], thread: LogicalThread, changed: boolean): Wait {
  const { words, layout } = world.arena;
  const busy: number[] = [];
  for (let frame = 1; frame <= layout.frames; frame++) {
    const state = words[layout.pageRecords + frame * Page.Words + Page.State];
    const isBusy = (state & (PageFlag.Locked | PageFlag.Writeback)) !== 0 && (state & PageFlag.Waiters) !== 0;
    if (isBusy && queueOf(layout.pageWaits, frame) === thread.word) busy.push(layout.pageRecords + frame * Page.Words);
  }
  const owners = busy.map((page) => words[page + Page.Owner] & OWNER_MASK);
  // Who has a page under writeback is not in the page; it counts what it has.
  const holders = threads.filter(
    (other) =>
      other !== thread &&
      (owners.includes(other.actor.task.thread + 1) ||
        (owners.includes(0) && words[other.actor.task.record + Thread.PageLocks] > 0)),
  );
  return { thread, what: pageNames(world, busy), isOver: changed || busy.length === 0, holders, how: '' };
}

function queueOf(queues: number, frame: number): number {
  return queues + ((Math.imul(frame, 0x9e37_79b1) >>> 24) % PAGE_WAIT_QUEUES);
}

function pageNames({ arena, files }: World, pages: readonly number[]): string {
  const names = pages.map((page) => {
    const file = files.find(({ slot }) => slot + 1 === arena.words[page + Page.Mapping]);
    return `page ${arena.unsigned[page + Page.Index]} of ${file?.name ?? 'metadata'}`;
  });
  return names.length === 0 ? 'a page' : names.join(' or ');
}

/** Who has the lock, among the threads that do not wait for it themselves. */
function holdersOf(
  { words }: Arena,
  threads: readonly LogicalThread[],
  waiter: LogicalThread,
  lock: number,
): LogicalThread[] {
  return threads.filter((other) => {
    const { record } = other.actor.task;
    const entries = heldBy(words, record, lock);
    const waitsForIt = other.state === ThreadState.Asleep && waitedLock(other, words) === lock;
    // A thread may wait for what it has itself.
    return entries > (waitsForIt ? 1 : 0) && (other !== waiter || entries > 1);
  });
}

function waitedLock(thread: LogicalThread, words: Int32Array): number {
  const { record } = thread.actor.task;
  return thread.word === record + Thread.NodeGranted ? words[record + Thread.NodeLock] : mutexAt(thread, words);
}

function heldBy(words: Int32Array, record: number, lock: number): number {
  let entries = 0;
  for (let i = 0; i < words[record + Thread.HeldDepth]; i++)
    if (words[record + Thread.Held + 2 * i] === lock) entries++;
  return entries;
}

function modeOf({ words }: Arena, thread: LogicalThread, lock: number): string {
  const { record } = thread.actor.task;
  for (let i = 0; i < words[record + Thread.HeldDepth]; i++) {
    if (words[record + Thread.Held + 2 * i] !== lock) continue;
    const mode = words[record + Thread.Held + 2 * i + 1];
    return mode === LockMode.Shared ? 'shared' : mode === LockMode.Exclusive ? 'exclusive' : 'as a mutex';
  }
  return '';
}

/** `invalidate_lock of victim`. */
export function nameLock(world: World, lock: number): string {
  const { words, layout } = world.arena;
  const inside = lock - layout.inodeRecords;
  if (inside >= 0 && inside < layout.inodes * Inode.Words) {
    const slot = Math.floor(inside / Inode.Words);
    const name = LOCK_RANK_NAMES[words[lock + Rwsem.Rank]] ?? `lock ${inside % Inode.Words}`;
    return `${name} of ${world.fileOfSlot(slot)?.name ?? (slot === 1 ? 'the inode table' : `slot ${slot}`)}`;
  }
  if (lock >= layout.pageRecords && lock < layout.pageRecords + (layout.frames + 1) * Page.Words)
    return pageNames(world, [lock]);
  if (lock === layout.journal) return 'journal handle';
  const isMutex = lock - layout.locks >= GlobalLock.InodeTable;
  return LOCK_RANK_NAMES[words[lock + (isMutex ? Mutex.Rank : Rwsem.Rank)]] ?? `lock ${lock}`;
}
