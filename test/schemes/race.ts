/**
 * The two races between filling the cache and invalidating it, as scripts over a store: a device with room for little, the
 * victim's file on it, and threads that are held at the points where it matters.
 */
import { expect } from 'vitest';
import { checkStore, createStore, openStore, type Store } from '#dist/src/index.js';
import type { PointName } from '#dist/src/routine/points.js';
import { Arena } from '#dist/src/sync/arena.js';
import { arrivedAt, holdPoint, releasePoint } from '#dist/src/sync/gates.js';
import { Inode, Rwsem } from '#dist/src/sync/layout.js';
import { attachStore, type SyncStore } from '#dist/src/worker.js';
import { lockReport } from '../support/lock-report.js';
import { RemoteThread } from '../support/remote-thread.js';

export const BLOCK = 4096;
const DEVICE_BLOCKS = 512;
/** Blocks of the victim's file, and the hole that is punched into it. */
export const VICTIM_BLOCKS = 32;
export const HOLE = { first: 8, blocks: 4 };
const STEP_MS = 10_000;

export const OLD = 0x4f; // 'O', what the victim's file holds
export const NEIGHBOUR = 0x4e; // 'N', what the neighbour writes into the blocks that it gets

/** One store and the threads that meet in it; each repetition has a victim of its own. */
export class Race {
  private repetitions = 0;

  private constructor(
    readonly image: string,
    readonly store: Store,
    readonly sync: SyncStore,
    readonly puncher: RemoteThread,
    readonly reader: RemoteThread,
    private readonly arena: Arena,
  ) {}

  static async start(image: string, scheme: string): Promise<Race> {
    await createStore(image, { sizeBytes: DEVICE_BLOCKS * BLOCK });
    const store = await openStore(image, {
      scheme,
      unsafe: true,
      cacheBytes: 2 * DEVICE_BLOCKS * BLOCK,
      threads: 2,
      verify: true,
    });
    const [puncher, reader] = await Promise.all([RemoteThread.start(store.handle), RemoteThread.start(store.handle)]);
    const arena = new Arena(store.handle.arena, store.handle.layout);
    return new Race(image, store, attachStore(store.handle), puncher, reader, arena);
  }

  /** A new victim, on the device and out of the cache, open in both threads. */
  async prepare(): Promise<void> {
    const { sync } = this;
    for (const name of ['neighbour', this.victim]) if (sync.exists(name)) sync.unlink(name);
    this.repetitions += 1;
    sync.open('neighbour', 'w').close();
    const file = sync.open(this.victim, 'w+');
    file.write(new Uint8Array(VICTIM_BLOCKS * BLOCK).fill(OLD), 0, VICTIM_BLOCKS * BLOCK, 0);
    file.sync();
    file.advise('dontneed');
    file.close();
    sync.sync();
    for (const thread of [this.puncher, this.reader]) {
      await thread.run(({ store, keep }, name) => {
        keep.file?.close();
        keep.file = store.open(name, 'r+');
        keep.file.advise('random');
      }, this.victim);
    }
  }

  private get victim(): string {
    return `victim-${this.repetitions}`;
  }

  hold(point: PointName): void {
    holdPoint(this.arena, point);
  }

  release(point: PointName): void {
    releasePoint(this.arena, point);
  }

  async arrived(point: PointName): Promise<void> {
    await this.until(() => arrivedAt(this.arena, point) > 0, `a thread at ${point}`);
  }

  /** Resolves once somebody queues for a lock of an inode. */
  async queued(): Promise<void> {
    const { words, layout } = this.arena;
    const isQueued = (): boolean => {
      for (let slot = 1; slot < layout.inodes; slot++) {
        const at = layout.inodeRecords + slot * Inode.Words;
        if (words[at + Inode.InvalidateLock + Rwsem.WaitHead] !== 0) return true;
        if (words[at + Inode.IRwsem + Rwsem.WaitHead] !== 0) return true;
      }
      return false;
    };
    await this.until(isQueued, 'a thread that waits for a lock');
  }

  hasArrived(point: PointName): boolean {
    return arrivedAt(this.arena, point) > 0;
  }

  punch(): Promise<void> {
    return this.puncher.run(
      ({ keep }, position, length) => keep.file.punchHole(position, length),
      HOLE.first * BLOCK,
      HOLE.blocks * BLOCK,
    );
  }

  /** Every different byte of the first page of the hole, as the reading thread finds it. */
  read(): Promise<number[]> {
    const job = ({ keep }: { keep: { file: RemoteFile } }, position: number, length: number): number[] => {
      const bytes = new Uint8Array(length);
      keep.file.read(bytes, 0, length, position);
      return [...new Set(bytes)];
    };
    return this.reader.run(job, HOLE.first * BLOCK, BLOCK);
  }

  /** Where the first page of the hole lies on the device, while it is still mapped. */
  devicePosition(): number {
    const file = this.sync.open(this.victim);
    const extent = file
      .extents()
      .find(({ position, length }) => position <= HOLE.first * BLOCK && HOLE.first * BLOCK < position + length);
    file.close();
    expect(extent).toBeDefined();
    return extent!.devicePosition + HOLE.first * BLOCK - extent!.position;
  }

  /**
   * Another file takes the freed block for its first page, and has it on the device. The file is there already, and told to
   * look for blocks there first; one page is all that it asks for, so that the freed block is what it gets however short the
   * free run is there. (Four pages at once went elsewhere when the block was the last of the device's data; later the
   * extent tree of the neighbour, by then in many pieces, took it.)
   */
  async occupy(devicePosition: number): Promise<void> {
    this.sync.sync();
    // The commit may have been the background thread's, which then releases the freed blocks in its own time.
    await this.until(() => this.store.stats().allocator.blocksQuarantined === 0, 'the release of the freed blocks');
    using file = this.sync.open('neighbour', 'r+');
    this.aim(file.stat().ino, devicePosition / BLOCK);
    file.write(new Uint8Array(BLOCK).fill(NEIGHBOUR), 0, BLOCK, 0);
    file.sync();
    expect(file.extents()).toEqual([{ position: 0, devicePosition, length: BLOCK, unwritten: false }]);
  }

  /** Where the allocator begins to look for that inode's first blocks. */
  private aim(ino: number, block: number): void {
    const { unsigned, layout } = this.arena;
    for (let slot = 1; slot < layout.inodes; slot++) {
      const at = layout.inodeRecords + slot * Inode.Words;
      if (unsigned[at + Inode.Ino] === ino) unsigned[at + Inode.Goal] = block;
    }
  }

  /** Every different byte of the neighbour's page, read from the device. */
  neighbour(): number[] {
    const file = this.sync.open('neighbour');
    file.advise('dontneed');
    const bytes = new Uint8Array(BLOCK);
    file.read(bytes, 0, BLOCK, 0);
    file.close();
    return [...new Set(bytes)];
  }

  async finish(): Promise<void> {
    await Promise.all([this.puncher.close(), this.reader.close()]);
    this.sync.close();
    await this.store.close();
    expect(await checkStore(this.image)).toMatchObject({ clean: true, errors: [] });
  }

  private async until(condition: () => boolean, what: string): Promise<void> {
    const end = Date.now() + STEP_MS;
    while (!condition()) {
      if (Date.now() > end) throw new Error(`${what} was waited for in vain\n  ${lockReport(this.arena)}`);
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
  }
}

interface RemoteFile {
  read(bytes: Uint8Array, offset: number, length: number, position: number): unknown;
}
