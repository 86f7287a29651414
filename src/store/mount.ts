/**
 * A store's engine over a device, without the threads of an open store: recovers the store, lays out the shared memory,
 * attaches the calling thread, and takes it all down again.
 *
 * `openStore` mounts the host's device and starts the service; tests mount devices in memory, thousands of them, in
 * shapes as small as they like. `mount` and `unmount` run on the thread that has the device to itself. Other threads
 * attach in between, with a `Session` on the handle.
 */
import { initAllocator } from '../allocator/allocator.js';
import { allocateAligned } from '../device/aligned-memory.js';
import type { Device } from '../device/device.js';
import { codeOf } from '../device/host-error.js';
import type { DeviceHandle } from '../device/open-device.js';
import { OverlayDevice } from '../device/overlay-device.js';
import { describeSignature, detectSignature } from '../device/signature.js';
import { StoreError } from '../errors.js';
import { mendReadableTail, mendTail } from '../file/edge.js';
import { type Geometry, SUPERBLOCK_BLOCK } from '../format/geometry.js';
import { DiskState, mustOpenReadOnly, SUPERBLOCK_BYTES, type Superblock } from '../format/superblock.js';
import { initInodeSlots, METADATA_SLOT } from '../inode/inode.js';
import { initJournal } from '../journal/journal.js';
import { Frames } from '../pagecache/frames.js';
import { POINTS } from '../routine/points.js';
import type { Driver } from '../routine/task.js';
import { Arena } from '../sync/arena.js';
import {
  type ArenaShape,
  GlobalLock,
  HEADER_MAGIC,
  Header,
  HeaderFlag,
  type Layout,
  layoutOf,
  StoreState,
} from '../sync/layout.js';
import { LockRank } from '../sync/lockdep.js';
import { initMutex } from '../sync/mutex.js';
import { initRwsem } from '../sync/rwsem.js';
import { MIN_BLOCK_BYTES } from '../units.js';
import { holdsStore, type RecoveredStore, recoverStore } from './recover-store.js';
import { RequestRing } from './request-ring.js';
import { makeHandle, Session, type StoreHandle } from './session.js';
import { syncStore } from './sync-all.js';

/** By default shorter runs of freed blocks are discarded later, by trimming. */
const DISCARD_AT_ONCE_BYTES = 2 ** 20;

export interface MountPlan {
  /** Names the device in errors. */
  path: string;
  cacheBytes: number;
  /** At least so many pages: for an open store, enough that readahead, writeback and metadata always find a frame. */
  minCachePages: number;
  /** In-core inodes, however small the cache is. */
  inodesMin: number;
  commitBytes: number;
  /** What the arena holds, but for what follows from the store and the cache. */
  shape: Pick<ArenaShape, 'threads' | 'exclusions' | 'openFiles' | 'requests' | 'timesLocks'>;
  scheme: string;
  readOnly: boolean;
  /** Runs of freed blocks of so many bytes are discarded as soon as that is durable, shorter ones later. Default 1 MiB. */
  discardAtOnceBytes?: number;
  /** Opens though the end of a file that a truncation had to make zeros cannot be read: for a repair, which has no other way. */
  leavesUnreadable?: boolean;
  dirtyRatio: number;
  dirtyExpireMs: number;
  /** For the service's background thread; never, where there is none. */
  commitIntervalMs?: number;
  policy: number;
  verify: boolean;
  random: () => number;
  /** Of an earlier mount with the same plan, unmounted since: its memory is used again where it fits. */
  memory?: StoreHandle | undefined;
}

/**
 * The session of the thread that mounted. `shared` is the device for threads that make their own from the handle, null
 * where there are none. A store that was not closed is recovered first. EINVAL for what is no store and for a cache too
 * small, EUCLEAN for a damaged store or another format version, EROFS. EIO where what a crash left to do cannot be done: it
 * stays recorded, and the next opening tries again.
 */
export function mount(device: Device, shared: DeviceHandle | null, plan: MountPlan, driver?: Driver): Session {
  const { path } = plan;
  const store = recovered(device, plan, driver?.now() ?? Date.now());
  const { superblock } = store;
  if (mustOpenReadOnly(superblock) && !plan.readOnly) {
    throw new StoreError('EROFS', {
      syscall: 'open',
      path,
      detail: 'the store has features that this version only reads',
    });
  }
  const frames = Math.floor(plan.cacheBytes / superblock.blockBytes);
  if (frames < plan.minCachePages) {
    const least = plan.minCachePages * superblock.blockBytes;
    const detail = `a cache of ${plan.cacheBytes} bytes is too small: at least ${least}`;
    throw new StoreError('EINVAL', { syscall: 'open', path, detail });
  }
  const layout = planLayout(superblock, frames, plan);
  const used = fitting(plan.memory, layout, superblock);
  const arena = layArena(superblock, layout, plan, used?.arena);
  const handle = makeHandle({
    path,
    scheme: plan.scheme,
    layout: arena.layout,
    arena: arena.buffer,
    frames: used?.frames ?? Frames.allocate(frames, superblock.blockBytes, (memory) => takesMemory(device, memory)),
    commit: used?.commit ?? allocateAligned(plan.commitBytes).buffer,
    transfer: used?.transfer ?? RequestRing.allocateTransfer(plan.shape.requests),
    device: shared,
    overlay: store.device instanceof OverlayDevice ? store.device.share() : null,
    recovered: store.recovery.transactions,
    geometry: geometryOf(superblock),
    limits: { dirtyRatio: plan.dirtyRatio, dirtyExpireMs: plan.dirtyExpireMs },
    commitIntervalMs: plan.commitIntervalMs ?? Number.POSITIVE_INFINITY,
  });
  const session = new Session(handle, 'owner', store.device, driver);
  const { task, engine, journal } = session;
  journal.start(session.run('open', engine.cache.read(task, METADATA_SLOT, SUPERBLOCK_BLOCK)));
  session.run('open', engine.inodes.load(task));
  if (!plan.readOnly) {
    session.run('open', journal.setState(task, DiskState.Open));
    const mend = plan.leavesUnreadable ? mendReadableTail : mendTail;
    session.run(
      'open',
      engine.inodes.finishOrphans(task, (slot) => mend(task, engine, slot)),
    );
  }
  Atomics.compareExchange(arena.words, Header.State, StoreState.Opening, StoreState.Open);
  return session;
}

/** Whether the device reads into that memory, which direct I/O wants aligned. Its content is whatever comes. */
function takesMemory(device: Device, memory: Uint8Array): boolean {
  try {
    device.read([memory.subarray(0, MIN_BLOCK_BYTES)], 0);
    return true;
  } catch (error) {
    return codeOf(error) !== 'EINVAL';
  }
}

/** The end, with no other thread left: open files are closed, everything is written, the store marked clean if it is. */
export function unmount(session: Session): void {
  const { task, engine, journal, openFiles } = session;
  for (const slot of openFiles.takeAll()) session.run('close', engine.inodes.release(task, slot));
  if (session.readOnly) return;
  session.run('close', syncStore(task, engine));
  engine.allocator.beginTrim();
  while (session.run('close', engine.allocator.trimSome(task)));
  // Work that an error stopped, or a file without a name that a dead thread had open: the next opening has to do with it.
  if (session.arena.unsigned[Header.OrphanHead] !== 0) return;
  session.run('close', journal.close(task));
}

/** Brings the store to its last durable transaction; in memory only where it is mounted read-only. */
function recovered(device: Device, plan: MountPlan, now: number): RecoveredStore {
  const { path } = plan;
  if (!holdsStore(device)) {
    const found = device.sizeBytes >= SUPERBLOCK_BYTES ? detectSignature(device) : null;
    const detail =
      found === null ? 'no Emmental store; format it first' : `no Emmental store but ${describeSignature(found)}`;
    throw new StoreError('EINVAL', { syscall: 'open', path, detail });
  }
  const store = recoverStore(device, now, plan.readOnly);
  if (store.superblock.state === DiskState.Error) {
    const detail = `a repair of the store was cut short; run 'emmental check --repair ${path}'`;
    throw new StoreError('EUCLEAN', { syscall: 'open', path, detail });
  }
  return store;
}

/** The handle, if its memory is laid out like that. */
function fitting(memory: StoreHandle | undefined, layout: Layout, superblock: Superblock): StoreHandle | null {
  if (memory === undefined || memory.geometry.blockBytes !== superblock.blockBytes) return null;
  const { words, frames, groups } = memory.layout;
  return words === layout.words && frames === layout.frames && groups === layout.groups ? memory : null;
}

function planLayout(superblock: Superblock, frames: number, plan: MountPlan): Layout {
  return layoutOf(
    {
      ...plan.shape,
      frames,
      inodes: Math.min(65_536, Math.max(plan.inodesMin, Math.floor(frames / 8))),
      groups: superblock.groups,
      logBlocks: superblock.journalBlocks,
      pins: Math.max(64, Math.min(65_536, Math.floor(frames / 4))),
    },
    POINTS.length,
  );
}

/** An arena whose header and locks are ready, in state Opening. */
function layArena(superblock: Superblock, layout: Layout, plan: MountPlan, used: SharedArrayBuffer | undefined): Arena {
  const buffer = used ?? Arena.allocate(layout);
  const words = new Int32Array(buffer);
  if (used !== undefined) words.fill(0);
  words[Header.Magic] = HEADER_MAGIC;
  words[Header.State] = StoreState.Opening;
  words[Header.BlockBytes] = superblock.blockBytes;
  words[Header.Frames] = layout.frames;
  words[Header.Threads] = plan.shape.threads;
  words[Header.Flags] = (plan.verify ? HeaderFlag.Verify : 0) | (plan.readOnly ? HeaderFlag.ReadOnly : 0);
  words[Header.RwsemPolicy] = plan.policy;
  words[Header.Blocks] = superblock.blocks;
  words[Header.DiscardLater] = Math.ceil((plan.discardAtOnceBytes ?? DISCARD_AT_ONCE_BYTES) / superblock.blockBytes);
  words[Header.Seed] = (plan.random() * 2 ** 31) | 0;
  const arena = new Arena(buffer, layout);
  initRwsem(arena, layout.locks + GlobalLock.Names, LockRank.Names);
  initMutex(arena, layout.locks + GlobalLock.InodeTable, LockRank.InodeTable);
  initInodeSlots(arena);
  initJournal(arena);
  initAllocator(arena);
  return arena;
}

/** The superblock's geometry alone, as plain data. */
function geometryOf(superblock: Superblock): Geometry {
  const { blockBytes, blocks, blocksPerGroup, groups, journalStart, journalBlocks, dataChecksums } = superblock;
  return { blockBytes, blocks, blocksPerGroup, groups, journalStart, journalBlocks, dataChecksums };
}
