/**
 * Who waits for what in an open store: a text for tests that found no progress. Reads the arena as it stands, unlocked; what
 * it says may be half a step out of date.
 */

import { describeState, PageFlag } from '#dist/src/pagecache/page.js';
import { POINTS } from '#dist/src/routine/points.js';
import type { Arena } from '#dist/src/sync/arena.js';
import {
  Gate,
  GlobalLock,
  Header,
  Inode,
  type Layout,
  Mutex,
  PAGE_WAIT_QUEUES,
  Page,
  RANGES_MAX,
  Range,
  Rwsem,
  Thread,
  ThreadState,
} from '#dist/src/sync/layout.js';
import { LOCK_RANK_NAMES, LockMode } from '#dist/src/sync/lockdep.js';
import { RangeState } from '#dist/src/sync/ranges.js';
import { describeHeld } from '#dist/src/sync/threads.js';

/** StoreState in words. */
const STATES = ['opening', 'open', 'closing', 'closed', 'fenced'];

const WAITED_HEADER_WORDS: [number, string][] = [
  [Header.FramesWait, 'a free page frame'],
  [Header.WritebackWait, 'writeback (throttled)'],
  [Header.WritebackWork, 'work for writeback'],
  [Header.ServiceWork, 'a request'],
  [Header.ExclusionWait, 'an exclusion record'],
];

export function lockReport(arena: Arena): string {
  const { words, layout } = arena;
  const lines = [
    `state ${STATES[arena.state]}, frames free ${words[Header.FramesFree]}, pages dirty ${words[Header.PagesDirty]}, ` +
      `metadata dirty ${words[Header.MetadataDirty]}, pins ${words[Header.Pins]}, blocks free ${words[Header.BlocksFree]}, ` +
      `reserved ${words[Header.BlocksReserved]}, quarantined ${words[Header.BlocksQuarantined]}`,
  ];
  for (let thread = 0; thread < layout.threads; thread++) {
    const at = layout.threadRecords + thread * Thread.Words;
    if (words[at + Thread.State] !== ThreadState.Attached) continue;
    const waits =
      words[at + Thread.WaitingOn] === 0 ? 'runs' : `waits for ${describeWord(arena, words[at + Thread.WaitingOn])}`;
    const wants =
      words[at + Thread.NodeLock] === 0 ? '' : `, queued for ${describeWord(arena, words[at + Thread.NodeLock])}`;
    const busy = words[at + Thread.Busy] === 0 ? 'idle' : 'busy';
    lines.push(
      `thread ${thread} (host ${words[at + Thread.Tid]}, ${busy}) ${waits}${wants}; holds ${describeHeld(arena, thread)}` +
        `; page locks ${words[at + Thread.PageLocks]}, handles ${words[at + Thread.Handles]}, leaf ${words[at + Thread.LeafDepth]}`,
    );
  }
  for (let slot = 0; slot < layout.inodes; slot++) {
    const at = layout.inodeRecords + slot * Inode.Words;
    for (const lock of [Inode.IRwsem, Inode.InvalidateLock, Inode.MapLock]) {
      if (words[at + lock + Rwsem.State] !== 0) lines.push(describeRwsem(arena, at + lock));
    }
  }
  for (let range = 0; range < layout.threads * RANGES_MAX; range++) {
    const at = layout.ranges + range * Range.Words;
    if (words[at + Range.Lock] !== 0) lines.push(describeRange(arena, at, Math.floor(range / RANGES_MAX)));
  }
  const names = layout.locks + GlobalLock.Names;
  if (words[names + Rwsem.State] !== 0) lines.push(describeRwsem(arena, names));
  for (let frame = 1; frame <= layout.frames; frame++) {
    const at = layout.pageRecords + frame * Page.Words;
    if ((words[at + Page.State] & (PageFlag.Locked | PageFlag.Writeback)) === 0) continue;
    lines.push(
      `page frame ${frame}: mapping ${words[at + Page.Mapping] - 1}, index ${words[at + Page.Index]}, ${describeState(words[at + Page.State])}`,
    );
  }
  return lines.join('\n  ');
}

function describeRwsem(arena: Arena, at: number): string {
  const { words } = arena;
  const queue: number[] = [];
  // The list of a range lock holds other numbers; its ranges are told of one by one.
  for (let next = words[at + Rwsem.WaitHead]; next !== 0 && next <= arena.layout.threads && queue.length < 32; ) {
    queue.push(next - 1);
    next = words[arena.layout.threadRecords + (next - 1) * Thread.Words + Thread.NodeNext];
  }
  const state = `0x${(words[at + Rwsem.State] >>> 0).toString(16)}`;
  return `${describeWord(arena, at)}: state ${state}, writer ${words[at + Rwsem.Owner] - 1}, queue ${queue.join(' ')}`;
}

function describeRange(arena: Arena, at: number, thread: number): string {
  const { words, unsigned } = arena;
  const [first, end] = [unsigned[at + Range.First], unsigned[at + Range.End]];
  const mode = words[at + Range.Mode] === LockMode.Shared ? 'shared' : 'exclusive';
  const state = words[at + Range.State] === RangeState.Held ? 'holds' : 'waits for';
  return `thread ${thread} ${state} pages ${first} to ${end} of ${describeWord(arena, words[at + Range.Lock])} ${mode}`;
}

/** What the word at this offset of the arena belongs to. */
function describeWord(arena: Arena, at: number): string {
  const { layout } = arena;
  const header = WAITED_HEADER_WORDS.find(([word]) => word === at);
  if (header !== undefined) return header[1];
  const inside = (start: number, words: number): boolean => at >= start && at < start + words;
  if (inside(layout.gates, POINTS.length * Gate.Words)) return `the gate of ${POINTS[(at - layout.gates) >> 1]}`;
  if (inside(layout.threadRecords, layout.threads * Thread.Words)) {
    const thread = Math.floor((at - layout.threadRecords) / Thread.Words);
    const lock = arena.words[layout.threadRecords + thread * Thread.Words + Thread.NodeLock];
    return lock === 0 ? `its own word of thread ${thread}` : describeWord(arena, lock);
  }
  if (inside(layout.pageWaits, PAGE_WAIT_QUEUES)) return `a page (queue ${at - layout.pageWaits})`;
  if (inside(layout.journal, 32)) return `word ${at - layout.journal} of the journal`;
  if (inside(layout.locks, GlobalLock.Words)) return `global lock at ${at - layout.locks} (${rankOf(arena, at)})`;
  if (inside(layout.inodeRecords, layout.inodes * Inode.Words)) {
    const slot = Math.floor((at - layout.inodeRecords) / Inode.Words);
    const word = (at - layout.inodeRecords) % Inode.Words;
    const lock =
      word >= Inode.MapLock
        ? 'MapLock'
        : word >= Inode.InvalidateLock
          ? 'InvalidateLock'
          : word >= Inode.IRwsem
            ? 'IRwsem'
            : `word ${word}`;
    return `${lock} of inode ${arena.words[layout.inodeRecords + slot * Inode.Words + Inode.Ino]} (slot ${slot})`;
  }
  return `word ${at} in ${regionOf(layout, at)}`;
}

function rankOf(arena: Arena, at: number): string {
  return LOCK_RANK_NAMES[arena.words[at + Mutex.Rank]] ?? 'a leaf mutex or a mutex';
}

function regionOf(layout: Layout, at: number): string {
  const starts = Object.entries(layout).filter(([, start]) => typeof start === 'number' && start <= at) as [
    string,
    number,
  ][];
  return starts.sort(([, a], [, b]) => b - a)[0]?.[0] ?? 'the header';
}
