/**
 * Opening a store: reads the superblock, lays out the shared memory, attaches the opening thread and starts the service.
 */
import { availableParallelism } from 'node:os';
import { initAllocator } from '../allocator/allocator.js';
import { allocateAligned } from '../device/aligned-memory.js';
import { type HostDevice, openHostDevice } from '../device/host-device.js';
import { describeSignature, detectSignature } from '../device/signature.js';
import { corrupt, invalidArgType, outOfRange, StoreError, withPath } from '../errors.js';
import { type Geometry, SUPERBLOCK_BLOCK } from '../format/geometry.js';
import {
  DiskState,
  hasSuperblockMagic,
  mustOpenReadOnly,
  readSuperblock,
  SUPERBLOCK_BYTES,
  type Superblock,
  validateSuperblock,
  verifySuperblock,
} from '../format/superblock.js';
import { initInodeSlots, METADATA_SLOT } from '../inode/inode.js';
import { initJournal } from '../journal/journal.js';
import { DEFAULT_SCHEME, type SchemeName, schemeByName, schemes } from '../locking/schemes.js';
import { Frames } from '../pagecache/frames.js';
import { POINTS } from '../routine/points.js';
import { Arena } from '../sync/arena.js';
import { GlobalLock, HEADER_MAGIC, Header, HeaderFlag, layoutOf, StoreState } from '../sync/layout.js';
import { LockRank } from '../sync/lockdep.js';
import { initMutex } from '../sync/mutex.js';
import { initRwsem, RWSEM_POLICIES } from '../sync/rwsem.js';
import { type RwsemPolicyName, rwsemPolicyNumber } from '../sync/rwsem-policy.js';
import { MIB } from '../units.js';
import { checkBytes } from './arguments.js';
import { checkPath } from './create-store.js';
import { RequestRing } from './request-ring.js';
import { makeHandle, Session } from './session.js';
import { Store } from './store.js';

export interface OpenOptions {
  /** Bytes of page cache. Default 256 MiB, at least MIN_CACHE_PAGES pages. */
  cacheBytes?: number;
  scheme?: SchemeName | (string & {});
  /** Allow a scheme that is known to show stale data or to overwrite other files. */
  unsafe?: boolean;
  io?: 'direct' | 'buffered';
  readOnly?: boolean;
  /** Share of the cache that may be dirty, in (0, 1]. Default 0.5. */
  dirtyRatio?: number;
  /** Age in milliseconds at which a dirty page is written back anyway. Default 30000. */
  dirtyExpireMs?: number;
  /** Service threads, one of them for background work. Default the CPUs, at least 2, at most 8. */
  threads?: number;
  /** How the reader-writer locks queue. Default 'kernel'. */
  rwsemPolicy?: RwsemPolicyName;
  /** Check lock order and page states at run time. Costs speed. */
  verify?: boolean;
}

const DEFAULT_CACHE_BYTES = 256 * MIB;
/** Enough that readahead, writeback and metadata always find a frame. */
const MIN_CACHE_PAGES = 256;
const DEFAULT_DIRTY_RATIO = 0.5;
const DEFAULT_DIRTY_EXPIRE_MS = 30_000;
const MIN_THREADS = 2;
const MAX_THREADS = 8;
/** Threads that may be attached at once, the store's own included. */
const THREAD_SLOTS = 128;
const EXCLUSIONS = 65_536;
const OPEN_FILES = 16_384;
const REQUESTS = 64;
const COMMIT_BUFFER_BYTES = 16 * MIB;

interface Plan {
  cacheBytes: number;
  scheme: string;
  readOnly: boolean;
  dirtyRatio: number;
  dirtyExpireMs: number;
  threads: number;
  policy: number;
  verify: boolean;
}

/**
 * Opens a store. EBUSY when it is open already, in any process; ENOENT; EINVAL for what is no store, a cache too small, or
 * an unknown or (without `unsafe`) unsafe scheme; EUCLEAN for a damaged or not cleanly closed one; EROFS. An open store keeps
 * its process alive, as a listening server does, until it is closed.
 */
export async function openStore(path: string, options: OpenOptions = {}): Promise<Store> {
  checkPath(path);
  const plan = planOf(options);
  const device = openHostDevice(path, { readOnly: plan.readOnly, io: options.io });
  try {
    const superblock = loadSuperblock(path, device);
    if (mustOpenReadOnly(superblock) && !plan.readOnly) {
      throw new StoreError('EROFS', {
        syscall: 'open',
        path,
        detail: 'the store has features that this version only reads',
      });
    }
    return start(path, device, superblock, plan);
  } catch (error) {
    device.close();
    throw withPath(error, 'open', path);
  }
}

function planOf(options: OpenOptions): Plan {
  const scheme = options.scheme ?? DEFAULT_SCHEME;
  const known = schemeByName(scheme);
  if (known === undefined) {
    const names = schemes.map(({ name }) => name).join(', ');
    throw new StoreError('EINVAL', { syscall: 'open', detail: `unknown scheme '${scheme}'; known are ${names}` });
  }
  if (!known.safe && options.unsafe !== true) {
    const detail = `scheme '${scheme}' is unsafe (${known.description}); it needs { unsafe: true }`;
    throw new StoreError('EINVAL', { syscall: 'open', detail });
  }
  if (options.io !== undefined && options.io !== 'direct' && options.io !== 'buffered') {
    throw new StoreError('EINVAL', {
      syscall: 'open',
      detail: `unknown io '${options.io}'; known are direct, buffered`,
    });
  }
  const policy = options.rwsemPolicy ?? 'kernel';
  if (!RWSEM_POLICIES.includes(policy)) {
    const detail = `unknown rwsem policy '${policy}'; known are ${RWSEM_POLICIES.join(', ')}`;
    throw new StoreError('EINVAL', { syscall: 'open', detail });
  }
  const threads = options.threads ?? Math.min(MAX_THREADS, Math.max(MIN_THREADS, availableParallelism()));
  return {
    cacheBytes: options.cacheBytes === undefined ? DEFAULT_CACHE_BYTES : checkBytes('cacheBytes', options.cacheBytes),
    scheme,
    readOnly: options.readOnly === true,
    dirtyRatio: checkNumber('dirtyRatio', options.dirtyRatio ?? DEFAULT_DIRTY_RATIO, 0.01, 1),
    dirtyExpireMs: checkNumber('dirtyExpireMs', options.dirtyExpireMs ?? DEFAULT_DIRTY_EXPIRE_MS, 0, 2 ** 31),
    threads: checkNumber('threads', threads, MIN_THREADS, 64, true),
    policy: rwsemPolicyNumber(policy),
    verify: options.verify ?? process.env.EMMENTAL_VERIFY === '1',
  };
}

function checkNumber(name: string, value: unknown, least: number, most: number, isWhole = false): number {
  if (typeof value !== 'number') throw invalidArgType(name, 'of type number', value);
  if (isWhole && !Number.isInteger(value)) throw outOfRange(name, 'an integer', value);
  if (!(value >= least && value <= most)) throw outOfRange(name, `>= ${least} && <= ${most}`, value);
  return value;
}

/** The verified superblock of a store that was closed cleanly. */
function loadSuperblock(path: string, device: HostDevice): Superblock {
  const bytes = allocateAligned(SUPERBLOCK_BYTES);
  const count = device.sizeBytes >= SUPERBLOCK_BYTES ? device.read([bytes], 0) : 0;
  if (count < SUPERBLOCK_BYTES || !hasSuperblockMagic(bytes)) {
    const found = device.sizeBytes >= SUPERBLOCK_BYTES ? detectSignature(device) : null;
    const detail =
      found === null ? 'no Emmental store; format it first' : `no Emmental store but ${describeSignature(found)}`;
    throw new StoreError('EINVAL', { syscall: 'open', path, detail });
  }
  const damage = verifySuperblock(bytes, 0);
  if (damage !== null) throw corrupt('superblock', 0, damage);
  const superblock = readSuperblock(new DataView(bytes.buffer, bytes.byteOffset, SUPERBLOCK_BYTES));
  const refusal = validateSuperblock(superblock, device.sizeBytes);
  if (refusal !== null) throw corrupt('superblock', 0, refusal);
  if (superblock.state !== DiskState.Clean) {
    const detail = `the store was not closed; run 'emmental check --repair ${path}'`;
    throw new StoreError('EUCLEAN', { syscall: 'open', path, detail });
  }
  return superblock;
}

function start(path: string, device: HostDevice, superblock: Superblock, plan: Plan): Store {
  const frames = Math.floor(plan.cacheBytes / superblock.blockBytes);
  if (frames < MIN_CACHE_PAGES) {
    const detail = `a cache of ${plan.cacheBytes} bytes is too small: at least ${MIN_CACHE_PAGES * superblock.blockBytes}`;
    throw new StoreError('EINVAL', { syscall: 'open', path, detail });
  }
  const arena = layArena(superblock, frames, plan);
  const handle = makeHandle({
    path,
    scheme: plan.scheme,
    layout: arena.layout,
    arena: arena.buffer,
    frames: Frames.allocate(frames, superblock.blockBytes),
    commit: allocateAligned(COMMIT_BUFFER_BYTES).buffer,
    transfer: RequestRing.allocateTransfer(REQUESTS),
    device: device.share(),
    geometry: geometryOf(superblock),
    limits: { dirtyRatio: plan.dirtyRatio, dirtyExpireMs: plan.dirtyExpireMs },
  });
  const session = new Session(handle, 'owner', device);
  const { task, engine, journal } = session;
  journal.start(session.run('open', engine.cache.read(task, METADATA_SLOT, SUPERBLOCK_BLOCK)));
  session.run('open', engine.inodes.load(task));
  if (!plan.readOnly) {
    session.run('open', journal.setState(task, DiskState.Open));
    session.run('open', engine.inodes.finishOrphans(task));
  }
  Atomics.compareExchange(arena.words, Header.State, StoreState.Opening, StoreState.Open);
  const store = new Store(session, device, plan.threads);
  store.start();
  return store;
}

/** A fresh arena whose header and locks are ready, in state Opening. */
function layArena(superblock: Superblock, frames: number, plan: Plan): Arena {
  const layout = layoutOf(
    {
      frames,
      inodes: Math.min(65_536, Math.max(1024, Math.floor(frames / 8))),
      groups: superblock.groups,
      threads: THREAD_SLOTS,
      exclusions: EXCLUSIONS,
      pins: Math.max(64, Math.min(65_536, Math.floor(frames / 4))),
      openFiles: OPEN_FILES,
      requests: REQUESTS,
    },
    POINTS.length,
  );
  const buffer = Arena.allocate(layout);
  const words = new Int32Array(buffer);
  words[Header.Magic] = HEADER_MAGIC;
  words[Header.State] = StoreState.Opening;
  words[Header.BlockBytes] = superblock.blockBytes;
  words[Header.Frames] = frames;
  words[Header.Threads] = THREAD_SLOTS;
  words[Header.Flags] = (plan.verify ? HeaderFlag.Verify : 0) | (plan.readOnly ? HeaderFlag.ReadOnly : 0);
  words[Header.RwsemPolicy] = plan.policy;
  words[Header.Blocks] = superblock.blocks;
  words[Header.Seed] = (Math.random() * 2 ** 31) | 0;
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
  const { blockBytes, blocks, blocksPerGroup, groups, journalStart, journalBlocks } = superblock;
  return { blockBytes, blocks, blocksPerGroup, groups, journalStart, journalBlocks };
}
