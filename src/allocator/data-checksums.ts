/**
 * Checksums of data blocks, on stores that have them: a table for each group, one word a block, in checksum blocks behind
 * the group's bitmap (format/geometry.ts). Any thread.
 *
 * 1. The word of a block is right from the transaction on that makes the block part of a written extent, until that one
 *    is durable which frees it. Nobody looks at the words of other blocks.
 * 2. Only who publishes a block writes its word, in the handle that publishes it. So the words need no lock.
 * 3. A checksum block is made when its first word is written; until then nothing is on the device where it belongs. The
 *    bitmap's header tells which there are.
 *
 * Locks: Growth to make a checksum block, and below it the group's mutex.
 */
import { BlockKind, HEADER_WORDS, HeaderAt } from '../format/block-header.js';
import {
  checksumBlockOf,
  checksumIndexOf,
  checksumsPerBlock,
  checksumTableOf,
  type Geometry,
  groupOf,
} from '../format/geometry.js';
import type { Journal } from '../journal/journal.js';
import type { Metadata } from '../journal/metadata.js';
import type { Routine } from '../routine/effect.js';
import type { Task } from '../routine/task.js';
import { GlobalLock } from '../sync/layout.js';
import { lockMutex, unlockMutex } from '../sync/mutex.js';
import type { Frame } from '../units.js';
import type { ExclusionRecords } from './exclusion-records.js';
import type { GroupSearch } from './group-search.js';

/** Blocks that `set` may dirty: a run of writeback lies in three tables at the most, and a new one changes the bitmap. */
export const CHECKSUM_CREDITS = 4;
const TABLES_WORD = HeaderAt.Tables / 4;

export class DataChecksums {
  constructor(
    private readonly journal: Journal,
    private readonly metadata: Metadata,
    private readonly geometry: Geometry,
    private readonly groups: GroupSearch,
    private readonly records: ExclusionRecords,
  ) {}

  /** The checksum of a block that a written extent names. */
  *get(task: Task, block: number): Routine<number> {
    const at = checksumBlockOf(this.geometry, block);
    const cached = this.metadata.tryGet(task, at, BlockKind.Checksums);
    const frame = cached !== 0 ? cached : yield* this.metadata.get(task, at, BlockKind.Checksums);
    try {
      const { frames } = this.journal.cache;
      return frames.words(frame)[frames.word(frame) + HEADER_WORDS + checksumIndexOf(this.geometry, block)];
    } finally {
      this.metadata.put(frame);
    }
  }

  /** Inside a handle (CHECKSUM_CREDITS): the checksums of the `count` blocks from `start`, of one group. */
  *set(task: Task, start: number, sums: Uint32Array, from: number, count: number): Routine<void> {
    const { frames } = this.journal.cache;
    const perBlock = checksumsPerBlock(this.geometry.blockBytes);
    for (let done = 0; done < count; ) {
      const index = checksumIndexOf(this.geometry, start + done);
      const n = Math.min(count - done, perBlock - index);
      const frame = yield* this.table(task, start + done);
      const words = frames.words(frame);
      words.set(sums.subarray(from + done, from + done + n), frames.word(frame) + HEADER_WORDS + index);
      this.journal.dirty(task, frame);
      this.metadata.put(frame);
      done += n;
    }
  }

  /** The frame of the block's checksum block, pinned; made if there is none. */
  private *table(task: Task, block: number): Routine<Frame> {
    const at = checksumBlockOf(this.geometry, block);
    const cached = this.metadata.tryGet(task, at, BlockKind.Checksums);
    if (cached !== 0) return cached;
    const group = groupOf(this.geometry, block);
    const bit = 1 << checksumTableOf(this.geometry, block);
    const bitmap = yield* this.groups.bitmap(task, group);
    try {
      if ((this.groups.bitmapWords(bitmap)[TABLES_WORD] & bit) !== 0)
        return yield* this.metadata.get(task, at, BlockKind.Checksums);
      return yield* this.make(task, group, at, bit, bitmap);
    } finally {
      this.metadata.put(bitmap);
    }
  }

  private *make(task: Task, group: number, at: number, bit: number, bitmap: Frame): Routine<Frame> {
    const growth = this.journal.arena.layout.locks + GlobalLock.Growth;
    const lock = this.records.groupLock(group);
    yield* lockMutex(task, growth);
    try {
      const words = this.groups.bitmapWords(bitmap);
      if ((words[TABLES_WORD] & bit) !== 0) return yield* this.metadata.get(task, at, BlockKind.Checksums);
      const frame = yield* this.metadata.create(task, at, BlockKind.Checksums, group);
      yield* lockMutex(task, lock);
      words[TABLES_WORD] |= bit;
      this.journal.dirty(task, bitmap);
      unlockMutex(task, lock);
      return frame;
    } finally {
      unlockMutex(task, growth);
    }
  }
}
