/**
 * Opening a store: claims the host's device, mounts the engine on it (mount.ts), and starts the service.
 */
import { availableParallelism } from 'node:os';
import { openDevice } from '../device/open-device.js';
import { invalidArgType, outOfRange, StoreError, withPath } from '../errors.js';
import type { SchemeName } from '../locking/scheme.js';
import { DEFAULT_SCHEME, schemeByName, schemes } from '../locking/schemes.js';
import { RWSEM_POLICIES } from '../sync/rwsem.js';
import { type RwsemPolicyName, rwsemPolicyNumber } from '../sync/rwsem-policy.js';
import { MIB } from '../units.js';
import { checkBytes } from './arguments.js';
import { checkPath } from './create-store.js';
import { type MountPlan, mount } from './mount.js';
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
  /**
   * What was changed is durable about so many milliseconds later, without anybody asking. Default 5000, as in ext4;
   * Infinity: only a sync, and a journal that fills, commit.
   */
  commitIntervalMs?: number;
  /** Service threads at most, one of them for background work; each starts when needed. Default the CPUs, at least 2, at most 8. */
  threads?: number;
  /** How the reader-writer locks queue. Default 'kernel'. */
  rwsemPolicy?: RwsemPolicyName;
  /** Time waits for locks and holds of them, for `stats().lockTimes`. Costs speed. */
  lockTimes?: boolean;
  /** Let `emmental top` watch the store from another process, through a unix socket (src/store/monitor.ts). */
  monitor?: boolean;
  /** Check lock order and page states at run time. Costs speed. */
  verify?: boolean;
}

const DEFAULT_CACHE_BYTES = 256 * MIB;
/** Enough that readahead, writeback and metadata always find a frame. */
const MIN_CACHE_PAGES = 256;
const INODES_MIN = 1024;
const DEFAULT_DIRTY_RATIO = 0.5;
const DEFAULT_DIRTY_EXPIRE_MS = 30_000;
const DEFAULT_COMMIT_INTERVAL_MS = 5000;
const MIN_THREADS = 2;
const MAX_THREADS = 8;
/** Threads that may be attached at once, the store's own included. */
const THREAD_SLOTS = 128;
const EXCLUSIONS = 65_536;
const OPEN_FILES = 16_384;
const REQUESTS = 64;
const COMMIT_BUFFER_BYTES = 16 * MIB;

interface Plan extends MountPlan {
  threads: number;
}

/**
 * Opens a store: on a regular file, a block device, or what an NBD server exports (`nbd://HOST:PORT/EXPORT`,
 * `nbds://…`, `nbd+unix:///EXPORT?socket=PATH`). EBUSY when it is open already, in any process; ENOENT; EINVAL for what is
 * no store, a cache too small, or an unknown or (without `unsafe`) unsafe scheme; EUCLEAN for a damaged one, or one of
 * another format version; EROFS. One that was not closed is recovered from its journal, with `readOnly` in memory only. An open store keeps
 * its process alive, as a listening server does, until it is closed.
 */
export async function openStore(path: string, options: OpenOptions = {}): Promise<Store> {
  checkPath(path);
  const plan = planOf(path, options);
  const device = await openDevice(path, { readOnly: plan.readOnly, io: options.io });
  try {
    const store = new Store(mount(device, device.share(), plan), device, plan.threads);
    store.start();
    if (options.monitor === true) await store.offerMonitor();
    return store;
  } catch (error) {
    device.close();
    throw withPath(error, 'open', path);
  }
}

function planOf(path: string, options: OpenOptions): Plan {
  const scheme = options.scheme ?? DEFAULT_SCHEME;
  const known = schemeByName(scheme);
  if (known === undefined) {
    const names = schemes.map(({ name }) => name).join(', ');
    throw new StoreError('EINVAL', { syscall: 'open', detail: `unknown scheme '${scheme}'; known are ${names}` });
  }
  if (!known.safe && options.unsafe !== true) {
    const detail = `scheme '${scheme}' is unsafe: ${known.breaks}; it needs { unsafe: true }`;
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
    path,
    cacheBytes: options.cacheBytes === undefined ? DEFAULT_CACHE_BYTES : checkBytes('cacheBytes', options.cacheBytes),
    minCachePages: MIN_CACHE_PAGES,
    inodesMin: INODES_MIN,
    commitBytes: COMMIT_BUFFER_BYTES,
    shape: {
      threads: THREAD_SLOTS,
      exclusions: EXCLUSIONS,
      openFiles: OPEN_FILES,
      requests: REQUESTS,
      timesLocks: options.lockTimes === true,
    },
    scheme,
    readOnly: options.readOnly === true,
    dirtyRatio: checkNumber('dirtyRatio', options.dirtyRatio ?? DEFAULT_DIRTY_RATIO, 0.01, 1),
    dirtyExpireMs: checkNumber('dirtyExpireMs', options.dirtyExpireMs ?? DEFAULT_DIRTY_EXPIRE_MS, 0, 2 ** 31),
    commitIntervalMs: checkNumber(
      'commitIntervalMs',
      options.commitIntervalMs ?? DEFAULT_COMMIT_INTERVAL_MS,
      1,
      Number.POSITIVE_INFINITY,
    ),
    threads: checkNumber('threads', threads, MIN_THREADS, 64, true),
    policy: rwsemPolicyNumber(policy),
    verify: options.verify ?? process.env.EMMENTAL_VERIFY === '1',
    random: Math.random,
  };
}

function checkNumber(name: string, value: unknown, least: number, most: number, isWhole = false): number {
  if (typeof value !== 'number') throw invalidArgType(name, 'of type number', value);
  if (isWhole && !Number.isInteger(value)) throw outOfRange(name, 'an integer', value);
  if (!(value >= least && value <= most)) throw outOfRange(name, `>= ${least} && <= ${most}`, value);
  return value;
}
