/**
 * A page cache without a store around it: its own small arena, a device in memory, and mappings whose pages lie where the
 * test says. Page i of mapping m belongs at block `m * span + i` of the device, once it has one.
 */
import { MemoryDevice } from '#dist/src/device/memory-device.js';
import { StoreError } from '#dist/src/errors.js';
import { Frames } from '#dist/src/pagecache/frames.js';
import { type BlockRun, type MappingOperations, RunKind } from '#dist/src/pagecache/mapping-operations.js';
import type { PageFlag } from '#dist/src/pagecache/page.js';
import { PageCache } from '#dist/src/pagecache/page-cache.js';
import { BlockingDriver, runBlocking } from '#dist/src/routine/blocking-driver.js';
import type { Routine } from '#dist/src/routine/effect.js';
import type { Driver, Task } from '#dist/src/routine/task.js';
import type { Arena } from '#dist/src/sync/arena.js';
import { Page } from '#dist/src/sync/layout.js';
import { sumStatistics } from '#dist/src/sync/statistics.js';
import { attachThread } from '#dist/src/sync/threads.js';
import type { Frame, Slot } from '#dist/src/units.js';
import { type ArenaOptions, makeArena } from './arena.js';

export interface WorldOptions extends ArenaOptions {
  /** Blocks of the device that belong to each mapping. */
  span?: number;
  dirtyRatio?: number;
  dirtyExpireMs?: number;
  /** A blocking driver by default. */
  driver?: Driver;
}

/** Extents as a set of pages; reservations as a number. */
export class FakeMapping implements MappingOperations {
  readonly kinds = new Map<number, RunKind>();
  readonly calls: string[] = [];
  reserved = 0;
  /** Longest run that `map` and `mapWrite` answer. */
  runMax = Number.POSITIVE_INFINITY;
  failMapWrite: StoreError | null = null;
  readonly verifies = true;
  readonly movesOnWrite = false;
  onVerify: ((block: number) => void) | null = null;

  constructor(readonly span: number) {}

  blockOf(mapping: number, index: number): number {
    return mapping * this.span + index;
  }

  kindOf(mapping: number, index: number): RunKind {
    return mapping === 0 ? RunKind.Written : (this.kinds.get(this.blockOf(mapping, index)) ?? RunKind.Hole);
  }

  setKind(mapping: number, first: number, count: number, kind: RunKind): void {
    for (let i = first; i < first + count; i++) this.kinds.set(this.blockOf(mapping, i), kind);
  }

  *map(_task: Task, mapping: Slot, index: number, max: number, run: BlockRun): Routine<void> {
    this.calls.push(`map ${mapping}:${index}+${max}`);
    this.runAt(mapping, index, max, run);
  }

  *mapWrite(_task: Task, mapping: Slot, index: number, max: number, run: BlockRun): Routine<void> {
    this.calls.push(`mapWrite ${mapping}:${index}+${max}`);
    if (this.failMapWrite !== null) throw this.failMapWrite;
    this.runAt(mapping, index, max, run);
  }

  *completeWrite(_task: Task, mapping: Slot, index: number, run: BlockRun, failed: boolean): Routine<void> {
    this.calls.push(`completeWrite ${mapping}:${index}+${run.length}${failed ? ' failed' : ''}`);
    if (failed) return;
    this.reserved -= run.reserved;
    this.setKind(mapping, index, run.length, RunKind.Written);
  }

  unreserve(_task: Task, _mapping: Slot, pages: number): void {
    this.reserved -= pages;
  }

  checksum(): number {
    return 0;
  }

  *verify(_task: Task, _mapping: Slot, _index: number, block: number): Routine<void> {
    this.onVerify?.(block);
  }

  private runAt(mapping: Slot, index: number, max: number, run: BlockRun): void {
    const kind = this.kindOf(mapping, index);
    let length = 1;
    while (length < Math.min(max, this.runMax) && this.kindOf(mapping, index + length) === kind) length++;
    run.block = this.blockOf(mapping, index);
    run.length = length;
    run.kind = kind;
  }
}

export class CacheWorld {
  readonly arena: Arena;
  readonly device: MemoryDevice;
  readonly frames: Frames;
  readonly cache: PageCache;
  readonly mapping: FakeMapping;
  readonly task: Task;
  readonly driver: Driver;

  constructor(options: WorldOptions = {}) {
    const { span = 1024, dirtyRatio = 0.5, dirtyExpireMs = 30_000, driver, ...shape } = options;
    this.arena = makeArena({ frames: 64, ...shape });
    const { frames, inodes } = this.arena.layout;
    const blockBytes = options.blockBytes ?? 4096;
    this.device = new MemoryDevice(inodes * span * blockBytes);
    this.frames = new Frames(Frames.allocate(frames, blockBytes), blockBytes, frames);
    this.cache = new PageCache(this.arena, this.frames, this.device, { dirtyRatio, dirtyExpireMs });
    this.mapping = new FakeMapping(span);
    this.cache.operations = { files: this.mapping, metadata: this.mapping };
    this.driver = driver ?? new BlockingDriver(this.arena, false);
    this.task = attachThread(this.arena, this.driver);
  }

  run<T>(routine: Routine<T>): T {
    return runBlocking(this.task, routine);
  }

  /** A page of the device that says which it is. */
  putOnDevice(mapping: number, index: number, value: number): void {
    const bytes = new Uint8Array(this.frames.blockBytes).fill(value);
    this.device.write([bytes], this.mapping.blockOf(mapping, index) * this.frames.blockBytes);
    this.mapping.setKind(mapping, index, 1, RunKind.Written);
  }

  deviceByte(mapping: number, index: number): number {
    const bytes = new Uint8Array(this.frames.blockBytes);
    this.device.read([bytes], this.mapping.blockOf(mapping, index) * this.frames.blockBytes);
    return bytes[17];
  }

  /** The page, pinned and up to date. */
  read(mapping: number, index: number): Frame {
    return this.run(this.cache.read(this.task, mapping as Slot, index));
  }

  /** A dirty page full of `value`, as a write leaves it: reserved where it has no block. Unpinned. */
  write(mapping: number, index: number, value: number): void {
    const { cache, task } = this;
    const frame = this.run(cache.findOrCreate(task, mapping as Slot, index));
    if (!cache.created) this.run(cache.lockPage(task, frame));
    this.frames.bytes(frame).fill(value);
    if (!cache.isUptodate(frame)) {
      const kind = this.mapping.kindOf(mapping, index);
      if (kind === RunKind.Hole) {
        cache.setReserved(frame);
        this.mapping.reserved++;
      } else {
        cache.setBlock(frame, kind === RunKind.Written ? this.mapping.blockOf(mapping, index) : 0xffff_ffff);
      }
      cache.markUptodate(frame);
    }
    cache.markDirty(task, mapping as Slot, frame);
    cache.unlockPage(task, frame);
    cache.unpin(frame);
  }

  isCached(mapping: number, index: number): boolean {
    const frame = this.cache.findLocked(this.task, mapping as Slot, index);
    if (frame !== 0) this.cache.unpin(frame);
    return frame !== 0;
  }

  flags(frame: Frame): PageFlag {
    return this.cache.stateOf(frame) & 0xfff;
  }

  pins(frame: Frame): number {
    return this.cache.stateOf(frame) >> 12;
  }

  /** A word of the page's descriptor. */
  word(frame: Frame, word: Page): number {
    return this.arena.words[this.arena.layout.pageRecords + frame * Page.Words + word];
  }

  statistic(column: number): number {
    return sumStatistics(this.arena)[column];
  }
}

export function ioError(): StoreError {
  return new StoreError('EIO', { detail: 'injected' });
}
