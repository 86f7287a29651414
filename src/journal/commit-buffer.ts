/**
 * The commit buffer: a transaction's blocks, copied out of their pages, on their way to the device.
 *
 * The memory is shared by all threads and belongs to whoever holds the Commit mutex; the list of what lies in it is the
 * committing thread's own. A commit fills it (`take`, no handle open), seals the copies, and writes them; the log of a
 * later commit protocol goes between the last two, from the same list.
 *
 * 1. A block taken is pinned in the cache and clean there: it can be read and dirtied again while its copy is written,
 *    but not evicted, so that nobody reads an old block from the device.
 * 2. Checksums are made in the copies alone. A cached page carries a valid one only as it came from the device.
 * 3. `finish` or `giveBack` ends every `take`: the first unpins, the second also makes the pages dirty again.
 */
import { assert } from '../assert.js';
import type { Device } from '../device/device.js';
import { sealBlock } from '../format/block-header.js';
import { sealSuperblock } from '../format/superblock.js';
import type { PageCache } from '../pagecache/page-cache.js';
import type { Routine } from '../routine/effect.js';
import type { Task } from '../routine/task.js';
import { Inode, Page } from '../sync/layout.js';
import { lockLeaf, unlockLeaf } from '../sync/leaf.js';
import type { Frame, Slot } from '../units.js';

const METADATA = 0 as Slot;
/** Buffers of one vectored write. */
const VECTOR_MAX = 256;

export class CommitBuffer {
  /** Blocks that fit. */
  readonly capacity: number;
  /** Blocks taken. */
  count = 0;
  private readonly bytes: Uint8Array;
  private readonly slots: Uint8Array[] = [];
  private readonly frames: Int32Array;
  private readonly blocks: Uint32Array;

  constructor(
    private readonly cache: PageCache,
    private readonly device: Device,
    buffer: SharedArrayBuffer,
    private readonly blockBytes: number,
  ) {
    this.bytes = new Uint8Array(buffer);
    this.capacity = Math.floor(buffer.byteLength / blockBytes);
    this.frames = new Int32Array(this.capacity);
    this.blocks = new Uint32Array(this.capacity);
  }

  /** Copies every dirty metadata page, and the superblock once more for `superblockCopy` unless that is 0. */
  take(task: Task, superblockCopy: number): void {
    assert(this.count === 0, 'a commit found blocks of another one in the commit buffer');
    this.gather(task);
    const { frames } = this.cache;
    for (let i = 0; i < this.count; i++) {
      const frame = this.frames[i] as Frame;
      this.slot(i).set(frames.bytes(frame));
      this.blocks[i] = this.cache.indexOf(frame);
      this.cache.clearDirty(task, METADATA, frame);
    }
    if (superblockCopy !== 0) this.takeSuperblockCopy(superblockCopy);
  }

  /** Makes the copies what the device may hold. */
  seal(transaction: number, nowMs: number): void {
    for (let i = 0; i < this.count; i++) {
      const block = this.blocks[i];
      if (this.isSuperblock(i)) sealSuperblock(this.slot(i), block, transaction, nowMs);
      else sealBlock(this.slot(i), block, transaction);
    }
  }

  /** Writes the copies where they belong, in order of their blocks, neighbours together. */
  *writeInPlace(task: Task): Routine<void> {
    const order = Array.from({ length: this.count }, (_, i) => i).sort((a, b) => this.blocks[a] - this.blocks[b]);
    for (let from = 0; from < order.length; ) {
      const first = this.blocks[order[from]];
      const buffers: Uint8Array[] = [];
      let to = from;
      do {
        buffers.push(this.slot(order[to]));
        to += 1;
      } while (to < order.length && buffers.length < VECTOR_MAX && this.blocks[order[to]] === first + to - from);
      yield task.write(this.device, buffers, first * this.blockBytes);
      from = to;
    }
  }

  /** The copies are durable: lets go of the pages. */
  finish(task: Task): void {
    for (let i = 0; i < this.count; i++) if (this.frames[i] !== 0) this.cache.unpin(this.frames[i] as Frame);
    this.count = 0;
    this.cache.reclaim.announce(task);
  }

  /**
   * The copies did not reach the device: the pages are newer than it, and say so. But not those of blocks freed meanwhile:
   * they are detached, or about to be by who has them locked.
   */
  giveBack(task: Task): void {
    for (let i = 0; i < this.count; i++) {
      const frame = this.frames[i] as Frame;
      if (frame === 0 || !this.cache.tryLockPage(task, frame)) continue;
      if (!this.cache.isDetached(frame)) this.cache.markDirty(task, METADATA, frame);
      this.cache.unlockPage(task, frame);
    }
    this.finish(task);
  }

  /** Pins the dirty pages. They stay on the list until `clearDirty`: whoever adds to it needs a handle. */
  private gather(task: Task): void {
    const { layout, words } = this.cache.arena;
    const mapping = layout.inodeRecords;
    lockLeaf(task, mapping + Inode.ListLock);
    let frame = words[mapping + Inode.DirtyHead];
    while (frame !== 0 && this.count < this.capacity) {
      this.cache.pin(frame as Frame);
      this.frames[this.count++] = frame;
      frame = words[layout.pageRecords + frame * Page.Words + Page.ListNext];
    }
    unlockLeaf(task, mapping + Inode.ListLock);
    assert(frame === 0, 'a transaction outgrew the commit buffer');
  }

  private takeSuperblockCopy(block: number): void {
    let own = 0;
    while (own < this.count && this.blocks[own] !== 0) own += 1;
    assert(own < this.count && this.count < this.capacity, 'no superblock to copy, or no room for the copy');
    this.slot(this.count).set(this.slot(own));
    this.blocks[this.count] = block;
    this.frames[this.count] = 0;
    this.count += 1;
  }

  private isSuperblock(i: number): boolean {
    return this.blocks[i] === 0 || this.frames[i] === 0;
  }

  private slot(i: number): Uint8Array {
    for (let next = this.slots.length; next <= i; next++) {
      this.slots.push(this.bytes.subarray(next * this.blockBytes, (next + 1) * this.blockBytes));
    }
    return this.slots[i];
  }
}
