/**
 * The index of a write-ahead log, which SQLite keeps in shared memory, for connections whose memories are apart.
 *
 * Each connection has a copy in its own WebAssembly memory. The index itself is a file of the store, NAME-shm: its first block
 * holds a version, its regions follow. At every lock, unlock and barrier a connection *exchanges*: what it changed since the
 * last time goes into the file, what others changed comes out of it. SQLite expects no more of shared memory: whatever it has
 * read there counts only if it is still so after a barrier or a lock, and whatever must be seen is followed by one.
 *
 * 1. Exchanges are one at a time (Lane.Exchange of the database). So a connection's copy is the index as it was at one moment,
 *    with its own changes: a header never comes without the hash tables and read marks that went before it.
 * 2. Only words that the connection changed are written. What is not its business stays as others left it.
 * 3. Words go out from the last to the first: a thread that dies in the midst leaves a header that does not match its
 *    copy, as SQLite expects of a process that dies, and who comes next builds the index anew from the log.
 * 4. SQLite's eight locks are the eight lanes of NAME-shm, taken before an exchange and given back after one.
 * 5. Who attaches while nobody is attached (Lane.Attached) empties the file: an index of an earlier time says nothing.
 */
import type { SyncFile, SyncStore } from '../../worker.js';

/** Lanes of the database's file, above those of database-lock.ts. */
const enum Lane {
  Exchange = 3,
  Attached = 4,
}

/** Of xShmLock. */
const enum ShmFlag {
  Unlock = 1,
  Lock = 2,
  Shared = 4,
  Exclusive = 8,
}

/** The version is alone in its block. */
const HEADER_BYTES = 4096;
const RETRY_MS = 0.02;

/** What the index needs of a loaded wa-sqlite. */
export interface SqliteModule {
  readonly HEAPU8: Uint8Array;
  _sqlite3_malloc(bytes: number): number;
  _sqlite3_free(pointer: number): void;
}

interface Region {
  /** Where the copy is in SQLite's memory. */
  pointer: number;
  /** The file's content as of the last exchange. */
  known: Int32Array;
}

export class SharedIndex {
  private readonly regions: Region[] = [];
  private readonly version = new Int32Array(1);
  private readonly versionBytes = new Uint8Array(this.version.buffer);
  private readonly pause = new Int32Array(new SharedArrayBuffer(4));
  private seen = 0;
  private regionBytes = 0;

  private constructor(
    private readonly store: SyncStore,
    private readonly module: SqliteModule,
    private readonly database: SyncFile,
    private readonly name: string,
    private file: SyncFile,
  ) {}

  /** Joins the connections of the database that `database` is open on, at `path`. */
  static attach(store: SyncStore, module: SqliteModule, database: SyncFile, path: string): SharedIndex {
    const name = `${path}-shm`;
    const index = new SharedIndex(store, module, database, name, database);
    index.exclusively(() => {
      index.file = store.open(name, store.exists(name) ? 'r+' : 'wx+');
      if (!database.isLocked(Lane.Attached)) index.file.truncate(HEADER_BYTES);
      database.tryLock(Lane.Attached, 'shared');
    });
    return index;
  }

  /** Where region `number` is in SQLite's memory; 0: there is none yet, and none is wanted. */
  map(number: number, bytes: number, isWanted: boolean): number {
    this.regionBytes = bytes;
    const end = HEADER_BYTES + (number + 1) * bytes;
    if (this.regions[number] === undefined) {
      const isThere = this.exclusively(() => {
        if (this.file.stat().size >= end) return true;
        if (isWanted) this.file.truncate(end);
        return isWanted;
      });
      if (!isThere) return 0;
      while (this.regions.length <= number) this.addRegion();
    }
    return this.regions[number].pointer;
  }

  /** False: somebody has one of the locks. */
  lock(first: number, count: number, flags: number): boolean {
    const isExclusive = (flags & ShmFlag.Exclusive) !== 0;
    if ((flags & ShmFlag.Unlock) !== 0) {
      if (isExclusive) this.exchange();
      for (let lane = first; lane < first + count; lane++) this.file.unlock(lane);
      return true;
    }
    for (let lane = first; lane < first + count; lane++) {
      if (this.file.tryLock(lane, isExclusive ? 'exclusive' : 'shared')) continue;
      while (--lane >= first) this.file.unlock(lane);
      return false;
    }
    this.exchange();
    return true;
  }

  exchange(): void {
    if (this.regions.length > 0) this.exclusively(() => this.exchangeLocked());
  }

  /** Leaves the others; the last one may remove the file. */
  detach(removes: boolean): void {
    this.exclusively(() => {
      this.exchangeLocked();
      this.database.unlock(Lane.Attached);
      if (removes && !this.database.isLocked(Lane.Attached) && this.store.exists(this.name))
        this.store.unlink(this.name);
    });
    this.file.close();
    for (const { pointer } of this.regions) this.module._sqlite3_free(pointer);
    this.regions.length = 0;
  }

  private addRegion(): void {
    const pointer = this.module._sqlite3_malloc(this.regionBytes);
    this.regions.push({ pointer, known: new Int32Array(this.regionBytes / 4) });
    const region = this.regions.length - 1;
    this.exclusively(() => this.read(region));
    this.copyOf(region).set(this.regions[region].known);
  }

  private exchangeLocked(): void {
    this.file.read(this.versionBytes, 0, 4, 0);
    const isNews = this.version[0] !== this.seen;
    let isChanged = false;
    for (let region = this.regions.length - 1; region >= 0; region--) {
      if (isNews) this.merge(region);
      if (this.writeChanges(region)) isChanged = true;
    }
    if (isChanged) {
      this.version[0] = (this.version[0] + 1) | 0;
      this.file.write(this.versionBytes, 0, 4, 0);
    }
    this.seen = this.version[0];
  }

  /** Takes over what others changed, and keeps what this connection did. */
  private merge(region: number): void {
    const copy = this.copyOf(region);
    const { known } = this.regions[region];
    const before = known.slice();
    this.read(region);
    for (let i = 0; i < copy.length; i++) if (copy[i] === before[i]) copy[i] = known[i];
  }

  /** Writes the words that this connection changed; false: none. */
  private writeChanges(region: number): boolean {
    const copy = this.copyOf(region);
    const { known } = this.regions[region];
    let isChanged = false;
    for (let end = copy.length; end > 0; end--) {
      if (copy[end - 1] === known[end - 1]) continue;
      let from = end - 1;
      while (from > 0 && copy[from - 1] !== known[from - 1]) from -= 1;
      known.set(copy.subarray(from, end), from);
      this.file.write(bytesOf(known), from * 4, (end - from) * 4, this.positionOf(region) + from * 4);
      isChanged = true;
      end = from + 1;
    }
    return isChanged;
  }

  private read(region: number): void {
    const { known } = this.regions[region];
    this.file.read(bytesOf(known), 0, known.byteLength, this.positionOf(region));
  }

  private positionOf(region: number): number {
    return HEADER_BYTES + region * this.regionBytes;
  }

  /** SQLite's memory moves when it grows. */
  private copyOf(region: number): Int32Array {
    return new Int32Array(this.module.HEAPU8.buffer, this.regions[region].pointer, this.regionBytes / 4);
  }

  /** Holders are gone within microseconds, and the dead are found out by who is refused. */
  private exclusively<T>(call: () => T): T {
    while (!this.database.tryLock(Lane.Exchange, 'exclusive')) {
      Atomics.wait(this.pause, 0, 0, RETRY_MS * (1 + Math.random()));
    }
    try {
      return call();
    } finally {
      this.database.unlock(Lane.Exchange);
    }
  }
}

function bytesOf(words: Int32Array): Uint8Array {
  return new Uint8Array(words.buffer, words.byteOffset, words.byteLength);
}
