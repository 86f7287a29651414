/**
 * An extent map with nothing real below it: metadata blocks in an array, an allocator that is a set, a journal that holds
 * changes against declarations. So a test can have deep trees, full devices and cold metadata at will, and sees
 * every frame that was changed and not declared, every pin that was not given back, and every credit overdrawn.
 */
import assert from 'node:assert/strict';
import { StoreError } from '#dist/src/errors.js';
import { BlockKind, writeHeader } from '#dist/src/format/block-header.js';
import { extentNodeCapacity } from '#dist/src/format/extent-node.js';
import { InodeAt, ROOT_CAPACITY, rootCount, rootLevel, treeBlocks } from '#dist/src/format/inode-record.js';
import { ExtentMap } from '#dist/src/inode/extent-map.js';
import { initInodeSlots, mapLockAt, slotAt } from '#dist/src/inode/inode.js';
import { BlockingDriver, runBlocking } from '#dist/src/routine/blocking-driver.js';
import type { Routine } from '#dist/src/routine/effect.js';
import type { Task } from '#dist/src/routine/task.js';
import type { Arena } from '#dist/src/sync/arena.js';
import { Inode } from '#dist/src/sync/layout.js';
import { acquireExclusive, acquireShared, releaseExclusive, releaseShared } from '#dist/src/sync/rwsem.js';
import { attachThread } from '#dist/src/sync/threads.js';
import type { Frame, Slot } from '#dist/src/units.js';
import { makeArena } from './arena.js';

export const WORLD_SLOT = 2 as Slot;
const INO = 7;
const RECORD_BLOCK = 5;
const RECORD_OFFSET = 32 + 256;

export interface ExtentWorldOptions {
  maxEntries?: number;
  blockBytes?: number;
  frames?: number;
  blocks?: number;
  /** Uniform in [0, 1). */
  random?: () => number;
  /** Share of cached blocks that a lookup does not find at once. */
  coldness?: number;
}

interface ValidateResult {
  nodes: number;
  entries: number;
  height: number;
}

export class ExtentWorld {
  readonly arena: Arena;
  readonly task: Task;
  readonly map: ExtentMap;
  readonly blockBytes: number;
  readonly blocks: number;
  readonly used: Uint8Array;
  readonly nodeMax: number;
  readonly rootMax: number;
  /** How many more node allocations succeed. */
  allocationsLeft = Number.POSITIVE_INFINITY;
  /** How many more times data blocks can be freed before their bitmaps cannot be read. */
  freesLeft = Number.POSITIVE_INFINITY;
  coldness: number;
  /** Blocks in use, the three that are no file's not counted. */
  usedCount = 0;
  mostDirtied = 0;
  private readonly words: Uint32Array;
  private readonly frameCount: number;
  private readonly frameOf = new Map<number, Frame>();
  private readonly freeFrames: Frame[] = [];
  private readonly pins: Int32Array;
  /** Frames of forgotten blocks that somebody has pinned still. */
  private readonly detached = new Set<Frame>();
  private readonly dirtied = new Set<Frame>();
  private before: Uint32Array | null = null;
  private inHandle = false;
  private metadataHint: number;

  constructor(options: ExtentWorldOptions = {}) {
    this.blockBytes = options.blockBytes ?? 4096;
    this.frameCount = options.frames ?? 512;
    this.blocks = options.blocks ?? 1 << 16;
    this.used = new Uint8Array(this.blocks);
    this.coldness = options.coldness ?? 0;
    this.nodeMax = Math.min(extentNodeCapacity(this.blockBytes), options.maxEntries ?? Number.POSITIVE_INFINITY);
    this.rootMax = Math.min(ROOT_CAPACITY, this.nodeMax - 2);
    this.words = new Uint32Array(new SharedArrayBuffer((this.frameCount + 1) * this.blockBytes));
    this.pins = new Int32Array(this.frameCount + 1);
    this.metadataHint = this.blocks - 1;
    for (let frame = this.frameCount; frame >= 1; frame--) this.freeFrames.push(frame as Frame);
    this.arena = makeArena({ verify: true });
    initInodeSlots(this.arena);
    this.task = attachThread(this.arena, new BlockingDriver(this.arena, false));
    const random = options.random ?? Math.random;
    const { parts } = this;
    parts.frames.blockBytes = this.blockBytes;
    const metadata = parts.metadata;
    const tryGet = metadata.tryGet;
    metadata.tryGet = (task, block, kind) =>
      this.coldness > 0 && random() < this.coldness ? (0 as Frame) : tryGet(task, block, kind);
    this.map = new ExtentMap(
      this.arena,
      parts.frames as never,
      parts.journal as never,
      metadata as never,
      parts.allocator as never,
      options.maxEntries === undefined ? {} : { maxEntries: options.maxEntries },
    );
    this.setUpInode();
  }

  private setUpInode(): void {
    for (const block of [0, RECORD_BLOCK]) this.used[block] = 1;
    this.used[this.blocks - 1] = 1;
    this.takeFrame(0);
    const frame = this.takeFrame(RECORD_BLOCK);
    writeHeader(this.view(frame), 0, BlockKind.Inodes, RECORD_BLOCK, 1);
    const at = slotAt(this.arena, WORLD_SLOT);
    const { unsigned } = this.arena;
    unsigned[at + Inode.Ino] = INO;
    unsigned[at + Inode.RecordBlock] = RECORD_BLOCK;
    unsigned[at + Inode.RecordOffset] = RECORD_OFFSET;
    unsigned[at + Inode.Blocks] = 0;
  }

  /** Takes blocks for an extent. */
  take(block: number, length: number): void {
    this.used.fill(1, block, block + length);
    this.usedCount += length;
  }

  /** Gives back what `take` took. */
  giveBack(block: number, length: number): void {
    this.used.fill(0, block, block + length);
    this.usedCount -= length;
  }

  /** Runs a change in a handle of so many credits, the map locked. */
  change<T>(credits: number, body: () => Routine<T>): T {
    this.beginHandle();
    const lock = mapLockAt(this.arena, WORLD_SLOT);
    runBlocking(this.task, acquireExclusive(this.task, lock));
    try {
      return runBlocking(this.task, body());
    } finally {
      releaseExclusive(this.task, lock);
      this.endHandle(credits);
    }
  }

  /** Looks something up, the map locked. */
  look<T>(body: () => T): T {
    const lock = mapLockAt(this.arena, WORLD_SLOT);
    runBlocking(this.task, acquireShared(this.task, lock));
    try {
      return body();
    } finally {
      releaseShared(this.task, lock);
    }
  }

  private beginHandle(): void {
    this.inHandle = true;
    this.dirtied.clear();
    this.before ??= new Uint32Array(this.words.length);
    this.before.set(this.words);
  }

  private endHandle(credits: number): void {
    this.inHandle = false;
    this.mostDirtied = Math.max(this.mostDirtied, this.dirtied.size);
    assert.ok(this.dirtied.size <= credits, `${this.dirtied.size} blocks dirtied with ${credits} credits`);
    for (let frame = 1; frame <= this.frameCount; frame++)
      assert.equal(this.pins[frame], 0, `frame ${frame} is pinned`);
    const before = this.before!;
    const perFrame = this.blockBytes / 4;
    for (const frame of this.frameOf.values()) {
      if (this.dirtied.has(frame)) continue;
      for (let i = frame * perFrame; i < (frame + 1) * perFrame; i++) {
        if (this.words[i] !== before[i]) assert.fail(`frame ${frame} was changed, and not declared dirty`);
      }
    }
  }

  /** What the map is built on. */
  private readonly parts = {
    frames: {
      blockBytes: 0,
      words: () => this.words,
      word: (frame: Frame) => (frame * this.blockBytes) / 4,
    },
    journal: {
      superblockFrame: 1 as Frame,
      dirty: (_task: Task, frame: Frame) => {
        assert.ok(this.inHandle, 'dirtied outside a handle');
        this.dirtied.add(frame);
      },
    },
    metadata: {
      tryGet: (_task: Task, block: number, kind: number): Frame => this.pinned(block, kind),
      get: (_task: Task, block: number, kind: number): Routine<Frame> =>
        this.routine(() => {
          const frame = this.pinned(block, kind);
          assert.notEqual(frame, 0, `block ${block} is no node`);
          return frame;
        }),
      create: (_task: Task, block: number, kind: number, owner: number): Routine<Frame> =>
        this.routine(() => {
          assert.equal(this.used[block], 1);
          const frame = this.takeFrame(block);
          this.words.fill(0, (frame * this.blockBytes) / 4, ((frame + 1) * this.blockBytes) / 4);
          writeHeader(this.view(frame), 0, kind, block, owner);
          this.pins[frame]++;
          this.dirtied.add(frame);
          return frame;
        }),
      put: (frame: Frame): void => {
        assert.ok(this.pins[frame] > 0, 'unpinned twice');
        this.pins[frame]--;
        if (this.pins[frame] === 0 && this.detached.delete(frame)) this.freeFrames.push(frame);
      },
      forget: (_task: Task, block: number): Routine<void> =>
        this.routine(() => {
          const frame = this.frameOf.get(block);
          assert.ok(frame !== undefined, 'forgotten twice');
          this.frameOf.delete(block);
          this.dirtied.delete(frame);
          if (this.pins[frame] === 0) this.freeFrames.push(frame);
          else this.detached.add(frame);
        }),
    },
    allocator: {
      allocateMetadata: (_task: Task, _goal: number): Routine<number> =>
        this.routine(() => {
          if (this.allocationsLeft-- <= 0) throw new StoreError('ENOSPC');
          while (this.used[this.metadataHint] !== 0) {
            this.metadataHint = this.metadataHint > 10 ? this.metadataHint - 1 : this.blocks - 2;
          }
          this.used[this.metadataHint] = 1;
          this.usedCount++;
          return this.metadataHint;
        }),
      free: (_task: Task, start: number, length: number): Routine<void> =>
        this.routine(() => {
          if (!this.frameOf.has(start) && this.freesLeft-- <= 0) throw new StoreError('EIO');
          for (let block = start; block < start + length; block++) {
            assert.equal(this.used[block], 1, `block ${block} is freed twice`);
            this.used[block] = 0;
          }
          this.usedCount -= length;
        }),
    },
  };

  private *routine<T>(body: () => T): Routine<T> {
    return body();
  }

  private pinned(block: number, kind: number): Frame {
    const frame = this.frameOf.get(block);
    if (frame === undefined || this.view(frame).getUint32(0, true) !== kind) return 0 as Frame;
    this.pins[frame]++;
    return frame;
  }

  private takeFrame(block: number): Frame {
    const frame = this.freeFrames.pop();
    assert.ok(frame !== undefined, 'no frame is left');
    this.frameOf.set(block, frame);
    return frame;
  }

  private view(frame: Frame): DataView {
    return new DataView(this.words.buffer, frame * this.blockBytes, this.blockBytes);
  }

  private get record(): DataView {
    return this.view(this.frameOf.get(RECORD_BLOCK)!);
  }

  /** Walks the whole tree; every invariant of its nodes, and what the record and the inode's words say of it. */
  validate(): ValidateResult {
    const result = { nodes: 0, entries: 0, height: rootLevel(this.record, RECORD_OFFSET) };
    const count = rootCount(this.record, RECORD_OFFSET);
    assert.ok(count <= this.rootMax, 'the root is too full');
    assert.ok(count > 0 || result.height === 0, 'an empty root above nodes');
    assert.ok(result.height === 0 || count > 1 || this.onlyChildIsBig(), 'a lone child fits the root');
    const record = this.frameOf.get(RECORD_BLOCK)!;
    const base = (record * this.blockBytes + RECORD_OFFSET + InodeAt.RootEntries) / 4;
    const blocks = this.walk(base, count, result.height, { end: 0 }, result);
    assert.equal(treeBlocks(this.record, RECORD_OFFSET), result.nodes, 'tree blocks');
    const at = slotAt(this.arena, WORLD_SLOT);
    assert.equal(this.arena.unsigned[at + Inode.Blocks], blocks, 'blocks in core');
    assert.equal(this.record.getUint32(RECORD_OFFSET + InodeAt.Blocks, true), blocks, 'blocks in the record');
    assert.equal(this.usedCount, blocks + result.nodes, 'blocks in use');
    assert.equal(this.frameOf.size, result.nodes + 2, 'nodes that nobody points to');
    return result;
  }

  private onlyChildIsBig(): boolean {
    const child = this.record.getUint32(RECORD_OFFSET + InodeAt.RootEntries + 4, true);
    return this.view(this.frameOf.get(child)!).getUint16(34, true) > this.rootMax;
  }

  private walk(base: number, count: number, height: number, state: { end: number }, result: ValidateResult): number {
    let blocks = 0;
    for (let i = 0; i < count; i++) {
      const page = this.words[base + 3 * i];
      const block = this.words[base + 3 * i + 1];
      assert.ok(page >= state.end, `page ${page} begins before the end of the extent before it`);
      assert.equal(this.used[block], 1, `block ${block} is not in use`);
      if (height === 0) {
        const length = this.words[base + 3 * i + 2] & 0x7fff_ffff;
        assert.ok(length > 0, 'an empty extent');
        state.end = page + length;
        blocks += length;
        result.entries++;
        continue;
      }
      const frame = this.frameOf.get(block);
      assert.ok(frame !== undefined, 'a child without a node');
      const node = (frame * this.blockBytes) / 4;
      const head = this.words[node + 8];
      assert.equal(head & 0xffff, height - 1, 'level');
      assert.equal(this.words[node + 4], INO, 'owner');
      const childCount = head >>> 16;
      assert.ok(childCount > 0 && childCount <= this.nodeMax, `${childCount} entries in a node`);
      assert.equal(this.words[node + 10], page, 'an inner entry names the first page below it');
      result.nodes++;
      blocks += this.walk(node + 10, childCount, height - 1, state, result);
    }
    return blocks;
  }
}
