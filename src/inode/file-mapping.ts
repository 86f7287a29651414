/**
 * How the page cache finds, chooses and publishes the device blocks of files.
 *
 * Any thread may call; the extent-map lock is taken inside, after the journal handle.
 */
import type { Allocator } from '../allocator/allocator.js';
import type { Journal } from '../journal/journal.js';
import type { BlockRun, MappingOperations } from '../pagecache/mapping-operations.js';
import type { PageCache } from '../pagecache/page-cache.js';
import type { Routine } from '../routine/effect.js';
import type { Task } from '../routine/task.js';
import type { Arena } from '../sync/arena.js';
import type { Slot } from '../units.js';
import type { ExtentMap } from './extent-map.js';
import type { InodeTable } from './inode-table.js';

export class FileMapping implements MappingOperations {
  constructor(
    readonly arena: Arena,
    readonly cache: PageCache,
    readonly journal: Journal,
    readonly allocator: Allocator,
    readonly extents: ExtentMap,
    readonly inodes: InodeTable,
    readonly blockBytes: number,
  ) {}

  /** The run that holds `index`, at most `max` pages. */
  // biome-ignore lint/correctness/useYield: the body follows
  *map(_task: Task, _slot: Slot, _index: number, _max: number, _run: BlockRun): Routine<void> {
    throw new Error('not written yet');
  }

  // biome-ignore lint/correctness/useYield: the body follows
  *mapWrite(_task: Task, _slot: Slot, _index: number, _max: number, _run: BlockRun): Routine<void> {
    throw new Error('not written yet');
  }

  // biome-ignore lint/correctness/useYield: the body follows
  *completeWrite(_task: Task, _slot: Slot, _index: number, _run: BlockRun, _error: boolean): Routine<void> {
    throw new Error('not written yet');
  }

  unreserve(_task: Task, _slot: Slot, _pages: number): void {
    throw new Error('not written yet');
  }

  verify(_bytes: Uint8Array, _block: number): void {}
}
