/**
 * A store, used synchronously by one thread: `SyncStore`. Every thread that attaches has its own.
 */
import { StoreError, withPath } from '../errors.js';
import { truncate } from '../file/truncate.js';
import { sizeOf } from '../inode/inode.js';
import { encodeName, encodePrefix } from '../inode/name-bytes.js';
import { freeBlocks } from '../journal/superblock-page.js';
import { Header } from '../sync/layout.js';
import type { Slot } from '../units.js';
import { Access, checkBytes, parseFlags } from './arguments.js';
import type { Session, StoreHandle } from './session.js';
import { type FileStat, type ListEntry, type ListOptions, type StoreStatFs, statOf } from './stat.js';
import { type StoreStats, snapshotStats } from './stats.js';
import { syncStore } from './sync-all.js';
import { SyncFile } from './sync-file.js';

/** Names that one step of `list` fetches. */
const LIST_BATCH = 256;
const NO_BYTES = new Uint8Array(0);

export class SyncStore {
  private readonly files = new Set<SyncFile>();
  private detached = false;

  /** @internal Users call `attachStore`. */
  constructor(readonly session: Session) {}

  /** What another thread needs to attach too. */
  get handle(): StoreHandle {
    return this.session.handle;
  }

  open(name: string, flags = 'r'): SyncFile {
    const access = parseFlags(flags);
    const record = this.openRecord(name, access);
    const file = new SyncFile(this.session, name, record, (closed) => this.files.delete(closed));
    this.files.add(file);
    return file;
  }

  /** Opens a file and returns its record in the table of open files; `owner` is the thread slot that it is open for. */
  openRecord(name: string, access: number, owner = this.session.task.thread): number {
    this.check('open');
    const { session } = this;
    const bytes = encodeName(name, 'open');
    if ((access & Access.Write) !== 0 && session.readOnly)
      throw new StoreError('EROFS', { syscall: 'open', path: name });
    const record = session.openFiles.claim(owner);
    try {
      const slot = session.run('open', session.namespace.open(session.task, bytes, access));
      session.openFiles.set(record, slot, access);
      if ((access & Access.Truncate) !== 0 && sizeOf(session.arena, slot) > 0) {
        session.run('open', truncate(session.task, session.engine, slot, 0));
      }
      return record;
    } catch (error) {
      const slot = session.openFiles.clear(record);
      if (slot >= 0) this.release(slot as Slot);
      throw withPath(error, 'open', name);
    }
  }

  stat(name: string): FileStat {
    const slot = this.find('stat', name);
    if (slot === 0) throw new StoreError('ENOENT', { syscall: 'stat', path: name });
    try {
      return statOf(this.session, slot);
    } finally {
      this.release(slot);
    }
  }

  exists(name: string): boolean {
    const slot = this.find('access', name);
    if (slot !== 0) this.release(slot);
    return slot !== 0;
  }

  unlink(name: string): void {
    this.change('unlink', name);
    const { session } = this;
    const bytes = encodeName(name, 'unlink');
    this.named('unlink', name, () => session.run('unlink', session.namespace.unlink(session.task, bytes)));
  }

  /** Gives a file another name, atomically; a file that had it is unlinked. */
  rename(from: string, to: string): void {
    this.change('rename', from);
    const { session } = this;
    const [a, b] = [encodeName(from, 'rename'), encodeName(to, 'rename')];
    this.named('rename', from, () => session.run('rename', session.namespace.rename(session.task, a, b)));
  }

  /** The files in byte order of their names. */
  *list(options: ListOptions = {}): Generator<ListEntry> {
    let left = options.limit === undefined ? Number.POSITIVE_INFINITY : checkBytes('limit', options.limit);
    let { after } = options;
    while (left > 0) {
      const batch = this.listBatch(options.prefix, after, Math.min(LIST_BATCH, left));
      yield* batch;
      if (batch.length === 0) return;
      left -= batch.length;
      after = batch[batch.length - 1].name;
    }
  }

  /** Up to `limit` entries in one step. */
  listBatch(prefix: string | undefined, after: string | undefined, limit: number): ListEntry[] {
    this.check('list');
    const { session } = this;
    const prefixBytes = prefix === undefined ? NO_BYTES : encodePrefix(prefix, 'list');
    const afterBytes = after === undefined ? NO_BYTES : encodePrefix(after, 'list', 'after');
    return session.run('list', session.namespace.list(session.task, prefixBytes, afterBytes, limit));
  }

  statfs(): StoreStatFs {
    this.check('statfs');
    return statFsOf(this.session);
  }

  /** Every dirty page and all metadata durable. */
  sync(): void {
    this.check('sync');
    const { session } = this;
    session.run('sync', syncStore(session.task, session.engine));
  }

  stats(): StoreStats {
    return snapshotStats(this.session);
  }

  /** Whether this thread has detached. */
  get closed(): boolean {
    return this.detached;
  }

  /** Detaches this thread: its pins are released, its files closed. The store stays open. */
  close(): void {
    if (this.detached) return;
    this.detached = true;
    this.session.releasePages();
    for (const file of [...this.files]) file.close();
    this.session.detach();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  private find(syscall: string, name: string): Slot {
    this.check(syscall);
    const { session } = this;
    const bytes = encodeName(name, syscall);
    return this.named(syscall, name, () => session.run(syscall, session.namespace.find(session.task, bytes)));
  }

  private release(slot: Slot): void {
    const { session } = this;
    const { inodes } = session.engine;
    if (!inodes.put(session.task, slot)) session.run('close', inodes.release(session.task, slot));
  }

  private named<T>(syscall: string, name: string, call: () => T): T {
    try {
      return call();
    } catch (error) {
      throw withPath(error, syscall, name);
    }
  }

  private check(syscall: string): void {
    if (this.detached) throw new StoreError('EBADF', { syscall, detail: 'the store is closed' });
    this.session.checkState(syscall);
  }

  private change(syscall: string, name: string): void {
    this.check(syscall);
    if (this.session.readOnly) throw new StoreError('EROFS', { syscall, path: name });
  }
}

export function statFsOf(session: Session): StoreStatFs {
  const { unsigned } = session.arena;
  return {
    blockBytes: session.blockBytes,
    blocks: unsigned[Header.Blocks],
    blocksFree: freeBlocks(session.task),
    blocksReserved: unsigned[Header.BlocksReserved],
    files: unsigned[Header.Files],
    dataChecksums: session.allocator.checksums !== null,
  };
}
