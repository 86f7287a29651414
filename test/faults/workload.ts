/**
 * All file operations in a fixed order, each told to a ledger: what was done, what was promised, and what failed.
 *
 * An operation that fails must have changed nothing that others can see, as long as the store can be written to at all;
 * a write may be short. Where the device takes no more writes, a file may be left between two of its versions.
 */
import { StoreError } from '#dist/src/errors.js';
import type { SyncStore } from '#dist/src/store/sync-store.js';
import type { SyncFile } from '#dist/src/worker.js';
import { pattern } from '../support/bytes.js';
import { Ledger } from './ledger.js';

export class Workload {
  readonly ledger = new Ledger();
  readonly errors: StoreError[] = [];
  private readonly open = new Map<string, SyncFile>();

  constructor(
    private readonly store: SyncStore,
    private readonly blockBytes: number,
    /** Whether the journal takes no more changes; a failed change of before may be half done. */
    private readonly isStopped: () => boolean,
    private readonly checkpoint: () => void,
  ) {}

  run(): void {
    const B = this.blockBytes;
    this.create('a');
    this.create('b');
    this.write('a', 0, 5 * B + 100, 1);
    this.write('b', 3 * B, 4 * B, 2);
    this.sync('a');
    this.write('a', B + 50, 2 * B, 3);
    this.fallocate('b', 10 * B, 6 * B);
    this.write('b', 11 * B, 2 * B, 4);
    this.datasync('b');
    this.punch('a', B / 2, 2 * B);
    this.truncate('b', 12 * B + 10);
    this.syncAll();
    this.evict('a');
    this.read('a');
    this.attempt(() => this.checkpoint());
    this.create('c');
    for (let i = 0; i < 20; i++) this.write('c', 2 * i * B, B, 10 + i);
    this.rename('c', 'd');
    this.sync('d');
    this.evict('d');
    this.write('d', 5 * B + 7, 20, 40);
    this.zero('d', 8 * B, 3 * B);
    this.collapse('d', 4 * B, 2 * B);
    this.insert('d', 6 * B, 3 * B);
    this.sync('d');
    this.unlink('b');
    this.create('e');
    this.write('e', 100, 3 * B, 50);
    this.rename('e', 'a');
    this.syncAll();
    this.write('a', 0, 10, 51);
    this.truncate('a', 0);
    this.write('a', 2 * B, B, 52);
    this.truncate('d', 17 * B + 5);
    this.evict('d');
    this.read('d');
    this.attempt(() => this.checkpoint());
    this.syncAll();
    this.rename('d', 'f');
    this.write('f', 3 * B, 2 * B, 60);
    this.sync('f');
    this.create('g');
    this.write('g', 0, 2 * B, 61);
    this.punch('f', B, 3 * B);
  }

  /** What this session shows is what the ledger has, but for files that failed half-way: all of it can be read. */
  verify(): void {
    const names = [...this.store.list()].map(({ name }) => name);
    if (names.sort().join() !== [...this.ledger.names.keys()].sort().join()) throw new Error(`the names are ${names}`);
    for (const name of names) {
      const found = this.content(name);
      if (!this.ledger.file(name).torn) this.expectContent(name, found);
    }
  }

  /** After a write or a flush that failed nothing is promised any more, to anybody. */
  verifyNoPromise(): void {
    for (const [name, file] of this.open) {
      if (this.attempt(() => file.sync() === undefined)) throw new Error(`'${name}' is said to be durable`);
      if (this.attempt(() => file.datasync() === undefined))
        throw new Error(`the data of '${name}' are said to be durable`);
    }
    if (this.attempt(() => this.store.sync() === undefined)) throw new Error('the store is said to be durable');
  }

  private create(name: string): void {
    const done = this.attempt(() => {
      this.open.set(name, this.store.open(name, 'wx+'));
      return true;
    });
    if (done) this.ledger.create(name);
    else if (this.attempt(() => this.store.exists(name)) === true) {
      throw new Error(`'${name}' was created, and an error thrown`);
    }
  }

  private rename(from: string, to: string): void {
    if (!this.ledger.names.has(from)) return;
    const done = this.attempt(() => {
      this.store.rename(from, to);
      return true;
    });
    if (!done) return;
    this.ledger.move(from, to);
    this.open.get(to)?.close();
    this.open.set(to, this.open.get(from)!);
    this.open.delete(from);
  }

  private unlink(name: string): void {
    if (!this.ledger.names.has(name)) return;
    const done = this.attempt(() => {
      this.store.unlink(name);
      return true;
    });
    if (!done) return;
    this.ledger.unlink(name);
    this.open.get(name)!.close();
    this.open.delete(name);
  }

  private write(name: string, position: number, length: number, seed: number): void {
    const bytes = pattern(length, seed);
    this.change(name, (file, before) => {
      const { bytesWritten } = file.write(bytes, 0, length, position);
      return overlay(before, bytes.subarray(0, bytesWritten), position);
    });
  }

  private truncate(name: string, size: number): void {
    this.change(name, (file, before) => {
      file.truncate(size);
      return overlay(before.slice(0, size), new Uint8Array(0), size);
    });
  }

  private punch(name: string, position: number, length: number): void {
    this.change(name, (file, before) => {
      file.punchHole(position, length);
      return before.slice().fill(0, position, position + length);
    });
  }

  private zero(name: string, position: number, length: number): void {
    this.change(name, (file, before) => {
      file.zeroRange(position, length, { keepSize: true });
      return before.slice().fill(0, position, position + length);
    });
  }

  private fallocate(name: string, position: number, length: number): void {
    this.change(name, (file, before) => {
      file.fallocate(position, length);
      return overlay(before, new Uint8Array(0), Math.max(before.length, position + length));
    });
  }

  private collapse(name: string, position: number, length: number): void {
    this.change(
      name,
      (file, before) => {
        file.collapseRange(position, length);
        return Buffer.concat([before.subarray(0, position), before.subarray(position + length)]);
      },
      true,
    );
  }

  private insert(name: string, position: number, length: number): void {
    this.change(
      name,
      (file, before) => {
        file.insertRange(position, length);
        return Buffer.concat([before.subarray(0, position), new Uint8Array(length), before.subarray(position)]);
      },
      true,
    );
  }

  private sync(name: string): void {
    if (this.with(name, (file) => file.sync())) this.ledger.promise(name);
  }

  private datasync(name: string): void {
    if (this.with(name, (file) => file.datasync())) this.ledger.promise(name);
  }

  private syncAll(): void {
    const done = this.attempt(() => {
      this.store.sync();
      return true;
    });
    if (done) this.ledger.promiseAll();
  }

  private evict(name: string): void {
    this.with(name, (file) => file.advise('dontneed'));
  }

  private read(name: string): void {
    if (!this.ledger.names.has(name)) return;
    const found = this.attempt(() => this.content(name));
    // A change that stopped the journal may be half done.
    if (found === undefined || this.ledger.file(name).torn) return;
    this.expectContent(name, found);
  }

  private expectContent(name: string, found: Uint8Array): void {
    const expected = this.ledger.content(name);
    if (Buffer.compare(found, expected) === 0) return;
    const at = found.findIndex((byte, i) => byte !== expected[i]);
    const page = at / this.blockBytes;
    throw new Error(
      `'${name}', ${found.length} bytes of ${expected.length}: page ${page} is ${found[at]}, not ${expected[at]}`,
    );
  }

  private content(name: string): Uint8Array {
    return readAll(this.open.get(name)!);
  }

  /** A failed operation has changed nothing, as this session shows it; where it may be half done, the ledger says so. */
  private change(name: string, act: (file: SyncFile, before: Uint8Array) => Uint8Array, shifts = false): void {
    const file = this.open.get(name);
    if (file === undefined || !this.ledger.names.has(name)) return;
    const before = this.ledger.content(name);
    const wasStopped = this.isStopped();
    const after = this.attempt(() => act(file, before));
    if (after !== undefined) this.ledger.change(name, after, shifts);
    else if (!wasStopped && this.isStopped()) this.ledger.file(name).torn = true;
  }

  private with(name: string, act: (file: SyncFile) => void): boolean {
    const file = this.open.get(name);
    if (file === undefined || !this.ledger.names.has(name)) return false;
    return (
      this.attempt(() => {
        act(file);
        return true;
      }) === true
    );
  }

  private attempt<T>(call: () => T): T | undefined {
    try {
      return call();
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
      this.errors.push(error);
      return undefined;
    }
  }
}

/** What every file of the store holds. */
export function readStore(store: SyncStore): Map<string, Uint8Array> {
  const found = new Map<string, Uint8Array>();
  for (const { name } of store.list()) {
    const file = store.open(name);
    found.set(name, readAll(file));
    file.close();
  }
  return found;
}

/** A read that meets an error after some bytes is short; the next one throws. */
function readAll(file: SyncFile): Uint8Array {
  const bytes = new Uint8Array(file.stat().size);
  for (let at = 0; at < bytes.length; ) {
    const { bytesRead } = file.read(bytes, at, bytes.length - at, at);
    if (bytesRead === 0) throw new Error(`reading ended at ${at} of ${bytes.length} bytes`);
    at += bytesRead;
  }
  return bytes;
}

/** `before` with `bytes` at `position`, zeros between. */
function overlay(before: Uint8Array, bytes: Uint8Array, position: number): Uint8Array {
  const whole = new Uint8Array(Math.max(before.length, position + bytes.length));
  whole.set(before);
  whole.set(bytes, position);
  return whole;
}
