/**
 * The superblock's page against the arena's counters: while the store is open the arena is the truth, and a commit writes
 * it into the page, which is part of the transaction if that changes it. Nothing else writes these fields.
 *
 * `storeCounters` runs while no handle is open, `loadCounters` before the first one. Takes the Exclusions leaf mutex, so
 * that blocks on their way from quarantined to free are counted once: on the device both are free.
 */
import { SuperblockAt } from '../format/superblock.js';
import type { Task } from '../routine/task.js';
import type { Arena } from '../sync/arena.js';
import { GlobalLock, Header } from '../sync/layout.js';
import { lockLeaf, unlockLeaf } from '../sync/leaf.js';

/** Words that are kept in the superblock as they are: pairs of arena word and byte offset. */
const COUNTERS: readonly (readonly [Header, SuperblockAt])[] = [
  [Header.GroupsInitialised, SuperblockAt.GroupsInitialised],
  [Header.InodeHighWater, SuperblockAt.InodeHighWater],
  [Header.InodeFreeHead, SuperblockAt.InodeFreeHead],
  [Header.OrphanHead, SuperblockAt.OrphanHead],
  [Header.Files, SuperblockAt.Files],
];

/** Takes the counters over from a superblock just read. */
export function loadCounters(arena: Arena, view: DataView): void {
  const { unsigned } = arena;
  for (const [word, field] of COUNTERS) unsigned[word] = view.getUint32(field, true);
  unsigned[Header.BlocksFree] = view.getUint32(SuperblockAt.BlocksFree, true);
}

/** Writes the counters into the superblock's page; whether any had changed. */
export function storeCounters(task: Task, view: DataView): boolean {
  const { unsigned } = task.arena;
  let isChanged = store(view, SuperblockAt.BlocksFree, freeBlocks(task));
  for (let i = 0; i < COUNTERS.length; i++) {
    const [word, field] = COUNTERS[i];
    if (store(view, field, unsigned[word])) isChanged = true;
  }
  return isChanged;
}

function store(view: DataView, field: SuperblockAt, value: number): boolean {
  if (view.getUint32(field, true) === value) return false;
  view.setUint32(field, value, true);
  return true;
}

/** Blocks in nobody's use: those that only wait for a commit to become free included. */
export function freeBlocks(task: Task): number {
  const { unsigned, layout } = task.arena;
  const lock = layout.locks + GlobalLock.Exclusions;
  lockLeaf(task, lock);
  const free = unsigned[Header.BlocksFree] + unsigned[Header.BlocksQuarantined];
  unlockLeaf(task, lock);
  return free;
}
