/**
 * Pages of a mapping whose every write goes to new blocks (`MappingOperations.movesOnWrite`: files of a store with data
 * checksums, where content and checksum must become visible together).
 *
 * Any thread that has the pages under writeback.
 *
 *  1. A cached page never says where its content lies: its Block is MOVING_BLOCK, or none, or unwritten. So no write goes in
 *     place, and whoever dirties a clean page promises a block for it.
 *  2. The promise of a page under writeback is the writer's (`takePromise`, page locked): whoever dirties the page
 *     again meanwhile makes one of his own. A failed write gives it back, or gives it up where there is one already.
 *  3. What is summed is what is written: a copy, since pages may be written to, through pins or by writers, while their
 *     writeback is under way.
 */
import { allocateAligned } from '../device/aligned-memory.js';
import type { Routine } from '../routine/effect.js';
import type { Task } from '../routine/task.js';
import { MOVING_BLOCK, Page, UNWRITTEN_BLOCK } from '../sync/layout.js';
import type { Frame, Slot } from '../units.js';
import type { CacheParts } from './cache-parts.js';
import type { BlockRun } from './mapping-operations.js';
import { PageFlag } from './page.js';

/** Memory of earlier copies, one for each write of this thread that is under way at a time. */
const spare: Uint8Array[] = [];

/** Under the page lock, as writeback starts: 1 if the page held a promise, which it holds no more. */
export function takePromise(cache: CacheParts, frame: Frame): number {
  const { words, unsigned, layout } = cache.arena;
  const page = layout.pageRecords + frame * Page.Words;
  // Who dirties it again cannot know whether it still lies over an unwritten extent then.
  if (unsigned[page + Page.Block] === UNWRITTEN_BLOCK) Atomics.store(words, page + Page.Block, MOVING_BLOCK);
  return (Atomics.and(words, page + Page.State, ~PageFlag.Reserved) & PageFlag.Reserved) !== 0 ? 1 : 0;
}

/** The page was not written: it has its promise again. */
export function returnPromise(cache: CacheParts, task: Task, mapping: Slot, frame: Frame): void {
  const { words, layout } = cache.arena;
  const state = layout.pageRecords + frame * Page.Words + Page.State;
  const old = Atomics.or(words, state, PageFlag.Reserved);
  if ((old & PageFlag.Reserved) !== 0) cache.operationsOf(mapping).unreserve(task, mapping, 1);
}

/** The page was written: wherever that is, its next write goes elsewhere. */
export function markMoving(cache: CacheParts, frame: Frame): void {
  Atomics.store(cache.arena.words, cache.arena.layout.pageRecords + frame * Page.Words + Page.Block, MOVING_BLOCK);
}

/** Writes copies of frames[from] … frames[to - 1] to the run's blocks, and leaves their checksums in it. */
export function* writeCopies(
  cache: CacheParts,
  task: Task,
  mapping: Slot,
  frames: Int32Array,
  from: number,
  to: number,
  blocks: BlockRun,
): Routine<void> {
  const { blockBytes } = cache.frames;
  const operations = cache.operationsOf(mapping);
  const lengthBytes = (to - from) * blockBytes;
  const memory = borrow(lengthBytes);
  try {
    const sums = new Uint32Array(to - from);
    for (let i = from; i < to; i++) {
      const copy = memory.subarray((i - from) * blockBytes, (i - from + 1) * blockBytes);
      copy.set(cache.frames.bytes(frames[i] as Frame));
      sums[i - from] = operations.checksum(mapping, copy);
    }
    blocks.sums = sums;
    yield task.write(cache.device, [memory.subarray(0, lengthBytes)], blocks.block * blockBytes);
  } finally {
    spare.push(memory);
  }
}

function borrow(lengthBytes: number): Uint8Array {
  const memory = spare.pop();
  return memory !== undefined && memory.length >= lengthBytes ? memory : allocateAligned(lengthBytes);
}
