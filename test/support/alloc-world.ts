/**
 * A formatted device with journal and allocator on it, and nothing above: the world of their tests. `truth` reads the
 * bitmaps straight from the device.
 */
import { initAllocator } from '#dist/src/allocator/allocator.js';
import type { Device } from '#dist/src/device/device.js';
import { isBlockUsed } from '#dist/src/format/bitmap.js';
import { BlockKind, verifyBlock } from '#dist/src/format/block-header.js';
import {
  bitmapBlock,
  fixedBlocksOf,
  type Geometry,
  groupLength,
  groupStart,
  isFixedBlock,
} from '#dist/src/format/geometry.js';
import { readSuperblock, type Superblock, verifySuperblock } from '#dist/src/format/superblock.js';
import { initJournal } from '#dist/src/journal/journal.js';
import { SUPERBLOCK_KIND } from '#dist/src/journal/metadata.js';
import { Frames } from '#dist/src/pagecache/frames.js';
import { BlockingDriver, runBlocking } from '#dist/src/routine/blocking-driver.js';
import type { Routine } from '#dist/src/routine/effect.js';
import type { Driver, Task } from '#dist/src/routine/task.js';
import { formatDevice } from '#dist/src/store/format-store.js';
import { Header } from '#dist/src/sync/layout.js';
import { attachThread } from '#dist/src/sync/threads.js';
import { type AllocParts, openParts, type SharedParts } from './alloc-parts.mjs';
import { makeArena } from './arena.js';
import { recoveredView, recoverInPlace } from './recovered.js';

export const BLOCK_BYTES = 4096;

export interface AllocWorldOptions {
  frames?: number;
  commitBlocks?: number;
  exclusions?: number;
  threads?: number;
}

export interface AllocWorld extends AllocParts {
  task: Task;
  shared: SharedParts;
  /** Runs a routine on this thread. */
  run<T>(routine: Routine<T>): T;
  /** Runs a routine inside a handle. */
  inHandle<T>(credits: number, body: () => Routine<T>): T;
  free(): number;
  reserved(): number;
  quarantined(): number;
}

export function formatForTest(device: Device, blocksPerGroup: number): void {
  formatDevice(device, {
    blockBytes: BLOCK_BYTES,
    label: 'test',
    dataChecksums: false,
    journalBytes: Math.min(128, blocksPerGroup / 2) * BLOCK_BYTES,
    blocksPerGroup,
    now: 1,
    uuid: new Uint8Array(16),
  });
}

/** Opens the store on a formatted device. */
export function makeAllocWorld(device: Device, options: AllocWorldOptions = {}): AllocWorld {
  const { frames = 128, commitBlocks = 66, exclusions = 256, threads = 8 } = options;
  recoverInPlace(device);
  const superblock = superblockOn(device, 0);
  const { groups, journalBlocks: logBlocks } = superblock;
  const arena = makeArena({ frames, groups, logBlocks, exclusions, threads, blockBytes: BLOCK_BYTES });
  arena.unsigned[Header.Blocks] = superblock.blocks;
  initJournal(arena);
  initAllocator(arena);
  const shared: SharedParts = {
    frameBuffers: Frames.allocate(frames, BLOCK_BYTES),
    commitBuffer: new SharedArrayBuffer(commitBlocks * BLOCK_BYTES),
    geometry: superblock,
  };
  const parts = openParts(arena, device, shared);
  return worldOf(parts, shared, attachThread(arena, new BlockingDriver(arena, false)), true);
}

/** Another task's view of the world; its own objects where `parts` are its own. */
export function worldOf(parts: AllocParts, shared: SharedParts, task: Task, starts = false): AllocWorld {
  const { arena, journal, metadata } = parts;
  const run = <T>(routine: Routine<T>): T => runBlocking(task, routine);
  if (starts) journal.start(run(metadata.get(task, 0, SUPERBLOCK_KIND)));
  return {
    ...parts,
    task,
    shared,
    run,
    inHandle: (credits, body) => run(inHandle(parts, task, credits, body)),
    free: () => arena.unsigned[Header.BlocksFree],
    reserved: () => arena.unsigned[Header.BlocksReserved],
    quarantined: () => arena.unsigned[Header.BlocksQuarantined],
  };
}

export function* inHandle<T>(parts: AllocParts, task: Task, credits: number, body: () => Routine<T>): Routine<T> {
  yield* parts.journal.begin(task, credits);
  try {
    return yield* body();
  } finally {
    parts.journal.end(task);
  }
}

/** Another logical thread of the same real thread. */
export function attachTask(world: AllocWorld, driver: Driver): Task {
  return attachThread(world.arena, driver);
}

/** The block as recovery would make it: what is durable, whether in the log or in place. */
export function readBlock(device: Device, block: number): Uint8Array {
  return readInPlace(recoveredView(device), block);
}

/** The block as it lies on the device. */
export function readInPlace(device: Device, block: number): Uint8Array {
  const bytes = new Uint8Array(BLOCK_BYTES);
  device.read([bytes], block * BLOCK_BYTES);
  return bytes;
}

export function superblockOn(device: Device, block: number): Superblock {
  const bytes = readBlock(device, block);
  const reason = verifySuperblock(bytes, block);
  if (reason !== null) throw new Error(`superblock at ${block}: ${reason}`);
  return readSuperblock(new DataView(bytes.buffer));
}

/** Blocks in use according to the bitmaps on the device, fixed ones left out. */
export function usedOn(device: Device, geometry: Geometry): Set<number> {
  const used = new Set<number>();
  const recovered = recoveredView(device);
  const initialised = superblockOn(device, 0).groupsInitialised;
  for (let group = 0; group < initialised; group++) {
    const bytes = readInPlace(recovered, bitmapBlock(geometry, group));
    const reason = verifyBlock(bytes, bitmapBlock(geometry, group), BlockKind.Bitmap);
    if (reason !== null) throw new Error(`bitmap of group ${group}: ${reason}`);
    const words = new Uint32Array(bytes.buffer);
    for (let bit = 0; bit < groupLength(geometry, group); bit++) {
      const block = groupStart(geometry, group) + bit;
      if (isBlockUsed(words, 0, bit) && !isFixedBlock(geometry, block)) used.add(block);
    }
  }
  return used;
}

/** Blocks that an empty store of this geometry has for use. */
export function usableBlocks(geometry: Geometry): number {
  let usable = geometry.blocks;
  for (let group = 0; group < geometry.groups; group++) usable -= fixedBlocksOf(geometry, group);
  return usable;
}

/** Inside a handle: a new metadata block with `mark` in its body, near `goal`. */
export function* addBlock(world: AllocWorld, task: Task, mark = 0, goal = 100): Routine<number> {
  const block = yield* world.allocator.allocateMetadata(task, goal);
  const frame = yield* world.metadata.create(task, block, BlockKind.Inodes, 7);
  world.frames.bytes(frame)[100] = mark;
  world.metadata.put(frame);
  return block;
}

/** Inside a handle: changes the mark. */
export function* setMark(world: AllocWorld, task: Task, block: number, mark: number): Routine<void> {
  const frame = yield* world.metadata.get(task, block, BlockKind.Inodes);
  world.frames.bytes(frame)[100] = mark;
  world.journal.dirty(task, frame);
  world.metadata.put(frame);
}
