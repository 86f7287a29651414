/**
 * A tiny store in memory, set up once for a scenario under a scheme, and put back as it was by copying bytes before each
 * schedule.
 *
 * One thread. What is restored: the arena, the page frames, the device with its owners. What is made anew: an engine and a
 * task for each logical thread, since their objects keep hints (a copy of inner extent nodes, say) that belong to the
 * schedule that made them.
 *
 *  1. Nothing in it asks the host for time or chance.
 *  2. The allocator and the extent map of each engine are watched, so that the device knows the owner of every block at
 *     every step, whatever the cache believes.
 *  3. Lookups tell the footprint what they looked at: a miss is no atomic operation.
 */
import type { Allocator } from '../allocator/allocator.js';
import { assert } from '../assert.js';
import type { Engine } from '../file/engine.js';
import { HotPath } from '../file/hot-path.js';
import { ErrorCursor } from '../file/sync.js';
import { write } from '../file/write.js';
import { HEAD_SLOTS } from '../format/journal-head.js';
import type { ExtentMap } from '../inode/extent-map.js';
import { INODE_TABLE_SLOT, inoOf, slotAt } from '../inode/inode.js';
import type { Scheme } from '../locking/scheme.js';
import { Frames } from '../pagecache/frames.js';
import { hashOf, type Lookup } from '../pagecache/lookup.js';
import { BlockRun, RunKind } from '../pagecache/mapping-operations.js';
import type { Routine } from '../routine/effect.js';
import { type Driver, Task } from '../routine/task.js';
import { Access } from '../store/arguments.js';
import { formatDevice } from '../store/format-store.js';
import { makeEngine } from '../store/make-engine.js';
import { mount } from '../store/mount.js';
import type { Session } from '../store/session.js';
import { syncStore } from '../store/sync-all.js';
import { Arena } from '../sync/arena.js';
import { BUCKET_LOCKS, GlobalLock, Inode, Rwsem } from '../sync/layout.js';
import { Lockdep } from '../sync/lockdep.js';
import { RwsemPolicy } from '../sync/rwsem-policy.js';
import { attachThread } from '../sync/threads.js';
import { type Frame, MAX_FILE_PAGES, type Slot } from '../units.js';
import { Footprint } from './footprint.js';
import type { Scenario, ScenarioFile } from './scenario.js';
import { OWNER_CLAIM, OWNER_METADATA, SimulatedDevice } from './simulated-device.js';
import { FIRST_GENERATION, PAGE_BYTES, stampBytes, WORDS_PER_PAGE } from './stamp.js';

const BLOCKS = 128;
const JOURNAL_BLOCKS = 68;
const LOG_BLOCKS = JOURNAL_BLOCKS - HEAD_SLOTS;
const FRAMES = 40;
const COMMIT_BLOCKS = 256;
const START_MS = 1_700_000_000_000;

/** One file of the scenario: its number in stamps is its place in the list, from 1. */
export interface WorldFile {
  readonly name: string;
  readonly number: number;
  readonly slot: Slot;
  readonly words: number;
  /** Generation of each page at the start. */
  readonly generations: readonly number[];
}

/** What a logical thread works with, for one schedule. */
export interface Actor {
  readonly task: Task;
  readonly engine: Engine;
  readonly hot: HotPath;
}

interface Snapshot {
  readonly arena: Uint8Array;
  readonly frames: Uint8Array;
  readonly device: Uint8Array;
  readonly owners: Int32Array;
  readonly freedBy: Int32Array;
}

/** During setup nobody waits and time stands still. */
const SETUP_DRIVER: Driver = { now: () => START_MS, random: () => 0.25, wake() {} };

export class World {
  readonly device: SimulatedDevice;
  readonly arena: Arena;
  readonly frames: Frames;
  readonly files: readonly WorldFile[];
  readonly footprint: Footprint;
  /** The thread slots of the scenario's threads, and one more for who looks at the end. */
  readonly slots: readonly number[];
  readonly startMs = START_MS;
  private readonly session: Session;
  private readonly snapshot: Snapshot;

  constructor(
    readonly scenario: Scenario,
    readonly scheme: Scheme,
    private readonly policy: RwsemPolicy = RwsemPolicy.Kernel,
  ) {
    this.device = new SimulatedDevice(BLOCKS, PAGE_BYTES);
    const journalBytes = JOURNAL_BLOCKS * PAGE_BYTES;
    const uuid = new Uint8Array(16);
    formatDevice(this.device, {
      blockBytes: PAGE_BYTES,
      label: '',
      dataChecksums: false,
      now: START_MS,
      uuid,
      journalBytes,
    });
    this.session = mount(this.device, null, this.plan(), SETUP_DRIVER);
    const { handle } = this.session;
    this.arena = new Arena(handle.arena, handle.layout);
    this.frames = new Frames([...handle.frames], PAGE_BYTES, handle.layout.frames);
    this.footprint = new Footprint(this.arena.words, BLOCKS);
    this.watchOwners(this.session.engine, 0);
    this.files = scenario.files.map((file, i) => this.createFile(file, i + 1));
    this.run(syncStore(this.session.task, this.session.engine));
    scenario.files.forEach((file, i) => {
      this.arrangeCache(file, this.files[i]);
    });
    this.device.faults = (scenario.faults ?? []).map(({ io, file, page }) => ({
      io,
      block: this.blockToBe(this.fileNamed(file), page),
    }));
    this.fillLog(scenario.logFree ?? LOG_BLOCKS);
    this.restoreBias();
    this.slots = [...scenario.threads, null].map(() => attachThread(this.arena, SETUP_DRIVER).thread);
    this.snapshot = {
      arena: this.arena.bytes.slice(),
      frames: this.frameBytes.slice(),
      device: this.device.bytes.slice(),
      owners: this.device.owners.slice(),
      freedBy: this.device.freedBy.slice(),
    };
  }

  restore(): void {
    this.arena.bytes.set(this.snapshot.arena);
    this.frameBytes.set(this.snapshot.frames);
    this.device.restore(this.snapshot.device, this.snapshot.owners, this.snapshot.freedBy);
  }

  fileNamed(name: string): WorldFile {
    const file = this.files.find((other) => other.name === name);
    assert(file !== undefined, `no file '${name}' in the scenario`);
    return file;
  }

  fileOfSlot(slot: number): WorldFile | null {
    return this.files.find((file) => file.slot === slot) ?? null;
  }

  /** A thread's engine and task for one schedule. The order of locks is checked where it is meant to hold. */
  actor(index: number, driver: Driver): Actor {
    const { arena, frames, device, scheme } = this;
    const { commit, limits, geometry } = this.session.handle;
    const thread = this.slots[index];
    const task = new Task(thread, arena, driver, scheme.safe ? new Lockdep(arena) : null);
    const engine = makeEngine({ arena, frames, device, commit, limits, geometry, scheme, alwaysPins: true });
    this.watchOwners(engine, thread);
    this.watchLookups(engine.cache.lookup);
    driver.unpin = (frame) => engine.cache.unpin(frame as Frame);
    return { task, engine, hot: new HotPath(engine) };
  }

  /** The frame that a buffer of an I/O is part of, or 0 for the commit buffer. */
  frameOf(buffer: Uint8Array): number {
    return buffer.buffer === this.frameBytes.buffer ? Math.floor(buffer.byteOffset / PAGE_BYTES) + 1 : 0;
  }

  private get frameBytes(): Uint8Array {
    return this.frames.segment(1 as Frame);
  }

  private plan(): Parameters<typeof mount>[2] {
    return {
      path: this.scenario.name,
      cacheBytes: (this.scenario.frames ?? FRAMES) * PAGE_BYTES,
      minCachePages: 1,
      inodesMin: 8,
      commitBytes: COMMIT_BLOCKS * PAGE_BYTES,
      shape: { threads: 8, exclusions: 512, openFiles: 1, requests: 1 },
      scheme: this.scheme.name,
      readOnly: false,
      dirtyRatio: 0.8,
      dirtyExpireMs: 30_000,
      policy: this.policy,
      verify: true,
      random: SETUP_DRIVER.random,
    };
  }

  /** Setting up has taken the files' locks exclusive, which ends a bias to readers for some time. That time is over. */
  private restoreBias(): void {
    for (const { slot } of this.files) {
      const inode = slotAt(this.arena, slot);
      for (const lock of [Inode.IRwsem, Inode.InvalidateLock]) this.arena.words[inode + lock + Rwsem.BiasOff] = 0;
    }
  }

  /** By small transactions, until no more than so many blocks are left. */
  private fillLog(free: number): void {
    const { task, journal } = this.session;
    while (LOG_BLOCKS - journal.logBlocksUsed > free) {
      this.run(journal.begin(task, 1));
      journal.dirty(task, journal.superblockFrame);
      journal.end(task);
      this.run(journal.commit(task));
    }
  }

  private run<T>(routine: Routine<T>): T {
    return this.session.run('explore', routine);
  }

  private createFile(file: ScenarioFile, number: number): WorldFile {
    const { task, engine, namespace } = this.session;
    const access = Access.Read | Access.Write | Access.Create;
    const slot = this.run(namespace.open(task, Buffer.from(file.name), access));
    if (file.near !== undefined) {
      const near = this.session.run('explore', namespace.find(task, Buffer.from(file.near.file)));
      this.arena.unsigned[slotAt(this.arena, slot) + Inode.Goal] = this.blockOf(near, file.near.page);
    }
    const words = file.pages * WORDS_PER_PAGE;
    if (words > 0) this.write(slot, number, 0, words, FIRST_GENERATION);
    this.run(engine.cache.writeRange(task, slot, 0, MAX_FILE_PAGES, { wait: true }));
    assert(inoOf(this.arena, slot) > 1, 'a scenario file without an inode');
    const generations = Array.from(
      { length: Math.ceil(file.pages) },
      (_, page) => FIRST_GENERATION + Number(file.dirty?.includes(page) === true),
    );
    return { name: file.name, number, slot, words, generations };
  }

  private arrangeCache(file: ScenarioFile, { slot, number, words }: WorldFile): void {
    const { task, engine } = this.session;
    engine.cache.evictRange(task, slot, 0, MAX_FILE_PAGES);
    for (const page of file.cached ?? []) this.run(engine.cache.fill(task, slot, page, 1));
    for (const page of file.dirty ?? []) {
      const from = page * WORDS_PER_PAGE;
      this.write(slot, number, from, Math.min(from + WORDS_PER_PAGE, words), FIRST_GENERATION + 1);
    }
  }

  private write(slot: Slot, number: number, from: number, to: number, generation: number): void {
    const bytes = stampBytes(number, from, to, generation);
    const n = this.run(write(this.session.task, this.session.engine, slot, bytes, 0, bytes.length, from * 4));
    assert(n === bytes.length, 'the scenario does not fit the device');
  }

  private blockOf(slot: Slot, page: number): number {
    const run = new BlockRun();
    const { task, engine } = this.session;
    this.run(engine.cache.operationsOf(slot).map(task, slot, page, 1, run));
    assert(run.kind === RunKind.Written, `page ${page} of slot ${slot} is not on the device`);
    return run.block;
  }

  /** Where the page is, or will be: a file that grows goes on behind its last block. */
  private blockToBe({ slot, words }: WorldFile, page: number): number {
    const last = Math.ceil(words / WORDS_PER_PAGE) - 1;
    return page <= last ? this.blockOf(slot, page) : this.blockOf(slot, last) + page - last;
  }

  private watchOwners(engine: Engine, thread: number): void {
    watchAllocator(engine.allocator, this.device, thread);
    watchExtents(engine.extents, this.device.owners);
  }

  private watchLookups(lookup: Lookup): void {
    const { footprint, arena } = this;
    const locks = arena.layout.locks + GlobalLock.Buckets;
    const mask = arena.layout.pageBucketMask & (BUCKET_LOCKS - 1);
    const { find, findHit } = lookup;
    lookup.find = (mapping, index) => {
      footprint.read(locks + (hashOf(mapping, index) & mask));
      return find.call(lookup, mapping, index);
    };
    lookup.findHit = (record, mapping, index) => {
      footprint.read(locks + (hashOf(mapping, index) & mask));
      return findHit.call(lookup, record, mapping, index);
    };
  }
}

/** A cursor of an open file, for routines that want one. */
export function cursorOf(world: World, slot: Slot): ErrorCursor {
  return new ErrorCursor(world.arena, slot);
}

function watchAllocator(allocator: Allocator, { owners, freedBy }: SimulatedDevice, thread: number): void {
  const { claim, unclaim, allocateMetadata, free, journal } = allocator;
  allocator.claim = function* (task, goal, length, run) {
    yield* claim.call(allocator, task, goal, length, run);
    owners.fill(OWNER_CLAIM - thread, run.start, run.start + run.length);
  };
  allocator.unclaim = (task, start, length) => {
    owners.fill(0, start, start + length);
    unclaim.call(allocator, task, start, length);
  };
  allocator.allocateMetadata = function* (task, goal) {
    const block = yield* allocateMetadata.call(allocator, task, goal);
    owners[block] = OWNER_METADATA;
    return block;
  };
  allocator.free = function* (task, start, length) {
    yield* free.call(allocator, task, start, length);
    owners.fill(0, start, start + length);
    freedBy.fill(journal.running, start, start + length);
  };
}

function watchExtents(extents: ExtentMap, owners: Int32Array): void {
  const { insert } = extents;
  extents.insert = function* (task, slot, page, block, length, unwritten) {
    yield* insert.call(extents, task, slot, page, block, length, unwritten);
    owners.fill(slot === INODE_TABLE_SLOT ? OWNER_METADATA : slot, block, block + length);
  };
}
