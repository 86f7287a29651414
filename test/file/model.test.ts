/**
 * Random operations on two files against plain byte arrays: every byte and every size, under both safe schemes, several
 * block sizes, and a cache so small that pages come and go. The hit paths are tried first, as the store does.
 * FILE_MODEL_SEED replays a run, FILE_MODEL_STEPS makes it longer.
 */
import { describe, expect, it } from 'vitest';
import type { StoreError } from '#dist/src/errors.js';
import { advise, readAhead } from '#dist/src/file/advise.js';
import { fallocate } from '#dist/src/file/allocate.js';
import { isCurrent, type PagePin, pin, releasePin } from '#dist/src/file/pin.js';
import { punchHole, zeroRange } from '#dist/src/file/punch.js';
import { read } from '#dist/src/file/read.js';
import { extentsOf, nextData, nextHole } from '#dist/src/file/seek.js';
import { collapseRange, insertRange } from '#dist/src/file/shift.js';
import { datasync, sync } from '#dist/src/file/sync.js';
import { truncate } from '#dist/src/file/truncate.js';
import { APPEND, write } from '#dist/src/file/write.js';
import { sizeOf } from '#dist/src/inode/inode.js';
import type { SchemeName } from '#dist/src/locking/scheme.js';
import type { ReadaheadState } from '#dist/src/pagecache/readahead.js';
import type { Routine } from '#dist/src/routine/effect.js';
import type { Slot } from '#dist/src/units.js';
import { expectBytes, FileWorld } from '../support/file-world.js';

const SEED = Number(process.env.FILE_MODEL_SEED ?? Math.floor(Math.random() * 2 ** 31));
const STEPS = Number(process.env.FILE_MODEL_STEPS ?? 1500);

/** What is left on a device that is to be full most of the time. */
const TIGHT_PAGES = 16;

class Random {
  constructor(private state: number) {}

  next(): number {
    this.state = (this.state + 0x6d2b79f5) | 0;
    let t = Math.imul(this.state ^ (this.state >>> 15), 1 | this.state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  }

  below(n: number): number {
    return Math.floor(this.next() * n);
  }
}

interface File {
  slot: Slot;
  bytes: Uint8Array;
  size: number;
  readahead: ReadaheadState;
  pins: { pin: PagePin; page: number }[];
}

class Model {
  readonly world: FileWorld;
  readonly files: File[] = [];
  readonly maxBytes: number;
  readonly log: string[] = [];
  readonly isTight: boolean;
  refusals = 0;
  private readonly windows: Routine<void>[] = [];

  constructor(
    readonly random: Random,
    scheme: SchemeName,
    readonly blockBytes: number,
    frames: number,
    pages: number,
    blocks: number,
    dataChecksums: boolean,
  ) {
    this.world = new FileWorld({ scheme, blockBytes, frames, blocks, dataChecksums });
    this.maxBytes = pages * blockBytes;
    this.isTight = blocks < 2 * pages;
    this.world.engine.requestReadahead = (slot, first, count, marker) => {
      this.windows.push(readAhead(this.world.task, this.world.engine, slot, first, count, marker));
    };
    for (let i = 0; i < 2; i++) {
      const bytes = new Uint8Array(2 * this.maxBytes);
      this.files.push({ slot: this.world.create(), bytes, size: 0, readahead: this.world.readahead(), pins: [] });
    }
    if (this.isTight) this.leave(TIGHT_PAGES);
  }

  step(): void {
    const { random } = this;
    const file = this.files[random.below(this.files.length)];
    const operation = OPERATIONS[random.below(OPERATIONS.length)];
    operation.call(this, file);
    for (const window of this.windows.splice(0)) this.world.run(window);
    expect(sizeOf(this.world.arena, file.slot)).toBe(file.size);
  }

  position(limit: number): number {
    const { random, blockBytes } = this;
    const at = random.below(limit + 1);
    return random.below(3) === 0 ? at - (at % blockBytes) : at;
  }

  length(): number {
    const { random, blockBytes } = this;
    const scale = random.below(4);
    if (scale === 0) return 1 + random.below(100);
    if (scale === 1) return blockBytes * (1 + random.below(4));
    return 1 + random.below(blockBytes * 6);
  }

  /** Fills the device with another file, but for so many pages. */
  leave(pages: number): void {
    const { world, blockBytes } = this;
    const ballast = world.create();
    const bytes = new Uint8Array(world.device.sizeBytes);
    const n = world.run(write(world.task, world.engine, ballast, bytes, 0, bytes.length, 0));
    world.run(truncate(world.task, world.engine, ballast, n - pages * blockBytes));
    world.sync();
  }

  /** Null when there is no space left, in a world where that may be. */
  unlessFull<T>(operation: Routine<T>): T | null {
    try {
      return this.world.run(operation);
    } catch (error) {
      if (!this.isTight || (error as StoreError).code !== 'ENOSPC') throw error;
      this.refusals++;
      return null;
    }
  }

  note(what: string, file: File, ...numbers: unknown[]): void {
    this.log.push(`${what} file ${this.files.indexOf(file)} of ${file.size}: ${numbers.join(' ')}`);
  }

  write(file: File): void {
    const { world, random } = this;
    const isAppend = random.below(4) === 0;
    const position = isAppend ? file.size : this.position(Math.min(file.size + 3 * this.blockBytes, this.maxBytes));
    const length = Math.min(this.length(), 2 * this.maxBytes - position);
    if (position + length > this.maxBytes) return;
    this.note(isAppend ? 'append' : 'write', file, position, length);
    const source = new Uint8Array(length + 8);
    const seed = random.below(256);
    for (let i = 0; i < source.length; i++) source[i] = (seed + i * 31 + (i >> 7)) | 1;
    let n = world.hot.writeHit(world.task, file.slot, source, 8, length, position);
    if (n === -1) {
      const at = isAppend ? APPEND : position;
      n = this.unlessFull(write(world.task, world.engine, file.slot, source, 8, length, at)) ?? 0;
    }
    if (!this.isTight) expect(n).toBe(length);
    if (n === 0) return;
    file.bytes.set(source.subarray(8, 8 + n), position);
    file.size = Math.max(file.size, position + n);
  }

  read(file: File): void {
    const position = this.position(file.size + this.blockBytes);
    const length = this.random.below(10) === 0 ? 20 * this.blockBytes : this.length();
    this.note('read', file, position, length);
    this.checkRead(file, position, length);
  }

  checkRead(file: File, position: number, length: number): void {
    const { world } = this;
    const target = new Uint8Array(length + 4);
    let n = Math.max(0, world.hot.readHit(world.task, file.slot, target, 4, length, position));
    if (n < length) {
      const { readahead } = file;
      n += world.run(read(world.task, world.engine, file.slot, readahead, target, 4 + n, length - n, position + n));
    }
    const expected = file.bytes.subarray(position, Math.max(position, Math.min(position + length, file.size)));
    expect(n).toBe(expected.length);
    if (Buffer.compare(target.subarray(4, 4 + n), expected) !== 0) {
      const at = expected.findIndex((byte, i) => byte !== target[4 + i]);
      const bad = position + at;
      throw new Error(
        `byte ${bad} (page ${Math.floor(bad / this.blockBytes)} + ${bad % this.blockBytes}) is ${target[4 + at]}, not ${expected[at]}`,
      );
    }
  }

  truncate(file: File): void {
    const size = this.position(Math.min(file.size + 4 * this.blockBytes, this.maxBytes));
    this.note('truncate', file, size);
    this.world.run(truncate(this.world.task, this.world.engine, file.slot, size));
    file.bytes.fill(0, size);
    file.size = size;
  }

  punch(file: File): void {
    const position = this.position(file.size + this.blockBytes);
    const length = this.length();
    this.note('punch', file, position, length);
    this.world.run(punchHole(this.world.task, this.world.engine, file.slot, position, length));
    file.bytes.fill(0, position, Math.min(position + length, file.size));
    if (this.random.below(4) === 0) this.checkBlocks(file);
  }

  zero(file: File): void {
    const position = this.position(Math.min(file.size + this.blockBytes, this.maxBytes - 1));
    const length = Math.min(this.length(), this.maxBytes - position);
    const keepSize = this.random.below(2) === 0;
    this.note('zero', file, position, length, keepSize);
    const { world } = this;
    if (this.unlessFull(zeroRange(world.task, world.engine, file.slot, position, length, keepSize)) === null) return;
    if (!keepSize) file.size = Math.max(file.size, position + length);
    file.bytes.fill(0, position, Math.min(position + length, file.size));
  }

  fallocate(file: File): void {
    const position = this.position(Math.min(file.size + this.blockBytes, this.maxBytes - 1));
    const length = Math.min(this.length(), this.maxBytes - position);
    const keepSize = this.random.below(2) === 0;
    this.note('fallocate', file, position, length, keepSize);
    const { world } = this;
    if (this.unlessFull(fallocate(world.task, world.engine, file.slot, position, length, keepSize)) === null) return;
    if (!keepSize) file.size = Math.max(file.size, position + length);
  }

  collapse(file: File): void {
    const { blockBytes, random, world } = this;
    const position = blockBytes * random.below(file.size / blockBytes + 1);
    const length = blockBytes * (1 + random.below(4));
    this.note('collapse', file, position, length);
    const operation = collapseRange(world.task, world.engine, file.slot, position, length);
    if (position + length >= file.size) {
      expect(() => world.run(operation)).toThrow(expect.objectContaining({ code: 'EINVAL' }));
      return;
    }
    world.run(operation);
    file.bytes.copyWithin(position, position + length, file.size);
    file.bytes.fill(0, file.size - length, file.size);
    file.size -= length;
  }

  insert(file: File): void {
    const { blockBytes, random, world } = this;
    const position = blockBytes * random.below(file.size / blockBytes + 1);
    const length = blockBytes * (1 + random.below(4));
    if (file.size + length > this.maxBytes) return;
    this.note('insert', file, position, length);
    const operation = insertRange(world.task, world.engine, file.slot, position, length);
    if (position >= file.size) {
      expect(() => world.run(operation)).toThrow(expect.objectContaining({ code: 'EINVAL' }));
      return;
    }
    world.run(operation);
    file.bytes.copyWithin(position + length, position, file.size);
    file.bytes.fill(0, position, position + length);
    file.size += length;
  }

  sync(file: File): void {
    const { world } = this;
    this.note('sync', file);
    const operation = this.random.below(2) === 0 ? sync : datasync;
    world.run(operation(world.task, world.engine, file.slot, world.cursor(file.slot)));
  }

  advise(file: File): void {
    const { world, random } = this;
    const advice = (['normal', 'sequential', 'random', 'willneed', 'dontneed'] as const)[random.below(5)];
    const position = this.position(file.size);
    const length = random.below(3) === 0 ? 0 : this.length();
    this.note(`advise ${advice}`, file, position, length);
    world.run(advise(world.task, world.engine, file.slot, file.readahead, advice, position, length));
  }

  pinRead(file: File): void {
    if (file.size === 0) return;
    const { world, blockBytes } = this;
    const position = this.random.below(2) === 0 ? file.size - 1 : this.random.below(file.size);
    this.note('pin', file, position);
    const pinned = world.run(pin(world.task, world.engine, file.slot, position, false));
    const start = position - (position % blockBytes);
    expect(pinned.positionBytes).toBe(start);
    expect(isCurrent(world.engine, pinned)).toBe(true);
    const end = Math.min(start + blockBytes, file.size);
    // Behind the end of the file a page is zeros: whoever pins it sees nothing of what the frame held before.
    const expected = new Uint8Array(blockBytes);
    expected.set(file.bytes.subarray(start, end));
    expectBytes(pinned.bytes, expected);
    world.run(releasePin(world.task, world.engine, pinned));
  }

  /** Dirties the whole page, behind the end of the file as well, where nothing of it may ever be seen. */
  pinWrite(file: File): void {
    if (file.size === 0) return;
    const { world, blockBytes, random } = this;
    const position = random.below(file.size);
    this.note('pin for writing', file, position);
    const pinned = this.unlessFull(pin(world.task, world.engine, file.slot, position, true));
    if (pinned === null) return;
    if (random.below(2) === 0) world.evict(file.slot);
    const start = position - (position % blockBytes);
    const byte = 1 + random.below(255);
    pinned.bytes.fill(byte, position % blockBytes);
    if (random.below(8) === 0) world.evict(file.slot);
    world.run(releasePin(world.task, world.engine, pinned));
    file.bytes.fill(byte, position, Math.min(start + blockBytes, file.size));
  }

  evict(file: File): void {
    this.note('evict', file);
    this.world.evict(file.slot);
  }

  /** What is called a hole reads as zeros, and the answers take turns. */
  seek(file: File): void {
    if (file.size === 0) return;
    const { world } = this;
    this.note('seek', file);
    for (let at = 0; at < file.size; ) {
      let data = file.size;
      try {
        data = world.run(nextData(world.task, world.engine, file.slot, at));
      } catch (error) {
        expect((error as StoreError).code).toBe('ENXIO');
      }
      expect(file.bytes.subarray(at, data).every((byte) => byte === 0)).toBe(true);
      if (data >= file.size) break;
      at = world.run(nextHole(world.task, world.engine, file.slot, data));
      expect(at).toBeGreaterThan(data);
    }
  }

  checkBlocks(file: File): void {
    const { world, blockBytes } = this;
    const list = world.run(extentsOf(world.task, world.engine, file.slot));
    let blocks = 0;
    let end = 0;
    for (const extent of list) {
      expect(extent.position).toBeGreaterThanOrEqual(end);
      end = extent.position + extent.length;
      blocks += extent.length / blockBytes;
      if (!extent.unwritten) continue;
      const zeros = file.bytes.subarray(extent.position, Math.min(end, file.size));
      expect(zeros.every((byte) => byte === 0)).toBe(true);
    }
    expect(world.blocksOf(file.slot)).toBe(blocks);
  }

  checkAll(): void {
    for (const file of this.files) {
      for (let at = 0; at < file.size; at += 7 * this.blockBytes) this.checkRead(file, at, 7 * this.blockBytes);
    }
  }
}

const OPERATIONS = [
  Model.prototype.write,
  Model.prototype.write,
  Model.prototype.write,
  Model.prototype.write,
  Model.prototype.read,
  Model.prototype.read,
  Model.prototype.read,
  Model.prototype.truncate,
  Model.prototype.punch,
  Model.prototype.punch,
  Model.prototype.zero,
  Model.prototype.fallocate,
  Model.prototype.collapse,
  Model.prototype.insert,
  Model.prototype.sync,
  Model.prototype.advise,
  Model.prototype.pinRead,
  Model.prototype.pinWrite,
  Model.prototype.evict,
  Model.prototype.seek,
];

interface Shape {
  scheme: SchemeName;
  blockBytes: number;
  frames: number;
  /** Of the larger of two files, about. */
  pages: number;
  blocks?: number;
  dataChecksums?: boolean;
}

function runModel(shape: Shape, seed: number): Model {
  const { scheme, blockBytes, frames, pages, blocks = 4 * pages + 256, dataChecksums = false } = shape;
  const model = new Model(new Random(seed), scheme, blockBytes, frames, pages, blocks, dataChecksums);
  try {
    for (let i = 0; i < STEPS; i++) model.step();
    model.checkAll();
    model.world.sync();
    expect(model.world.blocksReserved()).toBe(0);
    const report = model.world.finish();
    expect(report.errors).toEqual([]);
    return model;
  } catch (error) {
    console.error(`FILE_MODEL_SEED=${SEED} (${scheme}, blocks of ${blockBytes}, ${frames} frames); the last steps:`);
    console.error(model.log.slice(-12).join('\n'));
    throw error;
  }
}

describe(`file operations against a model, seed ${SEED}`, () => {
  for (const scheme of ['invalidate-lock', 'i-rwsem'] as const) {
    it(`${scheme}, a cache that holds everything`, () => {
      runModel({ scheme, blockBytes: 4096, frames: 512, pages: 96 }, SEED);
    });
    it(`${scheme}, a small cache`, () => {
      runModel({ scheme, blockBytes: 4096, frames: 48, pages: 128 }, SEED + 1);
    });
  }

  it('a small device, full most of the time', () => {
    const model = runModel(
      { scheme: 'invalidate-lock', blockBytes: 4096, frames: 512, pages: 600, blocks: 360 },
      SEED + 2,
    );
    expect(model.refusals).toBeGreaterThan(0);
  });

  it('data with checksums, a small cache', () => {
    runModel({ scheme: 'invalidate-lock', blockBytes: 4096, frames: 64, pages: 128, dataChecksums: true }, SEED + 5);
  });

  it('data with checksums, a small device, full most of the time', () => {
    const shape = { blockBytes: 4096, frames: 512, pages: 600, blocks: 360, dataChecksums: true };
    expect(runModel({ scheme: 'i-rwsem', ...shape }, SEED + 6).refusals).toBeGreaterThan(0);
  });

  it('blocks of 16 KiB, a small cache', () => {
    runModel({ scheme: 'invalidate-lock', blockBytes: 16384, frames: 40, pages: 64 }, SEED + 3);
  });

  it('blocks of 64 KiB', () => {
    runModel({ scheme: 'i-rwsem', blockBytes: 65536, frames: 64, pages: 32 }, SEED + 4);
  });
});
