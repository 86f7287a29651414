/**
 * Versions of ranges of pages: how a reader that takes no lock knows that nobody wrote what it has read while it read.
 *
 * A word for each VERSION_PAGES pages of a file, shared by what has the same hash: how many change something there now in the
 * low bits (WRITERS), and above them how many changes there were. A changer opens the words of its whole range before its
 * first store and closes them after its last. A reader adds up the words of its whole range before its first load, and
 * again after its last: if nobody was inside and the sums are equal, no word has changed, as words only grow.
 *
 * 1. The range is the whole request's, for both. So all of a change is seen or nothing of it, also where it takes several
 *    pages one after the other.
 * 2. Changers need not exclude each other: the words count them. (A hash may bring changes of two files together.)
 * 3. Ordering. A changer opens by an atomic addition, and its stores come behind it; it closes by one, and they come before it. The
 *    reader's loads must stay between its two looks. Processors that keep loads in order (READS_IN_ORDER) promise that, and the compiler
 *    moves no load across an atomic one. Elsewhere nobody reads so: the promise must not hang on luck.
 * 4. A changer that dies leaves its words open; readers of them then take a lock, and find the store fenced.
 * 5. A word that was raised 2^24 times while a reader looked away is taken for unchanged; that would take a second of nothing else.
 *
 * Any thread; takes no lock.
 */
import type { Task } from '../routine/task.js';
import type { Arena } from './arena.js';

const VERSION_PAGES_SHIFT = 4;
/** Of a version word: who is inside. More than the threads of a store. */
const WRITERS = 0xff;
const VERSION_ONE = 0x100;

/** Answer of `versionOf`: somebody is changing something. All other answers are multiples of VERSION_ONE. */
export const CHANGING = 1;

/** Whether this processor keeps loads in order, and stores. */
export const READS_IN_ORDER = process.arch === 'x64' || process.arch === 's390x';

/** `key` stands for the file: the same one for all who change it or read it. */
export function openVersions(task: Task, key: number, first: number, end: number): void {
  addToAll(task, key, first, end, 1);
}

export function closeVersions(task: Task, key: number, first: number, end: number): void {
  addToAll(task, key, first, end, VERSION_ONE - 1);
}

/** What stands for the state of pages [first, end), or CHANGING. */
export function versionOf(arena: Arena, key: number, first: number, end: number): number {
  const { words, layout } = arena;
  const { versions, versionMask } = layout;
  const start = startOf(key, first);
  const last = start + spanOf(first, end, versionMask);
  let sum = 0;
  for (let i = start; i <= last; i++) {
    const version = Atomics.load(words, versions + (i & versionMask));
    if ((version & WRITERS) !== 0) return CHANGING;
    sum = (sum + version) | 0;
  }
  return sum;
}

function addToAll(task: Task, key: number, first: number, end: number, amount: number): void {
  const { words } = task;
  const { versions, versionMask } = task.arena.layout;
  if (end <= first) return;
  const start = startOf(key, first);
  const last = start + spanOf(first, end, versionMask);
  for (let i = start; i <= last; i++) Atomics.add(words, versions + (i & versionMask), amount);
}

/** Neighbours of one file have neighbouring words, so that a long range meets each word once. */
function startOf(key: number, first: number): number {
  return (Math.imul(key, 0x9e37_79b1) >>> 8) + (first >>> VERSION_PAGES_SHIFT);
}

/** Words behind the first one. */
function spanOf(first: number, end: number, mask: number): number {
  return end <= first ? 0 : Math.min(((end - 1) >>> VERSION_PAGES_SHIFT) - (first >>> VERSION_PAGES_SHIFT), mask);
}
