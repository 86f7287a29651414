/**
 * The commit buffer: a transaction's blocks, copied out of their pages, on their way to the log.
 *
 * The memory is shared by all threads and belongs to whoever holds the Commit mutex; the list of what lies in it is the
 * committing thread's own. A commit fills it (`take`, no handle open), seals the copies, and appends them to the log.
 *
 * 1. A block taken is pinned in the cache and clean there: it can be read and dirtied again while its copy is written,
 *    but not evicted, so that nobody reads an old block from the device.
 * 2. Checksums are made in the copies alone. A cached page carries a valid one only as it came from the device.
 * 3. The copies are in order of their blocks, so that neighbours on the device are neighbours in the log.
 * 4. Before the first copy and behind the last there is room for a record each: a transaction that needs no others lies in
 *    the buffer as it goes to the log, and is written in one piece.
 * 5. `finish` or `giveBack` ends every `take`: the first hands the pins to those of logged pages, the second makes the
 *    pages dirty again.
 */
import { assert } from '../assert.js';
import { HeaderAt, sealBlock } from '../format/block-header.js';
import { SUPERBLOCK_BLOCK } from '../format/geometry.js';
import { imageChecksum, sealedImageChecksum } from '../format/journal-record.js';
import { SUPERBLOCK_BYTES, SuperblockAt, sealSuperblock } from '../format/superblock.js';
import type { PageCache } from '../pagecache/page-cache.js';
import type { Task } from '../routine/task.js';
import { Inode, Page } from '../sync/layout.js';
import { lockLeaf, unlockLeaf } from '../sync/leaf.js';
import type { Frame, Slot } from '../units.js';
import type { LoggedFrames } from './logged-frames.js';

const METADATA = 0 as Slot;
/** Blocks of the buffer that hold no copies. */
export const RECORD_SLOTS = 2;

export class CommitBuffer {
  /** Blocks that fit. */
  readonly capacity: number;
  /** Blocks taken. */
  count = 0;
  private readonly bytes: Uint8Array;
  /** The buffer's blocks, made when they are first used; copy `i` is the one behind `i`. */
  private readonly slots: Uint8Array[] = [];
  private readonly views: DataView[] = [];
  private readonly seals: Uint32Array;
  private readonly frames: Int32Array;
  private readonly blocks: Uint32Array;
  /** What the log's descriptors say of each copy. */
  readonly loggedChecksums: Uint32Array;
  readonly loggedFlags: Uint16Array;

  constructor(
    private readonly cache: PageCache,
    buffer: SharedArrayBuffer,
    private readonly blockBytes: number,
  ) {
    this.bytes = new Uint8Array(buffer);
    this.capacity = Math.floor(buffer.byteLength / blockBytes) - RECORD_SLOTS;
    this.seals = new Uint32Array(this.capacity);
    this.frames = new Int32Array(this.capacity);
    this.blocks = new Uint32Array(this.capacity);
    this.loggedChecksums = new Uint32Array(this.capacity);
    this.loggedFlags = new Uint16Array(this.capacity);
  }

  /** Copies every dirty metadata page, and the superblock once more for `superblockCopy` unless that is 0. */
  take(task: Task, superblockCopy: number): void {
    assert(this.count === 0, 'a commit found blocks of another one in the commit buffer');
    this.gather(task);
    const { cache } = this;
    if (this.count > 1) {
      this.frames.subarray(0, this.count).sort((a, b) => cache.indexOf(a as Frame) - cache.indexOf(b as Frame));
    }
    for (let i = 0; i < this.count; i++) {
      const frame = this.frames[i] as Frame;
      this.image(i).set(cache.frames.bytes(frame));
      this.blocks[i] = cache.indexOf(frame);
      cache.clearDirty(task, METADATA, frame);
    }
    if (superblockCopy !== 0) this.takeSuperblockCopy(superblockCopy);
  }

  /** Makes the copies what the device may hold. */
  seal(transaction: number, nowMs: number): void {
    for (let i = 0; i < this.count; i++) {
      const block = this.blocks[i];
      this.seals[i] = this.isSuperblock(i)
        ? sealSuperblock(this.image(i), block, transaction, nowMs)
        : sealBlock(this.image(i), block, transaction, this.view(i));
    }
  }

  /** The log's checksum of a copy that was sealed and not escaped. */
  checksumOf(i: number, seed: number): number {
    const image = this.image(i);
    if (!this.isSuperblock(i)) return sealedImageChecksum(image, this.seals[i], HeaderAt.Checksum, seed);
    if (image.length !== SUPERBLOCK_BYTES) return imageChecksum(image, seed);
    return sealedImageChecksum(image, this.seals[i], SuperblockAt.Checksum, seed);
  }

  blockOf(i: number): number {
    return this.blocks[i];
  }

  /** The page that was copied; 0 for the superblock's copy. */
  frameOf(i: number): number {
    return this.frames[i];
  }

  /** The copies from `from` to `to`, which lie behind each other. */
  images(from: number, to: number): Uint8Array {
    return this.bytes.subarray((from + 1) * this.blockBytes, (to + 1) * this.blockBytes);
  }

  image(i: number): Uint8Array {
    const slot = i + 1;
    if (slot >= this.slots.length) this.makeSlots(slot);
    return this.slots[slot];
  }

  view(i: number): DataView {
    const slot = i + 1;
    if (slot >= this.slots.length) this.makeSlots(slot);
    return this.views[slot];
  }

  /** The copies with the blocks before and behind them, `image(-1)` and `image(count)`. */
  framed(): Uint8Array {
    return this.images(-1, this.count + 1);
  }

  /** The copies are in the log, durably, as transaction `sequence` of it. */
  finish(sequence: number, logged: LoggedFrames): void {
    for (let i = 0; i < this.count; i++) if (this.frames[i] !== 0) logged.add(this.frames[i] as Frame, sequence);
    this.count = 0;
  }

  /**
   * The copies did not reach the log: the pages are newer than it, and say so. But not those of blocks freed meanwhile:
   * they are detached, or about to be by who has them locked.
   */
  giveBack(task: Task): void {
    for (let i = 0; i < this.count; i++) {
      const frame = this.frames[i] as Frame;
      if (frame === 0) continue;
      if (this.cache.tryLockPage(task, frame)) {
        if (!this.cache.isDetached(frame)) this.cache.markDirty(task, METADATA, frame);
        this.cache.unlockPage(task, frame);
      }
      this.cache.unpin(frame);
    }
    this.count = 0;
    this.cache.reclaim.announce(task);
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

  private isSuperblock(i: number): boolean {
    return this.blocks[i] === SUPERBLOCK_BLOCK || this.frames[i] === 0;
  }

  private makeSlots(last: number): void {
    const { blockBytes, slots, views } = this;
    for (let slot = slots.length; slot <= last; slot++) {
      const bytes = this.bytes.subarray(slot * blockBytes, (slot + 1) * blockBytes);
      slots.push(bytes);
      views.push(new DataView(bytes.buffer, bytes.byteOffset, blockBytes));
    }
  }

  private takeSuperblockCopy(block: number): void {
    assert(this.count > 0 && this.blocks[0] === SUPERBLOCK_BLOCK, 'no superblock to copy');
    assert(this.count < this.capacity, 'no room for the copy of the superblock');
    this.image(this.count).set(this.image(0));
    this.blocks[this.count] = block;
    this.frames[this.count] = 0;
    this.count += 1;
  }
}
