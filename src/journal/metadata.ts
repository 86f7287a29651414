/**
 * The metadata mapping: device blocks as pages of mapping 0, a page's index being its block number.
 *
 * Any thread may call. Pages are handed out pinned and not locked: the lock of the structure in a block protects its
 * content (locking order: file headers of the structures). A block is verified when it is read from the device; then its
 * kind is checked at every use.
 *
 * 1. A page's content is changed inside a journal handle, with `Journal.dirty`.
 * 2. A freed block has no page: `forget` drops it, dirty or not, so that no commit writes it after its block is reused.
 *    (A copy on its way in the commit buffer belongs to a transaction before the one that frees the block.)
 * 3. Only commits write these pages; writeback and reclaim leave dirty ones alone.
 */
import { assert, unreachable } from '../assert.js';
import { corrupt, StoreError } from '../errors.js';
import { contentProblem } from '../format/block-content.js';
import { type BlockKind, HeaderAt, kindName, verifyBlock, writeHeader } from '../format/block-header.js';
import { SUPERBLOCK_BLOCK } from '../format/geometry.js';
import { verifySuperblock } from '../format/superblock.js';
import { type BlockRun, type MappingOperations, RunKind } from '../pagecache/mapping-operations.js';
import { PageFlag } from '../pagecache/page.js';
import type { PageCache } from '../pagecache/page-cache.js';
import type { Routine } from '../routine/effect.js';
import type { Task } from '../routine/task.js';
import { Header } from '../sync/layout.js';
import type { Frame, PageIndex, Slot } from '../units.js';
import type { Journal } from './journal.js';

const METADATA = 0 as Slot;
/** The first word of a superblock, to ask `get` for block 0 like for any other kind. */
export const SUPERBLOCK_KIND = 0x454d_4d45 as BlockKind;

export class Metadata implements MappingOperations {
  readonly verifies = true;
  readonly movesOnWrite = false;
  private readonly cache: PageCache;

  constructor(readonly journal: Journal) {
    this.cache = journal.cache;
  }

  /** The page of a cached block of that kind, pinned, or 0: then `get` it. */
  tryGet(_task: Task, block: number, kind: BlockKind): Frame {
    const { cache } = this;
    const frame = cache.find(METADATA, block);
    if (frame === 0) return frame;
    const state = cache.stateOf(frame);
    if ((state & PageFlag.Uptodate) !== 0 && this.kindOf(frame) === kind) {
      cache.touch(frame, state);
      return frame;
    }
    cache.unpin(frame);
    return 0 as Frame;
  }

  /** The block's page, pinned. Throws EUCLEAN naming the structure and the block when the block is something else. */
  *get(task: Task, block: number, kind: BlockKind): Routine<Frame> {
    const { cache } = this;
    if (block >= cache.arena.unsigned[Header.Blocks]) {
      throw corrupt(structureName(kind), block, 'past the end of the store');
    }
    for (;;) {
      const frame = cache.find(METADATA, block);
      if (frame !== 0) {
        const state = cache.stateOf(frame);
        cache.touch(frame, state);
        if ((state & PageFlag.Uptodate) !== 0) return this.checkKind(frame, block, kind);
        cache.unpin(frame);
      }
      yield* this.fill(task, block, kind);
    }
  }

  /** A page of zeros with a block header, for a block just allocated; pinned, and in the running transaction. */
  *create(task: Task, block: number, kind: BlockKind, owner: number, generation = 0): Routine<Frame> {
    const { cache } = this;
    const frame = yield* cache.findOrCreate(task, METADATA, block);
    try {
      if (!cache.created) yield* cache.lockPage(task, frame);
      cache.frames.bytes(frame).fill(0);
      writeHeader(cache.frames.view(frame), 0, kind, block, owner, generation);
      cache.setBlock(frame, block);
      cache.markUptodate(frame);
      cache.unlockPage(task, frame);
      this.journal.dirty(task, frame);
    } catch (error) {
      cache.unpin(frame);
      throw error;
    }
    return frame;
  }

  put(frame: Frame): void {
    this.cache.unpin(frame);
  }

  /**
   * Drops the page of a block that is being freed: it leaves the running transaction unwritten, and what the log holds of
   * it is revoked. Inside the handle.
   */
  *forget(task: Task, block: number): Routine<void> {
    const { cache, journal } = this;
    assert(task.handleDepth > 0, 'a metadata block is forgotten outside a transaction');
    journal.revoke(task, block);
    const frame = cache.findLocked(task, METADATA, block);
    try {
      yield* cache.drop(task, METADATA, block, block + 1);
    } finally {
      if (frame !== 0) {
        journal.forget(frame);
        cache.unpin(frame);
      }
    }
  }

  *map(_task: Task, _mapping: Slot, index: PageIndex, max: number, run: BlockRun): Routine<void> {
    run.block = index;
    run.length = max;
    run.kind = RunKind.Written;
  }

  *mapWrite(): Routine<void> {
    unreachable('writeback asks where metadata go; only commits write them');
  }

  *completeWrite(): Routine<void> {
    unreachable('writeback wrote metadata; only commits do');
  }

  checksum(): number {
    return unreachable('metadata blocks carry their own checksums');
  }

  unreserve(_task: Task, _mapping: Slot, _pages: number): void {
    unreachable('a metadata page held a reservation');
  }

  /** Throws EUCLEAN unless the bytes just read are an intact metadata block, of whatever kind; the cause is the reason. */
  *verify(_task: Task, _mapping: Slot, _index: PageIndex, block: number, bytes: Uint8Array): Routine<void> {
    const kind = new DataView(bytes.buffer, bytes.byteOffset, 4).getUint32(HeaderAt.Kind, true);
    const reason = this.problem(bytes, block, kind);
    if (reason === null) return;
    throw Object.assign(corrupt(structureName(kind), block, reason), { cause: reason });
  }

  private problem(bytes: Uint8Array, block: number, kind: number): string | null {
    if (block === SUPERBLOCK_BLOCK) return verifySuperblock(bytes, block);
    return verifyBlock(bytes, block) ?? contentProblem(bytes, kind, this.cache.arena.unsigned[Header.Blocks]);
  }

  private *fill(task: Task, block: number, kind: BlockKind): Routine<void> {
    try {
      const locked = yield* this.cache.fill(task, METADATA, block, 1);
      if (locked === 0) return;
      try {
        // Waits like the holder of any lock of its structure: the filler waits for none of them.
        yield* this.cache.lockPage(task, locked);
        this.cache.unlockPage(task, locked);
      } finally {
        this.cache.unpin(locked);
      }
    } catch (error) {
      // The reader knows better than the damaged block what should have been there.
      if (error instanceof StoreError && error.code === 'EUCLEAN') {
        throw corrupt(structureName(kind), block, String(error.cause));
      }
      throw error;
    }
  }

  private checkKind(frame: Frame, block: number, kind: BlockKind): Frame {
    const found = this.kindOf(frame);
    if (found === kind) return frame;
    this.cache.unpin(frame);
    throw corrupt(structureName(kind), block, `${structureName(found)} found there`);
  }

  private kindOf(frame: Frame): number {
    const { frames } = this.cache;
    return frames.words(frame)[frames.word(frame) + HeaderAt.Kind / 4];
  }
}

function structureName(kind: number): string {
  return kind === SUPERBLOCK_KIND ? 'superblock' : kindName(kind);
}
