/**
 * One thread's attachment to an open store: its task, and its views of every part.
 *
 * A session is made by the opening thread, by each service thread, and by every thread that attaches to a handle. Slow
 * paths run through `run`, which marks the thread busy first and looks at the store's state second; a closing store sets
 * its state first and looks at the busy marks second. So either the closer waits for the operation, or the operation sees
 * the store closing: no operation is left that might use the device's descriptor after it is closed.
 */
import type { Allocator } from '../allocator/allocator.js';
import type { Device } from '../device/device.js';
import { type DeviceHandle, deviceFromHandle } from '../device/open-device.js';
import { OverlayDevice, type OverlayPieces } from '../device/overlay-device.js';
import { StoreError, withSyscall } from '../errors.js';
import type { Engine } from '../file/engine.js';
import { HotPath } from '../file/hot-path.js';
import type { Geometry } from '../format/geometry.js';
import { Names } from '../inode/names.js';
import type { Journal } from '../journal/journal.js';
import { schemeByName } from '../locking/schemes.js';
import { Frames } from '../pagecache/frames.js';
import type { DirtyLimits } from '../pagecache/page-cache.js';
import { BlockingDriver, runBlocking } from '../routine/blocking-driver.js';
import type { Routine } from '../routine/effect.js';
import type { Driver, Task } from '../routine/task.js';
import { Arena } from '../sync/arena.js';
import { Header, HeaderFlag, type Layout, StoreState, Thread } from '../sync/layout.js';
import { attachThread, detachThread } from '../sync/threads.js';
import type { Frame } from '../units.js';
import { FileLocks } from './file-locks.js';
import { makeEngine } from './make-engine.js';
import { Namespace } from './namespace.js';
import { OpenFiles } from './open-files.js';
import type { PinnedPage } from './pinned-page.js';
import { ReadaheadQueue } from './readahead-queue.js';
import { RequestRing } from './request-ring.js';

const HANDLE_VERSION = 1;
/** A window is queued in parts of this size, which several service threads read at the same time. */
const READAHEAD_PART_BYTES = 1024 * 1024;

/** Everything a thread needs to attach to a store. Structured-cloneable; opaque to users. */
export interface StoreHandle {
  readonly emmental: typeof HANDLE_VERSION;
  readonly path: string;
  readonly scheme: string;
  readonly layout: Layout;
  readonly arena: SharedArrayBuffer;
  readonly frames: readonly SharedArrayBuffer[];
  readonly commit: SharedArrayBuffer;
  readonly transfer: SharedArrayBuffer;
  /** Null where every thread brings its own device. */
  readonly device: DeviceHandle | null;
  /** What recovery would have written to a read-only device. */
  readonly overlay: OverlayPieces | null;
  /** Transactions that were replayed when the store was opened. */
  readonly recovered: number;
  readonly limits: DirtyLimits;
  /** The background thread commits this often, of its own accord. */
  readonly commitIntervalMs: number;
  readonly geometry: Geometry;
}

/** Whether a value is a handle of this version of the library. */
export function isStoreHandle(value: unknown): value is StoreHandle {
  return typeof value === 'object' && value !== null && (value as StoreHandle).emmental === HANDLE_VERSION;
}

export function makeHandle(parts: Omit<StoreHandle, 'emmental'>): StoreHandle {
  return { emmental: HANDLE_VERSION, ...parts };
}

function deviceOf({ device, overlay }: StoreHandle): Device {
  if (device === null) throw new StoreError('EINVAL', { syscall: 'attach', detail: 'the handle names no device' });
  const below = deviceFromHandle(device);
  return overlay === null ? below : new OverlayDevice(below, overlay);
}

/** Users' threads are refused while the store opens and closes; the store's own are not. */
export type SessionRole = 'owner' | 'service' | 'user';

export class Session {
  readonly arena: Arena;
  readonly task: Task;
  readonly device: Device;
  readonly engine: Engine;
  readonly journal: Journal;
  readonly allocator: Allocator;
  readonly namespace: Namespace;
  readonly hot: HotPath;
  readonly openFiles: OpenFiles;
  readonly fileLocks: FileLocks;
  readonly readahead: ReadaheadQueue;
  readonly ring: RequestRing;
  readonly blockBytes: number;
  /** Pages that this thread has pinned: they go with it when it detaches. */
  readonly pages = new Set<PinnedPage>();
  private readonly words: Int32Array;
  private readonly busy: number;
  private readonly driver: Driver;

  constructor(
    readonly handle: StoreHandle,
    readonly role: SessionRole,
    device?: Device,
    driver?: Driver,
  ) {
    const arena = new Arena(handle.arena, handle.layout, handle.path);
    this.arena = arena;
    this.words = arena.words;
    if (role === 'user') this.checkState('attach');
    this.driver = driver ?? new BlockingDriver(arena);
    this.task = attachThread(arena, this.driver);
    this.busy = arena.layout.threadRecords + this.task.thread * Thread.Words + Thread.Busy;
    this.device = device ?? deviceOf(handle);
    this.blockBytes = arena.words[Header.BlockBytes] as number;
    const frames = new Frames([...handle.frames], this.blockBytes, handle.layout.frames);
    const scheme = schemeByName(handle.scheme);
    if (scheme === undefined) throw new StoreError('EINVAL', { detail: `unknown scheme '${handle.scheme}'` });
    const { commit, limits, geometry } = handle;
    this.engine = makeEngine({ arena, frames, device: this.device, commit, limits, geometry, scheme });
    const { cache, journal, metadata, allocator } = this.engine;
    this.journal = journal;
    this.allocator = allocator;
    this.driver.unpin = (frame) => cache.unpin(frame as Frame);
    this.hot = new HotPath(this.engine);
    this.namespace = new Namespace(this.engine, new Names(arena, frames, journal, metadata, allocator));
    this.openFiles = new OpenFiles(arena);
    this.fileLocks = new FileLocks(arena, this.openFiles, this.driver);
    this.readahead = new ReadaheadQueue(arena);
    this.ring = new RequestRing(arena, new Uint8Array(handle.transfer));
    const part = Math.max(1, READAHEAD_PART_BYTES / this.blockBytes);
    this.engine.requestReadahead = (slot, first, count, marker) => {
      for (let from = first; from < first + count; from += part) {
        if (!this.readahead.put(this.task, slot, from, Math.min(part, first + count - from), marker)) return;
      }
    };
  }

  get readOnly(): boolean {
    return ((this.arena.words[Header.Flags] as number) & HeaderFlag.ReadOnly) !== 0;
  }

  /** Whether the store takes hits: a plain load, for hot paths. Where it says no, `checkState` says why. */
  get isOpen(): boolean {
    return this.words[Header.State] === StoreState.Open;
  }

  /** Throws unless this session may start an operation now: EBADF, ENOTRECOVERABLE. */
  checkState(syscall: string): void {
    const { state } = this.arena;
    if (state === StoreState.Open) return;
    if (this.role === 'user' && (state === StoreState.Closing || state === StoreState.Opening)) {
      throw new StoreError('EBADF', { syscall, detail: 'the store is closing' });
    }
    this.arena.checkOpen(syscall);
  }

  /** Runs a slow path to its end; blocks this thread. */
  run<T>(syscall: string, routine: Routine<T>): T {
    const { words } = this.arena;
    Atomics.store(words, this.busy, 1);
    try {
      this.checkState(syscall);
      return runBlocking(this.task, routine);
    } catch (error) {
      throw withSyscall(error, syscall);
    } finally {
      Atomics.store(words, this.busy, 0);
    }
  }

  /** Ends all pins, as munmap does: of a write that cannot be kept nobody is told. */
  releasePages(): void {
    for (const page of [...this.pages]) {
      try {
        page.release();
      } catch (error) {
        if (!(error instanceof StoreError)) throw error;
      }
    }
  }

  detach(): void {
    detachThread(this.task);
  }
}
