/**
 * SQLite's files in a store: a VFS for wa-sqlite, all of it synchronous.
 *
 * Belongs to the thread that attached. A database, its journal and its log are files of the store, under the names that SQLite
 * gives them. Threads that open the same database exclude each other by the locks of its file.
 *
 * 1. `xSync` returns when the file's content, size and name are durable, and `xDelete` with `syncDir` when the name is gone for
 *    good, as SQLite asks of a file system. Both are `datasync`: times need not be durable, and any file's datasync makes all
 *    changes of names durable that had ended before.
 * 2. A temporary file has no name: it is unlinked as soon as it is open.
 * 3. Each thread's SQLite has a memory of its own. The index of a log (WAL), which they must share, is kept in step
 *    (shared-index.ts).
 */
import { randomUUID } from 'node:crypto';
import * as SQLite from '@journeyapps/wa-sqlite';
import { FacadeVFS } from '@journeyapps/wa-sqlite/src/FacadeVFS.js';
import { StoreError, type SyncFile, type SyncStore } from '../../worker.js';
import { DatabaseLock, type LockLevel } from './database-lock.js';
import { SharedIndex, type SqliteModule } from './shared-index.js';

const NAME_BYTES = 255;
/** What a write cut short by a power cut may tear. */
const SECTOR_BYTES = 4096;
/**
 * What SQLite may rely on, and then writes and syncs less. A file never grows on the device before what it grew by was
 * written there; and a write torn by a power cut leaves the bytes beside it as they were, since a block goes out whole.
 */
const CHARACTERISTICS = SQLite.SQLITE_IOCAP_SAFE_APPEND | SQLite.SQLITE_IOCAP_POWERSAFE_OVERWRITE;

const SQLITE_IOERR_SHMLOCK = SQLite.SQLITE_IOERR | (20 << 8);
const SQLITE_IOERR_SHMMAP = SQLite.SQLITE_IOERR | (21 << 8);

interface OpenFile {
  path: string;
  file: SyncFile;
  lock: DatabaseLock;
  /** Of the log, once it is used. */
  index: SharedIndex | undefined;
  /** Unlinked when it is closed. */
  goesWith: string | undefined;
}

export class StoreVfs extends FacadeVFS {
  private readonly files = new Map<number, OpenFile>();
  private readonly pause = new Int32Array(new SharedArrayBuffer(4));

  constructor(
    name: string,
    private readonly module: unknown,
    private readonly store: SyncStore,
  ) {
    super(name, module);
    this.mxPathname = NAME_BYTES;
  }

  jOpen(name: string | null, id: number, flags: number, outFlags: DataView): number {
    return this.guarded(SQLite.SQLITE_CANTOPEN, () => {
      const path = name ?? `temporary/${randomUUID()}`;
      const file = this.openFile(path, name === null ? flags | SQLite.SQLITE_OPEN_CREATE : flags);
      if (name === null) this.store.unlink(path);
      const goes = name !== null && (flags & SQLite.SQLITE_OPEN_DELETEONCLOSE) !== 0;
      this.files.set(id, {
        path,
        file,
        lock: new DatabaseLock(file),
        index: undefined,
        goesWith: goes ? path : undefined,
      });
      outFlags.setInt32(0, flags, true);
      return SQLite.SQLITE_OK;
    });
  }

  jClose(id: number): number {
    return this.guarded(SQLite.SQLITE_IOERR_CLOSE, () => {
      const open = this.files.get(id);
      this.files.delete(id);
      open?.index?.detach(false);
      open?.file.close();
      if (open?.goesWith !== undefined) this.store.unlink(open.goesWith);
      return SQLite.SQLITE_OK;
    });
  }

  jRead(id: number, data: Uint8Array, offset: number): number {
    return this.guarded(SQLite.SQLITE_IOERR_READ, () => {
      // wa-sqlite passes a stand-in for the bytes, which subarray makes real.
      const bytes = data.subarray();
      const { bytesRead } = this.at(id).file.read(bytes, 0, bytes.byteLength, offset);
      if (bytesRead === bytes.byteLength) return SQLite.SQLITE_OK;
      bytes.fill(0, bytesRead);
      return SQLite.SQLITE_IOERR_SHORT_READ;
    });
  }

  jWrite(id: number, data: Uint8Array, offset: number): number {
    return this.guarded(SQLite.SQLITE_IOERR_WRITE, () => {
      const bytes = data.subarray();
      const { file } = this.at(id);
      for (let done = 0; done < bytes.byteLength; ) {
        done += file.write(bytes, done, bytes.byteLength - done, offset + done).bytesWritten;
      }
      return SQLite.SQLITE_OK;
    });
  }

  jTruncate(id: number, size: number): number {
    return this.done(SQLite.SQLITE_IOERR_TRUNCATE, () => this.at(id).file.truncate(size));
  }

  jSync(id: number): number {
    return this.done(SQLite.SQLITE_IOERR_FSYNC, () => this.at(id).file.datasync());
  }

  jFileSize(id: number, size: DataView): number {
    return this.done(SQLite.SQLITE_IOERR_FSTAT, () => size.setBigInt64(0, BigInt(this.at(id).file.stat().size), true));
  }

  jDelete(name: string, syncDirectory: number): number {
    return this.guarded(SQLite.SQLITE_IOERR_DELETE, () => {
      if (!this.store.exists(name)) return SQLite.SQLITE_IOERR_DELETE_NOENT;
      this.store.unlink(name);
      if (syncDirectory !== 0) this.syncNames(name);
      return SQLite.SQLITE_OK;
    });
  }

  jAccess(name: string, _flags: number, out: DataView): number {
    return this.done(SQLite.SQLITE_IOERR_ACCESS, () => out.setInt32(0, this.store.exists(name) ? 1 : 0, true));
  }

  jLock(id: number, level: number): number {
    return this.guarded(SQLite.SQLITE_IOERR_LOCK, () =>
      this.at(id).lock.raise(level as LockLevel) ? SQLite.SQLITE_OK : SQLite.SQLITE_BUSY,
    );
  }

  jUnlock(id: number, level: number): number {
    return this.done(SQLite.SQLITE_IOERR_UNLOCK, () => this.at(id).lock.lower(level as LockLevel));
  }

  jCheckReservedLock(id: number, out: DataView): number {
    return this.done(SQLite.SQLITE_IOERR_CHECKRESERVEDLOCK, () =>
      out.setInt32(0, this.at(id).lock.isReserved() ? 1 : 0, true),
    );
  }

  xShmMap(id: number, region: number, bytes: number, isWanted: number, out: number): number {
    return this.done(SQLITE_IOERR_SHMMAP, () => {
      const open = this.at(id);
      const module = this.module as SqliteModule;
      open.index ??= SharedIndex.attach(this.store, module, open.file, open.path);
      const pointer = open.index.map(region, bytes, isWanted !== 0);
      new DataView(module.HEAPU8.buffer).setUint32(out, pointer, true);
    });
  }

  xShmLock(id: number, first: number, count: number, flags: number): number {
    return this.guarded(SQLITE_IOERR_SHMLOCK, () => {
      const { index } = this.at(id);
      if (index === undefined) return SQLITE_IOERR_SHMLOCK;
      return index.lock(first, count, flags) ? SQLite.SQLITE_OK : SQLite.SQLITE_BUSY;
    });
  }

  xShmBarrier(id: number): void {
    this.done(SQLITE_IOERR_SHMMAP, () => this.at(id).index?.exchange());
  }

  xShmUnmap(id: number, removes: number): number {
    return this.done(SQLITE_IOERR_SHMMAP, () => {
      const open = this.at(id);
      open.index?.detach(removes !== 0);
      open.index = undefined;
    });
  }

  jSectorSize(): number {
    return SECTOR_BYTES;
  }

  jDeviceCharacteristics(): number {
    return CHARACTERISTICS;
  }

  /** What `pragma busy_timeout` sleeps by. */
  xSleep(_vfs: number, micros: number): number {
    Atomics.wait(this.pause, 0, 0, micros / 1000);
    return SQLite.SQLITE_OK;
  }

  /** For wa-sqlite: no method returns a promise. */
  hasAsyncMethod(): boolean {
    return false;
  }

  private openFile(path: string, flags: number): SyncFile {
    if ((flags & SQLite.SQLITE_OPEN_READONLY) !== 0) return this.store.open(path, 'r');
    if ((flags & SQLite.SQLITE_OPEN_CREATE) === 0) return this.store.open(path, 'r+');
    // Another thread may make it, or remove it, between the two calls.
    for (;;) {
      try {
        return this.store.open(path, this.store.exists(path) ? 'r+' : 'wx+');
      } catch (error) {
        if (!hasCode(error, 'ENOENT') && !hasCode(error, 'EEXIST')) throw error;
      }
    }
  }

  /** What was removed is gone for good. A journal goes while its database, which was synced, is open. */
  private syncNames(removed: string): void {
    for (const { path, file } of this.files.values()) {
      if (removed.startsWith(path)) {
        file.datasync();
        return;
      }
    }
    this.store.sync();
  }

  private at(id: number): OpenFile {
    return this.files.get(id) as OpenFile;
  }

  private done(failure: number, call: () => void): number {
    return this.guarded(failure, () => {
      call();
      return SQLite.SQLITE_OK;
    });
  }

  /** What the store refuses is SQLite's error of the method; broken invariants pass through. */
  private guarded(failure: number, call: () => number): number {
    try {
      return call();
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
      return error.code === 'ENOSPC' ? SQLite.SQLITE_FULL : failure;
    }
  }
}

function hasCode(error: unknown, code: string): boolean {
  return error instanceof StoreError && error.code === code;
}
