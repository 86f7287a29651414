/**
 * The superblock's page against the arena's counters: while the store is open the arena is the truth, and a commit writes
 * it into the page. Nothing else writes these fields.
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

/** Writes the counters into the superblock's page. */
export function storeCounters(task: Task, view: DataView): void {
  const { unsigned } = task.arena;
  for (const [word, field] of COUNTERS) view.setUint32(field, unsigned[word], true);
  view.setUint32(SuperblockAt.BlocksFree, freeBlocks(task), true);
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
