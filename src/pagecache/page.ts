/**
 * A page: its state word, who may change what in it, and why a hit without a lock is safe.
 *
 * The state word (Page.State) holds flags in its low 12 bits and the number of pins above them. It changes by atomic
 * read-modify-write alone, so that a pin that comes or goes at any moment is never lost.
 *
 * A frame is one of
 *   free       Frozen, in no mapping; on the free list, the detached stack, or in the hands of the thread that took it.
 *   attached   Mapping and Index name it; in its bucket, on one list of its mapping, on one reclaim queue (the last two
 *              only while its inserter keeps it locked are they still to come).
 *   freezing   Frozen, and Mapping still set: its evictor is taking it out of list, bucket and queue.
 *   detached   Detached, Mapping is 0; in none of them. Whoever pinned it before keeps its content.
 *
 * Who may change what:
 *   pins        anybody, anytime; a stray pin on any frame whatever does no harm (see below).
 *   Locked      set by whoever finds it clear and has a pin; cleared by that thread, which Owner names.
 *   Uptodate    the lock's holder sets it; only freezing clears it. Detached pages keep it.
 *   Dirty       set by the lock's holder (metadata: by a task with an open handle and a pin). Cleared by the lock's holder
 *               on starting writeback or detaching (metadata: by the commit).
 *   Writeback   set by the lock's holder together with clearing Dirty; cleared by the same thread, without the lock.
 *   Reserved    set by the lock's holder; cleared by the lock's holder, or by writeback while Writeback is set.
 *   Waiters     set by who is about to sleep on Locked or Writeback; cleared by whoever clears either, and wakes them all.
 *   Frequency, Readahead, Prefetched   hints; may be lost, never misread for another flag.
 *   Frozen      set by compare-exchange from a word with no pins and none of the flags of BUSY; leaves no other flag.
 *               Cleared by the inserter, with Mapping and Index written before.
 *   Detached    set by the lock's holder, under the bucket's lock, together with clearing Mapping.
 *
 * Why a hit without a lock never returns another page's bytes. A reader finds frame F for (mapping, index) in a chain it
 * reads without the bucket's lock, or guesses it (file/frame-guess.ts), so F may by now be anything. It (1) pins F; (2) gives
 * up if the word it changed had Frozen; (3) reads Mapping and Index again; (4) checks Uptodate; only then looks at the bytes,
 * and then unpins.
 *   - Freezing needs a word with no pins. So either the pin came first, and F cannot be frozen until the unpin; or the
 *     freeze did, and (2) sees it. After (2), F is attached or detached, and cannot become free.
 *   - Mapping and Index are written only while F is frozen, but for detaching, which sets Mapping to 0. So what (3) reads
 *     holds for as long as the pin does, or turns into "no longer in the cache", with the content still as it was.
 *   - Inserting clears Frozen with one atomic addition after Mapping and Index were stored, and sets Locked without
 *     Uptodate in the same step; Uptodate is set after the content is in place. All are sequentially consistent.
 *   - A pin on a free frame changes only the pin count, which inserting keeps, as it adds to the word.
 * Giving up is a false miss, which lookups without a lock are allowed; the slow path looks again under the bucket's lock.
 *
 * And without a pin (file/page-copier.ts, where loads keep their order): the reader reads the insertion count above Owner,
 * then State (Uptodate, not Frozen), then Mapping and Index, then the bytes, then the count again. The inserter raises the count
 * before it writes anything else, while the frame is frozen. So if the count is what it was: no later insertion had begun
 * when the bytes were read; the one it counts had ended when State was read; Mapping and Index are hence its own.
 *
 * The last unpin frees. Whoever takes the pins of a detached page to 0 tries to swap exactly the word it left for a bare
 * Frozen. If that fails, somebody has pinned since, and will be last in turn; at most one swap succeeds, and one does.
 *
 * test/hit-path searches all interleavings of these steps: what changes here changes there.
 *
 * Leaf mutexes of this directory: bucket, ListLock, reclaim. None is taken while another is held.
 */
import { AssertionError } from '../assert.js';

export const enum PageFlag {
  Locked = 0x1,
  Uptodate = 0x2,
  /** The device does not have the content. */
  Dirty = 0x4,
  /** The content is on its way to the device. */
  Writeback = 0x8,
  /** Somebody sleeps until Locked or Writeback is cleared. */
  Waiters = 0x10,
  /** Two-bit count of uses since the page was queued or last spared by reclaim. */
  Frequency = 0x60,
  /** Reading this page asks for the next window of readahead. */
  Readahead = 0x80,
  Frozen = 0x100,
  Detached = 0x200,
  /** A block is promised to the page by delayed allocation. */
  Reserved = 0x400,
  /** Filled by readahead and not used yet. */
  Prefetched = 0x800,
}

export const FREQUENCY_ONE = 0x20;
export const PIN_ONE = 0x1000;
/** A page with any of these cannot be evicted. */
export const BUSY =
  PageFlag.Locked | PageFlag.Dirty | PageFlag.Writeback | PageFlag.Frozen | PageFlag.Detached | PageFlag.Reserved;

const NAMES: readonly [PageFlag, string][] = [
  [PageFlag.Locked, 'Locked'],
  [PageFlag.Uptodate, 'Uptodate'],
  [PageFlag.Dirty, 'Dirty'],
  [PageFlag.Writeback, 'Writeback'],
  [PageFlag.Waiters, 'Waiters'],
  [PageFlag.Readahead, 'Readahead'],
  [PageFlag.Frozen, 'Frozen'],
  [PageFlag.Detached, 'Detached'],
  [PageFlag.Reserved, 'Reserved'],
  [PageFlag.Prefetched, 'Prefetched'],
];

/** A state word in words, for messages. */
export function describeState(state: number): string {
  const flags = NAMES.filter(([flag]) => (state & flag) !== 0).map(([, name]) => name);
  return `${flags.join('|') || 'no flags'}, frequency ${(state & PageFlag.Frequency) / FREQUENCY_ONE}, ${state >> 12} pins`;
}

export const enum Transition {
  Insert,
  Lock,
  Unlock,
  FillDone,
  MakeDirty,
  MakeClean,
  Reserve,
  Unreserve,
  StartWriteback,
  EndWriteback,
  FailWriteback,
  Detach,
  Evict,
  Free,
}

export interface TransitionRule {
  name: string;
  /** Flags that must all be set, and flags that must all be clear, in the word it starts from. */
  needs: number;
  excludes: number;
  /** What it does to the flags. */
  sets: number;
  clears: number;
  pins: 'any' | 'some' | 'none';
}

const ALL = PIN_ONE - 1;
const GONE = PageFlag.Frozen | PageFlag.Detached;

/** The only ways in which flags change, but for hints, Waiters and pins. */
export const TRANSITIONS: readonly TransitionRule[] = [
  {
    name: 'insert',
    needs: PageFlag.Frozen,
    excludes: ALL & ~PageFlag.Frozen,
    sets: PageFlag.Locked,
    clears: PageFlag.Frozen,
    pins: 'any',
  },
  {
    name: 'lock',
    needs: 0,
    excludes: PageFlag.Locked | PageFlag.Frozen,
    sets: PageFlag.Locked,
    clears: 0,
    pins: 'some',
  },
  {
    name: 'unlock',
    needs: PageFlag.Locked,
    excludes: PageFlag.Frozen,
    sets: 0,
    clears: PageFlag.Locked | PageFlag.Waiters,
    pins: 'some',
  },
  {
    name: 'fill done',
    needs: PageFlag.Locked,
    excludes: GONE | PageFlag.Dirty,
    sets: PageFlag.Uptodate,
    clears: 0,
    pins: 'some',
  },
  { name: 'make dirty', needs: PageFlag.Uptodate, excludes: GONE, sets: PageFlag.Dirty, clears: 0, pins: 'some' },
  {
    name: 'make clean',
    needs: PageFlag.Dirty,
    excludes: GONE | PageFlag.Writeback,
    sets: 0,
    clears: PageFlag.Dirty,
    pins: 'some',
  },
  {
    name: 'reserve',
    needs: PageFlag.Locked,
    excludes: GONE | PageFlag.Reserved,
    sets: PageFlag.Reserved,
    clears: 0,
    pins: 'some',
  },
  { name: 'unreserve', needs: PageFlag.Reserved, excludes: GONE, sets: 0, clears: PageFlag.Reserved, pins: 'some' },
  {
    name: 'start writeback',
    needs: PageFlag.Dirty | PageFlag.Uptodate,
    excludes: GONE | PageFlag.Writeback,
    sets: PageFlag.Writeback,
    clears: PageFlag.Dirty,
    pins: 'some',
  },
  {
    name: 'end writeback',
    needs: PageFlag.Writeback,
    excludes: GONE,
    sets: 0,
    clears: PageFlag.Writeback | PageFlag.Waiters,
    pins: 'some',
  },
  {
    name: 'fail writeback',
    needs: PageFlag.Writeback,
    excludes: GONE,
    sets: PageFlag.Dirty,
    clears: PageFlag.Writeback | PageFlag.Waiters,
    pins: 'some',
  },
  {
    name: 'detach',
    needs: PageFlag.Locked,
    excludes: GONE | PageFlag.Writeback,
    sets: PageFlag.Detached,
    clears: PageFlag.Dirty | PageFlag.Reserved | PageFlag.Readahead | PageFlag.Prefetched,
    pins: 'some',
  },
  { name: 'evict', needs: 0, excludes: BUSY, sets: PageFlag.Frozen, clears: ALL & ~PageFlag.Frozen, pins: 'none' },
  {
    name: 'free',
    needs: PageFlag.Detached,
    excludes: BUSY & ~PageFlag.Detached,
    sets: PageFlag.Frozen,
    clears: ALL & ~PageFlag.Frozen,
    pins: 'none',
  },
];

/** Whether the table allows the transition from a word; if not, an AssertionError says what stands against it. */
export function assertTransition(transition: Transition, from: number, frame: number): void {
  const rule = TRANSITIONS[transition];
  const pins = from >> 12;
  const pinsOk = rule.pins === 'any' || (rule.pins === 'some' ? pins > 0 : pins === 0);
  if ((from & rule.needs) === rule.needs && (from & rule.excludes) === 0 && pinsOk) return;
  throw new AssertionError(`page frame ${frame}: '${rule.name}' from a page with ${describeState(from)}`);
}

/** What the transition leaves of a word. */
export function afterTransition(transition: Transition, from: number): number {
  const rule = TRANSITIONS[transition];
  return (from & ~rule.clears) | rule.sets;
}
