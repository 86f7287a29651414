/**
 * A name tree over pretended frames, journal, metadata and allocator, which hold its changes against their rules: every
 * changed block is dirtied, every pin given back, every allocated block is in the tree, none is freed twice.
 */
import type { Allocator } from '#dist/src/allocator/allocator.js';
import { StoreError } from '#dist/src/errors.js';
import { type BlockKind, writeHeader } from '#dist/src/format/block-header.js';
import {
  copyName,
  initNameNode,
  nameNodeCount,
  nameNodeLevel,
  nameValue,
  nextNameNode,
  validateNameNode,
} from '#dist/src/format/name-node.js';
import { SuperblockAt } from '#dist/src/format/superblock.js';
import { compareNames } from '#dist/src/inode/name-bytes.js';
import { type NameEntry, Names } from '#dist/src/inode/names.js';
import type { Journal } from '#dist/src/journal/journal.js';
import type { Metadata } from '#dist/src/journal/metadata.js';
import type { Frames } from '#dist/src/pagecache/frames.js';
import type { Effect, Routine } from '#dist/src/routine/effect.js';
import type { Task } from '#dist/src/routine/task.js';
import { Header } from '#dist/src/sync/layout.js';
import type { Frame } from '#dist/src/units.js';
import { makeArena } from '../support/arena.js';

const encoder = new TextEncoder();
const ROOT = 1;

interface Page {
  bytes: Uint8Array;
  pins: number;
}

/** Frame f holds block f - 1: frame 1 the superblock. */
export class NamesWorld {
  readonly arena;
  readonly names: Names;
  readonly pages = new Map<number, Page>();
  readonly dirtied = new Set<number>();
  /** Blocks that may be allocated; more give ENOSPC. */
  blocksMax = Number.POSITIVE_INFINITY;
  /** Set where lowering the root may have failed. */
  mayRootBeThin = false;
  /** Share of lookups that find their block not cached. */
  missRatio = 0;
  /** Blocks whose read fails. */
  readonly broken = new Set<number>();
  private nextBlock = ROOT + 1;
  private readonly freed: number[] = [];
  private seed = 1;

  constructor(readonly blockBytes = 4096) {
    this.arena = makeArena({ blockBytes });
    this.addPage(0);
    this.addPage(ROOT);
    initNameNode(this.page(ROOT).bytes, 0, blockBytes, 0);
    new DataView(this.page(0).bytes.buffer).setUint32(SuperblockAt.NameRoot, ROOT, true);
    this.names = new Names(this.arena, this.frames(), this.journal(), this.metadata(), this.allocator());
  }

  insert(name: string, ino: number): void {
    this.run(this.names.insert(NO_TASK, encoder.encode(name), ino));
  }

  remove(name: string): number {
    return this.run(this.names.remove(NO_TASK, encoder.encode(name)));
  }

  replace(name: string, ino: number): number {
    return this.run(this.names.replace(NO_TASK, encoder.encode(name), ino));
  }

  lookup(name: string): number {
    const bytes = encoder.encode(name);
    const found = this.names.tryLookup(NO_TASK, bytes);
    const same = this.run(this.names.lookup(NO_TASK, bytes));
    if (found !== -1 && found !== same) throw new Error(`tryLookup says ${found}, lookup ${same}`);
    return same;
  }

  list(prefix = '', after = '', limit = Number.POSITIVE_INFINITY): NameEntry[] {
    const out: NameEntry[] = [];
    const count = this.run(this.names.list(NO_TASK, encoder.encode(prefix), encoder.encode(after), limit, out));
    if (count !== out.length) throw new Error(`list says ${count}, gave ${out.length}`);
    return out;
  }

  get files(): number {
    return this.arena.unsigned[Header.Files];
  }

  get root(): number {
    return new DataView(this.page(0).bytes.buffer).getUint32(SuperblockAt.NameRoot, true);
  }

  get levels(): number {
    return nameNodeLevel(this.page(this.root).bytes, 0) + 1;
  }

  /** Runs `change` and throws unless every block that it changed was dirtied. */
  watched<T>(change: () => T): T {
    const before = new Map([...this.pages].map(([block, { bytes }]) => [block, bytes.slice()]));
    this.dirtied.clear();
    const result = change();
    for (const [block, { bytes }] of this.pages) {
      const old = before.get(block);
      const isChanged = old === undefined || Buffer.compare(old, bytes) !== 0;
      if (isChanged && !this.dirtied.has(block)) throw new Error(`block ${block} changed but was not dirtied`);
    }
    return result;
  }

  /** Verifies the whole tree; the nodes it has. */
  verify(): number {
    const seen = new Set<number>();
    const leaves: number[] = [];
    this.verifyNode(this.root, -1, null, null, seen, leaves);
    for (let i = 0; i < leaves.length; i++) {
      const next = nextNameNode(this.page(leaves[i]).bytes, 0);
      if (next !== (leaves[i + 1] ?? 0)) throw new Error(`leaf ${leaves[i]} leads on to ${next}`);
    }
    if (seen.size !== this.pages.size - 1) throw new Error(`${this.pages.size - 1} blocks, ${seen.size} in the tree`);
    for (const [block, { pins }] of this.pages) {
      if (pins !== 0) throw new Error(`block ${block} has ${pins} pins left`);
    }
    return seen.size;
  }

  private verifyNode(
    block: number,
    expected: number,
    low: Uint8Array | null,
    high: Uint8Array | null,
    seen: Set<number>,
    leaves: number[],
  ): void {
    if (seen.has(block)) throw new Error(`block ${block} is in the tree twice`);
    seen.add(block);
    const { bytes } = this.page(block);
    const level = nameNodeLevel(bytes, 0);
    const wrong = validateNameNode(bytes, 0, this.blockBytes, expected < 0 ? level : expected, 2 ** 32);
    if (wrong !== null) throw new Error(`block ${block}: ${wrong}`);
    const count = nameNodeCount(bytes, 0);
    if (count === 0 && expected >= 0) throw new Error(`node ${block} is empty`);
    if (level > 0 && expected < 0 && count < 2 && !this.mayRootBeThin) throw new Error('the root has one child');
    for (let i = level > 0 ? 1 : 0; i < count; i++) {
      const name = copyName(bytes, 0, i);
      if (low !== null && compareNames(name, low) < 0) throw new Error(`block ${block} goes below its bound`);
      if (high !== null && compareNames(name, high) >= 0) throw new Error(`block ${block} goes above its bound`);
    }
    if (level === 0) leaves.push(block);
    for (let i = 0; level > 0 && i < count; i++) {
      const from = i === 0 ? low : copyName(bytes, 0, i);
      const to = i + 1 < count ? copyName(bytes, 0, i + 1) : high;
      this.verifyNode(nameValue(bytes, 0, i), level - 1, from, to, seen, leaves);
    }
  }

  private run<T>(routine: Routine<T>): T {
    let step = routine.next(0);
    while (step.done !== true) step = routine.next(0);
    return step.value;
  }

  private page(block: number): Page {
    const page = this.pages.get(block);
    if (page === undefined) throw new Error(`block ${block} is used but not allocated`);
    return page;
  }

  private addPage(block: number): Page {
    const page = { bytes: new Uint8Array(this.blockBytes), pins: 0 };
    this.pages.set(block, page);
    return page;
  }

  private pin(block: number): Frame {
    this.page(block).pins += 1;
    return (block + 1) as Frame;
  }

  private random(): number {
    this.seed = (Math.imul(this.seed, 1664525) + 1013904223) | 0;
    return (this.seed >>> 0) / 2 ** 32;
  }

  private frames(): Frames {
    return { segment: (frame: Frame) => this.page(frame - 1).bytes, offset: () => 0 } as unknown as Frames;
  }

  private journal(): Journal {
    return { superblockFrame: 1, dirty: (_: Task, frame: Frame) => this.dirtied.add(frame - 1) } as unknown as Journal;
  }

  private metadata(): Metadata {
    const world = this;
    return {
      tryGet: (_: Task, block: number) =>
        this.random() < this.missRatio || this.broken.has(block) ? 0 : this.pin(block),
      *get(_: Task, block: number): Routine<Frame> {
        yield NO_EFFECT;
        if (world.broken.has(block)) throw new StoreError('EIO');
        return world.pin(block);
      },
      *create(_: Task, block: number, kind: BlockKind, owner: number): Routine<Frame> {
        yield NO_EFFECT;
        const { bytes } = world.addPage(block);
        writeHeader(new DataView(bytes.buffer), 0, kind, block, owner);
        world.dirtied.add(block);
        return world.pin(block);
      },
      put: (frame: Frame) => {
        const page = this.page(frame - 1);
        if (page.pins-- === 0) throw new Error(`block ${frame - 1} is unpinned once too often`);
      },
      *forget(_: Task, block: number): Routine<void> {
        yield NO_EFFECT;
        if (world.page(block).pins !== 0) throw new Error(`block ${block} is forgotten while pinned`);
        world.pages.delete(block);
      },
    } as unknown as Metadata;
  }

  private allocator(): Allocator {
    const world = this;
    return {
      *allocateMetadata(): Routine<number> {
        yield NO_EFFECT;
        if (world.pages.size >= world.blocksMax) throw new StoreError('ENOSPC');
        return world.freed.pop() ?? world.nextBlock++;
      },
      *free(_: Task, start: number, length: number): Routine<void> {
        yield NO_EFFECT;
        if (length !== 1 || world.freed.includes(start)) throw new Error(`block ${start} is freed twice`);
        world.freed.push(start);
      },
    } as unknown as Allocator;
  }
}

const NO_TASK = null as unknown as Task;
const NO_EFFECT = null as unknown as Effect;
