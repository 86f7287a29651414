/**
 * A whole engine over a device in memory, in one thread and without a store around it: what file operations are tested on.
 * `step` runs an operation to a schedule point, so that two of them can be interleaved by hand.
 */
import { expect } from 'vitest';
import { Allocator, initAllocator } from '#dist/src/allocator/allocator.js';
import { MemoryDevice } from '#dist/src/device/memory-device.js';
import { Engine } from '#dist/src/file/engine.js';
import { HotPath } from '#dist/src/file/hot-path.js';
import { read } from '#dist/src/file/read.js';
import { ErrorCursor } from '#dist/src/file/sync.js';
import { write } from '#dist/src/file/write.js';
import { DiskState, readSuperblock, SUPERBLOCK_BYTES } from '#dist/src/format/superblock.js';
import { ExtentMap } from '#dist/src/inode/extent-map.js';
import { FileMapping } from '#dist/src/inode/file-mapping.js';
import { initInodeSlots, METADATA_SLOT, sizeOf } from '#dist/src/inode/inode.js';
import { InodeTable } from '#dist/src/inode/inode-table.js';
import { Names } from '#dist/src/inode/names.js';
import { initJournal, Journal } from '#dist/src/journal/journal.js';
import { Metadata } from '#dist/src/journal/metadata.js';
import { Guard } from '#dist/src/locking/guard.js';
import type { SchemeName } from '#dist/src/locking/scheme.js';
import { schemeByName } from '#dist/src/locking/schemes.js';
import { Frames } from '#dist/src/pagecache/frames.js';
import { PageCache } from '#dist/src/pagecache/page-cache.js';
import { ReadaheadState } from '#dist/src/pagecache/readahead.js';
import { BlockingDriver, runBlocking } from '#dist/src/routine/blocking-driver.js';
import { type Effect, EffectKind, IoKind, type Routine } from '#dist/src/routine/effect.js';
import { type PointName, pointNumber } from '#dist/src/routine/points.js';
import type { Driver, Task } from '#dist/src/routine/task.js';
import { Access } from '#dist/src/store/arguments.js';
import { type CheckReport, checkDevice } from '#dist/src/store/check.js';
import { formatDevice } from '#dist/src/store/format-store.js';
import { Namespace } from '#dist/src/store/namespace.js';
import { syncStore } from '#dist/src/store/sync-all.js';
import { Arena } from '#dist/src/sync/arena.js';
import { GlobalLock, Header, Inode, StoreState } from '#dist/src/sync/layout.js';
import { LockRank } from '#dist/src/sync/lockdep.js';
import { initMutex } from '#dist/src/sync/mutex.js';
import { initRwsem } from '#dist/src/sync/rwsem.js';
import { attachThread } from '#dist/src/sync/threads.js';
import { type Frame, MAX_FILE_PAGES, type Slot } from '#dist/src/units.js';
import { makeArena } from './arena.js';
import { recoverInPlace } from './recovered.js';

export interface WorldOptions {
  scheme?: SchemeName;
  blockBytes?: number;
  /** Blocks of the device. */
  blocks?: number;
  frames?: number;
  dirtyRatio?: number;
  verify?: boolean;
  /** Entries of an extent node, for deep trees of few extents. */
  maxEntries?: number;
  blocksPerGroup?: number;
  dataChecksums?: boolean;
  /** What the engine leaves to chance; by default it differs from run to run. */
  random?: () => number;
}

/** One logical thread's engine. */
export interface Actor {
  task: Task;
  engine: Engine;
  hot: HotPath;
}

export class FileWorld {
  readonly device: MemoryDevice;
  readonly arena: Arena;
  readonly blockBytes: number;
  readonly task: Task;
  readonly engine: Engine;
  readonly hot: HotPath;
  readonly namespace: Namespace;
  private readonly frames: SharedArrayBuffer[];
  private readonly commit: SharedArrayBuffer;
  private readonly maxEntries: number | undefined;
  private readonly random: (() => number) | undefined;
  private readonly scheme: SchemeName;
  private readonly dirtyRatio: number;
  private files = 0;

  constructor(options: WorldOptions = {}, device?: MemoryDevice) {
    const { scheme = 'invalidate-lock', blockBytes = 4096, blocks = 1024, frames = 256, dirtyRatio = 0.5 } = options;
    this.maxEntries = options.maxEntries;
    this.random = options.random;
    this.scheme = scheme;
    this.blockBytes = blockBytes;
    this.dirtyRatio = dirtyRatio;
    this.commit = new SharedArrayBuffer(512 * blockBytes);
    this.device = device ?? new MemoryDevice(blocks * blockBytes);
    if (device === undefined) format(this.device, options);
    recoverInPlace(this.device);
    const superblock = this.superblock();
    this.arena = makeArena({
      verify: options.verify ?? true,
      state: StoreState.Opening,
      blockBytes,
      frames,
      groups: superblock.groups,
      exclusions: 4096,
      inodes: 32,
      pins: Math.floor(frames / 4),
    });
    this.frames = Frames.allocate(frames, blockBytes);
    const { arena } = this;
    arena.words[Header.Blocks] = superblock.blocks;
    initRwsem(arena, arena.layout.locks + GlobalLock.Names, LockRank.Names);
    initMutex(arena, arena.layout.locks + GlobalLock.InodeTable, LockRank.InodeTable);
    initInodeSlots(arena);
    initJournal(arena);
    initAllocator(arena);
    const actor = this.attach();
    this.task = actor.task;
    this.engine = actor.engine;
    this.hot = actor.hot;
    const { cache, journal, inodes, metadata, allocator } = this.engine;
    const names = new Names(arena, this.engine.frames, journal, metadata, allocator);
    this.namespace = new Namespace(this.engine, names);
    journal.start(this.run(cache.read(this.task, METADATA_SLOT, 0)));
    this.run(inodes.load(this.task));
    this.run(journal.setState(this.task, DiskState.Open));
    arena.words[Header.State] = StoreState.Open;
  }

  /** One more logical thread; `yielding` at every lock. */
  attach(yielding = false): Actor {
    const { device, blockBytes } = this;
    const arena = new Arena(this.arena.buffer, this.arena.layout);
    const driver: Driver = new BlockingDriver(arena, false);
    if (yielding) Object.assign(driver, { yieldsAtLocks: true });
    if (this.random !== undefined) driver.random = this.random;
    const task = attachThread(arena, driver);
    const frames = new Frames(this.frames, blockBytes, arena.layout.frames);
    const limits = { dirtyRatio: this.dirtyRatio, dirtyExpireMs: 30_000 };
    const cache = new PageCache(arena, frames, device, limits);
    driver.unpin = (frame) => cache.unpin(frame as Frame);
    const journal = new Journal(arena, cache, device, this.commit, blockBytes);
    const metadata = new Metadata(journal);
    const allocator = new Allocator(arena, journal, metadata, this.superblock());
    const { maxEntries } = this;
    const extents = new ExtentMap(arena, frames, journal, metadata, allocator, maxEntries ? { maxEntries } : {});
    const inodes = new InodeTable(arena, frames, cache, journal, metadata, allocator, extents);
    const files = new FileMapping(arena, journal, allocator, extents, inodes, blockBytes);
    cache.operations = { files, metadata };
    const guard = new Guard(arena, schemeByName(this.scheme)!);
    const engine = new Engine({
      arena,
      frames,
      cache,
      device,
      journal,
      metadata,
      allocator,
      inodes,
      extents,
      guard,
      blockBytes,
    });
    return { task, engine, hot: new HotPath(engine) };
  }

  run<T>(routine: Routine<T>): T {
    const result = runBlocking(this.task, routine);
    this.task.lockdep?.assertNothingHeld();
    return result;
  }

  /** `run` as another logical thread. */
  runAs<T>(actor: Actor, routine: Routine<T>): T {
    return runBlocking(actor.task, routine);
  }

  /** Number of the running transaction. */
  running(): { transaction: number } {
    return { transaction: this.engine.journal.running };
  }

  /** A new file, referenced. */
  create(name = `file-${this.files++}`): Slot {
    return this.run(this.namespace.open(this.task, Buffer.from(name), Access.Read | Access.Write | Access.Create));
  }

  unlink(name: string): void {
    this.run(this.namespace.unlink(this.task, Buffer.from(name)));
  }

  release(slot: Slot): void {
    this.run(this.engine.inodes.release(this.task, slot));
  }

  readahead(): ReadaheadState {
    return new ReadaheadState(new Int32Array(8), 0, 64);
  }

  cursor(slot: Slot): ErrorCursor {
    return new ErrorCursor(this.arena, slot);
  }

  /** Writes all of it, by the slow path. */
  write(slot: Slot, bytes: Uint8Array, position: number): void {
    const n = this.run(write(this.task, this.engine, slot, bytes, 0, bytes.length, position));
    if (n !== bytes.length) throw new Error(`wrote ${n} of ${bytes.length}`);
  }

  /** What a read at the position gives, by the slow path. */
  read(slot: Slot, position: number, length: number): Uint8Array {
    const bytes = new Uint8Array(length);
    const n = this.run(read(this.task, this.engine, slot, null, bytes, 0, length, position));
    return bytes.subarray(0, n);
  }

  sizeOf(slot: Slot): number {
    return sizeOf(this.arena, slot);
  }

  /** Everything clean and out of the cache. */
  evict(slot: Slot): void {
    const error = this.run(this.engine.cache.writeRange(this.task, slot, 0, MAX_FILE_PAGES, { wait: true }));
    if (error !== null) throw error;
    this.engine.cache.evictRange(this.task, slot, 0, MAX_FILE_PAGES);
  }

  sync(): void {
    this.run(syncStore(this.task, this.engine));
  }

  /** Makes the store durable and clean, and checks the device. Nothing may be used after it. */
  finish(): CheckReport {
    this.sync();
    this.run(this.engine.journal.close(this.task));
    return checkDevice(this.device, {});
  }

  blocksReserved(): number {
    return this.arena.unsigned[Header.BlocksReserved];
  }

  blocksFree(): number {
    return this.arena.unsigned[Header.BlocksFree];
  }

  blocksOf(slot: Slot): number {
    return this.arena.unsigned[this.arena.layout.inodeRecords + slot * Inode.Words + Inode.Blocks];
  }

  private superblock() {
    const bytes = new Uint8Array(SUPERBLOCK_BYTES);
    this.device.read([bytes], 0);
    return readSuperblock(new DataView(bytes.buffer));
  }
}

function format(device: MemoryDevice, options: WorldOptions): void {
  const { blockBytes = 4096, blocksPerGroup, dataChecksums = false } = options;
  const uuid = new Uint8Array(16);
  const groups = blocksPerGroup === undefined ? {} : { blocksPerGroup };
  const journalBytes = Math.min(128, Math.max(80, (blocksPerGroup ?? 256) / 2)) * blockBytes;
  formatDevice(device, { blockBytes, label: '', dataChecksums, now: 0, uuid, journalBytes, ...groups });
}

/** How far `step` got. */
export type Stop = { at: 'point' | 'blocked' } | { at: 'end'; value: unknown } | { at: 'error'; error: unknown };

/** Runs the routine to the point, to a lock that it cannot have, or to its end. Call it again to go on. */
export function step(task: Task, routine: Routine<unknown>, point?: PointName): Stop {
  let answer = 0;
  try {
    for (;;) {
      const next = routine.next(answer);
      if (next.done === true) return { at: 'end', value: next.value };
      const effect = next.value;
      answer = 0;
      if (effect.kind === EffectKind.Point && point !== undefined && effect.point === pointNumber(point)) {
        return { at: 'point' };
      }
      if (effect.kind === EffectKind.Wait && Atomics.load(task.words, effect.word) === effect.expected) {
        return { at: 'blocked' };
      }
      if (effect.kind === EffectKind.Io) answer = transfer(effect);
    }
  } catch (error) {
    return { at: 'error', error };
  }
}

function transfer({ io, device, buffers, positionBytes, lengthBytes }: Effect): number {
  if (io === IoKind.Read) return device!.read(buffers, positionBytes);
  if (io === IoKind.Write) return device!.write(buffers, positionBytes);
  if (io === IoKind.Flush) device!.flush();
  else device!.discard(positionBytes, lengthBytes);
  return 0;
}

/** Bytes that tell where they belong: no two blocks of two tags are alike. */
export function pattern(tag: number, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let i = 0; i < length; i++) bytes[i] = 1 + ((tag * 131 + i * 7 + (i >> 8)) % 255);
  return bytes;
}

/** As `expect(actual).toEqual(expected)`, which takes seconds for a megabyte. */
export function expectBytes(actual: Uint8Array, expected: Uint8Array): void {
  expect(actual.length).toBe(expected.length);
  if (Buffer.compare(actual, expected) === 0) return;
  const at = actual.findIndex((byte, i) => byte !== expected[i]);
  expect.fail(`byte ${at} is ${actual[at]}, not ${expected[at]}`);
}
