/**
 * A damaged store mounted as `openStore` mounts it, in one thread and in memory that is used again and again; and looked
 * over through the synchronous interface: every name, every byte, then changes of all kinds.
 *
 * Whatever happens must be right or a `StoreError`. Anything else (a TypeError, a failed assertion, a sleep from which
 * nobody would wake, reading without an end) is thrown on.
 */
import type { MemoryDevice } from '#dist/src/device/memory-device.js';
import { StoreError } from '#dist/src/errors.js';
import type { Driver } from '#dist/src/routine/task.js';
import { type MountPlan, mount, unmount } from '#dist/src/store/mount.js';
import type { Session, StoreHandle } from '#dist/src/store/session.js';
import { SyncStore } from '#dist/src/store/sync-store.js';
import type { SyncFile } from '#dist/src/worker.js';
import { pattern } from '../support/bytes.js';
import type { Specimen, SpecimenFile } from './specimen.js';

/** Reads of the device that looking over a small store takes, and many more. */
const READS_MAX = 100_000;
/** Pages that are read of a file that is longer than it should be. */
const PAGES_MAX = 64;
/** A sleeper asks for the time five times a second; who works asks more often. */
const ASLEEP_MS = 150;
const SLICES_MAX = 10;

const PLAN: Omit<MountPlan, 'cacheBytes' | 'commitBytes'> = {
  path: 'image',
  minCachePages: 64,
  inodesMin: 32,
  shape: { threads: 4, exclusions: 1024, openFiles: 32, requests: 1 },
  scheme: 'invalidate-lock',
  readOnly: false,
  dirtyRatio: 0.5,
  dirtyExpireMs: 30_000,
  policy: 0,
  verify: false,
  random: () => 0.5,
};

/** The one thread there is: if it sleeps, nobody will wake it. */
class LonelyDriver implements Driver {
  private last = performance.now();
  private slices = 0;

  now(): number {
    const now = performance.now();
    this.slices = now - this.last > ASLEEP_MS ? this.slices + 1 : 0;
    this.last = now;
    if (this.slices > SLICES_MAX) throw new Error('a hang');
    return 1_700_000_000_000 + now;
  }

  random(): number {
    return 0.5;
  }

  wake(): void {}
}

/** What reading a file gave. */
export type Found = { bytes: Uint8Array; size: number } | { error: StoreError };

export class Mounted {
  private static memory: StoreHandle | undefined;
  readonly errors: StoreError[] = [];
  readonly store: SyncStore;
  private readonly session: Session;

  /** Throws what opening throws. The device is written to. */
  constructor(
    readonly specimen: Specimen,
    device: MemoryDevice,
    verify = false,
  ) {
    let reads = 0;
    device.onRead = () => {
      if (++reads > READS_MAX) throw new Error('reading without an end');
      return undefined;
    };
    const cacheBytes = 192 * specimen.blockBytes;
    const commitBytes = 160 * specimen.blockBytes;
    const plan = { ...PLAN, cacheBytes, commitBytes, verify, memory: Mounted.memory };
    this.session = mount(device, null, plan, new LonelyDriver());
    Mounted.memory = this.session.handle;
    this.store = new SyncStore(this.session);
  }

  /** All names, or null where they cannot be listed. */
  list(): string[] | null {
    return this.attempt(() => [...this.store.list()].map(({ name }) => name));
  }

  /** The file's content by name; null where the name does not exist. */
  readFile(name: string): Found | null {
    try {
      if (!this.store.exists(name)) return null;
      const file = this.store.open(name);
      try {
        const { size } = file.stat();
        const bytes = new Uint8Array(Math.min(size, PAGES_MAX * this.specimen.blockBytes));
        const { bytesRead } = file.read(bytes, 0, bytes.length, 0);
        return { bytes: bytes.subarray(0, bytesRead), size };
      } finally {
        file.close();
      }
    } catch (error) {
      return { error: this.note(error) };
    }
  }

  /** Everything that changes something, on whatever is there. */
  change(names: readonly string[], random: () => number): void {
    const { blockBytes } = this.specimen;
    const any = (): string => names[Math.floor(random() * names.length)];
    this.with('made on a damaged store', 'w+', (file) => file.write(pattern(3 * blockBytes), 0, 3 * blockBytes, 0));
    if (names.length > 0) {
      this.with(any(), 'r+', (file) => file.punchHole(blockBytes, 5 * blockBytes));
      this.with(any(), 'r+', (file) => file.write(pattern(blockBytes + 10), 0, blockBytes + 10, 2 * blockBytes + 5));
      this.with(any(), 'r+', (file) => {
        if (file.stat().size > blockBytes) file.collapseRange(0, blockBytes);
      });
      this.with(any(), 'r+', (file) => file.truncate(100));
      this.with(any(), 'r', (file) => file.extents());
      const [from, to, gone] = [any(), any(), any()];
      this.attempt(() => this.store.rename(from, to));
      if (gone !== from) this.attempt(() => this.store.unlink(gone));
    }
    this.attempt(() => this.store.sync());
  }

  /** Durable and marked clean; an error is noted. */
  close(): void {
    this.attempt(() => unmount(this.session));
  }

  private with(name: string, flags: string, act: (file: SyncFile) => void): void {
    this.attempt(() => {
      const file = this.store.open(name, flags);
      try {
        act(file);
      } finally {
        file.close();
      }
    });
  }

  private attempt<T>(call: () => T): T | null {
    try {
      return call();
    } catch (error) {
      this.note(error);
      return null;
    }
  }

  private note(error: unknown): StoreError {
    if (!(error instanceof StoreError)) throw error;
    this.errors.push(error);
    return error;
  }
}

/** What the file's pages should read as: its content, but what the device holds now in its damaged data blocks. */
export function expectedBytes(
  specimen: Specimen,
  file: SpecimenFile,
  device: MemoryDevice,
  damaged: ReadonlySet<number>,
): Uint8Array {
  let { bytes } = file;
  for (const [page, block] of file.pages) {
    if (!damaged.has(block)) continue;
    if (bytes === file.bytes) bytes = bytes.slice();
    const start = page * specimen.blockBytes;
    if (start < bytes.length) bytes.set(specimen.read(device, block).subarray(0, bytes.length - start), start);
  }
  return bytes;
}
