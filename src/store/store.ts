/**
 * An open store, as the thread that opened it uses it: `Store`.
 *
 * Opening thread only. It owns the device, the service threads and the watch for dead threads. Closing: no operation may
 * start (state Closing), those under way end, the service stops, everything dirty is written back and committed, the store
 * is marked clean, the device is released. A fenced store is released without being written to any more.
 */
import type { OpenedDevice } from '../device/open-device.js';
import { invalidArgType, StoreError } from '../errors.js';
import { encodeName } from '../inode/name-bytes.js';
import { Header, StoreState, Thread, ThreadState } from '../sync/layout.js';
import { holdsAnything, reapDeadThreads } from '../sync/threads.js';
import { MAX_NAME_BYTES } from '../units.js';
import { Access, checkBytes, parseFlags } from './arguments.js';
import { File } from './file.js';
import { Monitor } from './monitor.js';
import { unmount } from './mount.js';
import { decodeJson, encodeJson, Operation } from './operations.js';
import { ServiceClient } from './service-client.js';
import { ServicePool } from './service-pool.js';
import type { Session, StoreHandle } from './session.js';
import type { FileStat, ListEntry, ListOptions, StoreStatFs } from './stat.js';
import { type StoreStats, snapshotStats } from './stats.js';
import { statFsOf } from './sync-store.js';

/** Names that one request of `list` fetches. */
const LIST_BATCH = 1024;
/** How often dead threads are looked for. */
const WATCH_MS = 200;
const DRAIN_PAUSE_MS = 1;

export interface RunOptions {
  /** Ends the job's thread. */
  signal?: AbortSignal;
}

export class Store {
  private readonly client: ServiceClient;
  private readonly pool: ServicePool;
  private readonly files = new Set<File>();
  private watch: NodeJS.Timeout | undefined;
  private closing: Promise<void> | undefined;
  private monitor: Monitor | null = null;

  /** @internal Users call `openStore`. */
  constructor(
    private readonly session: Session,
    private readonly device: OpenedDevice,
    threads: number,
  ) {
    this.pool = new ServicePool(session.handle, threads);
    this.client = new ServiceClient(session.arena, session.ring, (requests) => this.pool.serveRequests(requests));
  }

  /** @internal */
  start(): void {
    this.watch = setInterval(() => this.watchThreads(), WATCH_MS);
    this.watch.unref();
  }

  /** @internal */
  async offerMonitor(): Promise<void> {
    this.monitor = await Monitor.start(this.session);
  }

  /** What other threads need to attach: pass it through `workerData` or `postMessage` to `attachStore`. */
  get handle(): StoreHandle {
    this.pool.serveAll();
    return this.session.handle;
  }

  /** Opens a file; flags as `fs.open` has them. ENOENT, EEXIST, EROFS, ENAMETOOLONG, EINVAL. */
  async open(name: string, flags = 'r'): Promise<File> {
    const access = parseFlags(flags);
    this.check('open', name);
    const bytes = encodeName(name, 'open');
    if ((access & Access.Write) !== 0) this.checkWritable('open', name);
    this.pool.serveBackground();
    const { task } = this.session;
    const record = await this.client.call(Operation.Open, [access, task.thread], bytes, (n) => n[0], name);
    const file = new File(this.session, this.client, name, record, (closed) => this.files.delete(closed));
    this.files.add(file);
    return file;
  }

  async stat(name: string): Promise<FileStat> {
    this.check('stat', name);
    const bytes = encodeName(name, 'stat');
    return this.client.call(Operation.Stat, [], bytes, (_n, answer) => decodeJson<FileStat>(answer), name);
  }

  async exists(name: string): Promise<boolean> {
    try {
      await this.stat(name);
      return true;
    } catch (error) {
      if (error instanceof StoreError && error.code === 'ENOENT') return false;
      throw error;
    }
  }

  /** Removes a file; one that is open keeps its blocks until its last close. */
  async unlink(name: string): Promise<void> {
    this.checkWritable('unlink', name);
    await this.client.call(Operation.Unlink, [], encodeName(name, 'unlink'), ignore, name);
  }

  /** Gives a file another name, atomically; a file that had it is unlinked. */
  async rename(from: string, to: string): Promise<void> {
    this.checkWritable('rename', from);
    encodeName(from, 'rename');
    encodeName(to, 'rename');
    await this.client.call(Operation.Rename, [], encodeJson([from, to]), ignore, from);
  }

  /** The files in byte order of their names. */
  async *list(options: ListOptions = {}): AsyncGenerator<ListEntry> {
    let left = options.limit === undefined ? Number.POSITIVE_INFINITY : checkBytes('limit', options.limit);
    const prefix = bounded(options.prefix);
    let after = bounded(options.after);
    while (left > 0) {
      this.check('list');
      const request = encodeJson({ prefix, after, limit: Math.min(LIST_BATCH, left) });
      const batch = await this.client.call(Operation.List, [], request, (_n, answer) =>
        decodeJson<ListEntry[]>(answer),
      );
      yield* batch;
      if (batch.length === 0) return;
      left -= batch.length;
      after = batch[batch.length - 1].name;
    }
  }

  async statfs(): Promise<StoreStatFs> {
    this.check('statfs');
    return statFsOf(this.session);
  }

  /** Every dirty page and all metadata durable. */
  async sync(): Promise<void> {
    this.check('sync');
    if (!this.session.readOnly) await this.client.call(Operation.SyncAll, [], null, ignore);
  }

  stats(): StoreStats {
    return snapshotStats(this.session);
  }

  /**
   * Calls the default export of a module, `(store: SyncStore, data) => result`, on a thread of the store's job pool. `data`
   * and the result are structured clones. Aborting `signal` ends the thread.
   */
  async run<Result = unknown>(moduleUrl: string | URL, data?: unknown, options: RunOptions = {}): Promise<Result> {
    this.check('run');
    if (typeof moduleUrl !== 'string' && !(moduleUrl instanceof URL)) {
      throw invalidArgType('moduleUrl', 'of type string or an instance of URL', moduleUrl);
    }
    this.pool.serveAll();
    return (await this.pool.run(String(moduleUrl), data, options.signal)) as Result;
  }

  /** Drains, makes everything durable, marks the store clean and releases the device. Errors of the last writes reject. */
  close(): Promise<void> {
    this.closing ??= this.finish();
    return this.closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  private async finish(): Promise<void> {
    const { words } = this.session.arena;
    const state = Atomics.compareExchange(words, Header.State, StoreState.Open, StoreState.Closing);
    try {
      await this.client.stop();
      await this.pool.stopJobs();
      await this.quiesce();
      await this.pool.stop(this.session.arena);
      if (state === StoreState.Open && this.session.arena.state !== StoreState.Fenced) {
        unmount(this.session);
      }
    } finally {
      clearInterval(this.watch);
      await this.monitor?.close();
      await this.pool.destroy();
      Atomics.store(words, Header.State, StoreState.Closed);
      this.device.close();
    }
  }

  /** Waits until no other thread is inside an operation: slow paths are marked busy, write hits hold a lock. */
  private async quiesce(): Promise<void> {
    const { arena, task } = this.session;
    const { words, layout } = arena;
    for (let thread = 0; thread < layout.threads; thread++) {
      const at = layout.threadRecords + thread * Thread.Words;
      while (
        thread !== task.thread &&
        Atomics.load(words, at + Thread.State) === ThreadState.Attached &&
        (Atomics.load(words, at + Thread.Busy) !== 0 || holdsAnything(arena, thread)) &&
        arena.state !== StoreState.Fenced
      ) {
        await new Promise((resolve) => setTimeout(resolve, DRAIN_PAUSE_MS));
        reapDeadThreads(arena, task.driver);
      }
    }
  }

  private watchThreads(): void {
    const { arena, task, openFiles, engine } = this.session;
    reapDeadThreads(arena, task.driver);
    if (arena.state !== StoreState.Open) return;
    this.client.failLost();
    for (const slot of openFiles.takeLost()) {
      if (!engine.inodes.put(task, slot)) {
        void this.client.call(Operation.Release, [slot], null, ignore).catch(() => {});
      }
    }
  }

  private check(syscall: string, name?: string): void {
    if (this.closing !== undefined) {
      throw new StoreError('EBADF', { syscall, path: name, detail: 'the store is closed' });
    }
    this.session.checkState(syscall);
  }

  private checkWritable(syscall: string, name: string): void {
    this.check(syscall, name);
    if (this.session.readOnly) throw new StoreError('EROFS', { syscall, path: name });
    this.pool.serveBackground();
  }
}

/** A text that compares with every name as the whole text does: longer than any, and no longer than a request carries. */
function bounded(text: string | undefined): string | undefined {
  if (typeof text !== 'string' || text.length <= MAX_NAME_BYTES + 1) return text;
  const cut = text.slice(0, MAX_NAME_BYTES + 1);
  return /[\ud800-\udbff]$/.test(cut) ? text.slice(0, MAX_NAME_BYTES + 2) : cut;
}

function ignore(): void {}
