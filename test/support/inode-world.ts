/**
 * A formatted device in memory with everything up to the inodes on it: the world of their tests. One thread, lockdep on.
 */
import { Allocator, initAllocator } from '#dist/src/allocator/allocator.js';
import { MemoryDevice } from '#dist/src/device/memory-device.js';
import { readSuperblock, SUPERBLOCK_BYTES, type Superblock } from '#dist/src/format/superblock.js';
import { ExtentMap } from '#dist/src/inode/extent-map.js';
import { FileMapping } from '#dist/src/inode/file-mapping.js';
import { initInodeSlots, inoOf, iRwsemAt, mapLockAt, setSize, sizeOf, touchModified } from '#dist/src/inode/inode.js';
import { CREDITS_CREATE, CREDITS_ORPHAN, InodeTable } from '#dist/src/inode/inode-table.js';
import { NAME_INSERT_CREDITS, NAME_REMOVE_CREDITS, Names } from '#dist/src/inode/names.js';
import { initJournal, Journal } from '#dist/src/journal/journal.js';
import { Metadata, SUPERBLOCK_KIND } from '#dist/src/journal/metadata.js';
import { Frames } from '#dist/src/pagecache/frames.js';
import { PageCache } from '#dist/src/pagecache/page-cache.js';
import { BlockingDriver, runBlocking } from '#dist/src/routine/blocking-driver.js';
import type { Routine } from '#dist/src/routine/effect.js';
import type { Task } from '#dist/src/routine/task.js';
import { checkDevice } from '#dist/src/store/check.js';
import { formatDevice } from '#dist/src/store/format-store.js';
import type { Arena } from '#dist/src/sync/arena.js';
import { GlobalLock, Header, NO_BLOCK } from '#dist/src/sync/layout.js';
import { LockRank } from '#dist/src/sync/lockdep.js';
import { initMutex } from '#dist/src/sync/mutex.js';
import { acquireExclusive, acquireShared, initRwsem, releaseExclusive, releaseShared } from '#dist/src/sync/rwsem.js';
import { attachThread } from '#dist/src/sync/threads.js';
import type { Slot } from '#dist/src/units.js';
import { makeArena } from './arena.js';
import { recoverInPlace } from './recovered.js';

export interface InodeWorldOptions {
  blocks?: number;
  blockBytes?: number;
  blocksPerGroup?: number;
  frames?: number;
  inodes?: number;
  exclusions?: number;
  commitBlocks?: number;
  verify?: boolean;
  /** A device that holds a store already. */
  device?: MemoryDevice;
}

export class InodeWorld {
  readonly device: MemoryDevice;
  readonly superblock: Superblock;
  readonly blockBytes: number;
  readonly arena: Arena;
  readonly task: Task;
  readonly frames: Frames;
  readonly cache: PageCache;
  readonly journal: Journal;
  readonly metadata: Metadata;
  readonly allocator: Allocator;
  readonly extents: ExtentMap;
  readonly inodes: InodeTable;
  readonly files: FileMapping;
  readonly names: Names;

  constructor(options: InodeWorldOptions = {}) {
    const { blocks = 4096, frames = 512, inodes = 64, exclusions = 1024, commitBlocks = 400, verify = true } = options;
    this.blockBytes = options.blockBytes ?? 4096;
    this.device = options.device ?? formatted(blocks, this.blockBytes, options.blocksPerGroup);
    recoverInPlace(this.device);
    this.superblock = superblockOn(this.device);
    const { groups } = this.superblock;
    const arena = makeArena({ frames, inodes, groups, exclusions, threads: 8, blockBytes: this.blockBytes, verify });
    this.arena = arena;
    arena.unsigned[Header.Blocks] = this.superblock.blocks;
    initMutex(arena, arena.layout.locks + GlobalLock.InodeTable, LockRank.InodeTable);
    initRwsem(arena, arena.layout.locks + GlobalLock.Names, LockRank.Names);
    initInodeSlots(arena);
    initJournal(arena);
    initAllocator(arena);
    this.task = attachThread(arena, new BlockingDriver(arena, false));
    this.frames = new Frames(Frames.allocate(frames, this.blockBytes), this.blockBytes, frames);
    this.cache = new PageCache(arena, this.frames, this.device);
    const commitBuffer = new SharedArrayBuffer(commitBlocks * this.blockBytes);
    this.journal = new Journal(arena, this.cache, this.device, commitBuffer, this.blockBytes);
    this.metadata = new Metadata(this.journal);
    this.allocator = new Allocator(arena, this.journal, this.metadata, this.superblock);
    this.extents = new ExtentMap(arena, this.frames, this.journal, this.metadata, this.allocator);
    this.inodes = new InodeTable(
      arena,
      this.frames,
      this.cache,
      this.journal,
      this.metadata,
      this.allocator,
      this.extents,
    );
    this.files = new FileMapping(arena, this.journal, this.allocator, this.extents, this.inodes, this.blockBytes);
    this.names = new Names(arena, this.frames, this.journal, this.metadata, this.allocator);
    this.cache.operations = { files: this.files, metadata: this.metadata };
    this.journal.start(this.run(this.metadata.get(this.task, 0, SUPERBLOCK_KIND)));
    this.run(this.inodes.load(this.task));
  }

  run<T>(routine: Routine<T>): T {
    return runBlocking(this.task, routine);
  }

  inHandle<T>(credits: number, body: () => Routine<T>): T {
    this.run(this.journal.begin(this.task, credits));
    try {
      return this.run(body());
    } finally {
      this.journal.end(this.task);
    }
  }

  /** A change of the slot's extent map in a handle of its own. */
  change<T>(slot: Slot, credits: number, body: () => Routine<T>): T {
    const lock = mapLockAt(this.arena, slot);
    return this.inHandle(credits, () => locked(this.task, lock, body));
  }

  create(): Slot {
    return this.run(this.createFile(this.task));
  }

  /** A new file, named after its inode number. */
  *createFile(task: Task): Routine<Slot> {
    const { inodes, names, arena } = this;
    const claimed = yield* inodes.claimSlot(task);
    let slot = 0 as Slot;
    try {
      yield* this.withNames(task, CREDITS_CREATE + NAME_INSERT_CREDITS, function* () {
        slot = yield* inodes.create(task, claimed);
        yield* names.insert(task, nameOf(inoOf(arena, slot)), inoOf(arena, slot));
      });
    } finally {
      if (slot === 0) inodes.unclaimSlot(task, claimed);
    }
    return slot;
  }

  unlink(slot: Slot): void {
    this.run(this.unlinkFile(this.task, slot));
  }

  /** Takes the file's name away, if it has it still. */
  *unlinkFile(task: Task, slot: Slot): Routine<void> {
    const { inodes, names, arena } = this;
    yield* this.withNames(task, CREDITS_ORPHAN + NAME_REMOVE_CREDITS, function* () {
      const ino = yield* names.remove(task, nameOf(inoOf(arena, slot)));
      if (ino !== 0) yield* inodes.markDeleted(task, slot);
    });
  }

  /** The file's inode, referenced, or 0 when it has no name any more. */
  *findFile(task: Task, ino: number): Routine<Slot> {
    const lock = this.arena.layout.locks + GlobalLock.Names;
    yield* acquireShared(task, lock);
    try {
      if ((yield* this.names.lookup(task, nameOf(ino))) === 0) return 0 as Slot;
      return this.inodes.tryFind(task, ino) || (yield* this.inodes.find(task, ino));
    } finally {
      releaseShared(task, lock);
    }
  }

  private *withNames(task: Task, credits: number, body: () => Routine<void>): Routine<void> {
    const { journal } = this;
    yield* locked(task, this.arena.layout.locks + GlobalLock.Names, function* () {
      yield* journal.begin(task, credits);
      try {
        yield* body();
      } finally {
        journal.end(task);
      }
    });
  }

  release(slot: Slot): void {
    this.run(this.inodes.release(this.task, slot));
  }

  write(slot: Slot, first: number, count: number, byte: number): void {
    this.run(this.writePages(this.task, slot, first, count, byte));
  }

  /** Fills pages with a byte, as writes do: reserved, locked, up to date, dirty; and sets the size. */
  *writePages(task: Task, slot: Slot, first: number, count: number, byte: number): Routine<void> {
    const end = (first + count) * this.blockBytes;
    const world = this;
    yield* locked(task, iRwsemAt(this.arena, slot), function* () {
      for (let page = first; page < first + count; page++) yield* world.writePage(task, slot, page, byte);
      if (end > sizeOf(world.arena, slot)) setSize(task, slot, end);
      touchModified(task, slot);
    });
  }

  private *writePage(task: Task, slot: Slot, page: number, byte: number): Routine<void> {
    const { cache } = this;
    const frame = yield* cache.findOrCreate(task, slot, page);
    const isNew = cache.created;
    if (!isNew) yield* cache.lockPage(task, frame);
    if (isNew) {
      yield* cache.fillLocked(task, slot, frame, page);
      if (cache.blockOf(frame) === NO_BLOCK) {
        if (!this.allocator.reserve(task, 1)) throw new Error('no space');
        cache.setReserved(frame);
      }
    }
    this.frames.bytes(frame).fill(byte);
    cache.markDirty(task, slot, frame);
    cache.unlockPage(task, frame);
    cache.unpin(frame);
  }

  sync(): void {
    this.run(this.inodes.updateDirty(this.task));
    this.run(this.journal.commit(this.task));
  }

  /** Ends the world, and says what the checker finds on its device. */
  check(): string[] {
    this.run(this.journal.close(this.task));
    return checkDevice(this.device.clone()).errors.map((error) => `${error.code}: ${error.message}`);
  }

  /** Free blocks, quarantined ones included. */
  get blocksFree(): number {
    return this.arena.unsigned[Header.BlocksFree] + this.arena.unsigned[Header.BlocksQuarantined];
  }
}

function nameOf(ino: number): Uint8Array {
  return new TextEncoder().encode(`file-${ino}`);
}

function* locked<T>(task: Task, lock: number, body: () => Routine<T>): Routine<T> {
  yield* acquireExclusive(task, lock);
  try {
    return yield* body();
  } finally {
    releaseExclusive(task, lock);
  }
}

function formatted(blocks: number, blockBytes: number, blocksPerGroup?: number): MemoryDevice {
  const device = new MemoryDevice(blocks * blockBytes);
  formatDevice(device, {
    blockBytes,
    label: 'test',
    dataChecksums: false,
    now: 1,
    uuid: new Uint8Array(16),
    ...(blocksPerGroup === undefined ? {} : { blocksPerGroup }),
  });
  return device;
}

function superblockOn(device: MemoryDevice): Superblock {
  const bytes = new Uint8Array(SUPERBLOCK_BYTES);
  device.read([bytes], 0);
  return readSuperblock(new DataView(bytes.buffer));
}
