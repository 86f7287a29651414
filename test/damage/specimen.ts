/**
 * A small store to be damaged, on a device in memory: made by the engine in several generations, so that for most of its
 * blocks older versions are known. It knows what every file holds, and which blocks each depends on.
 */
import type { MemoryDevice } from '#dist/src/device/memory-device.js';
import { fallocate } from '#dist/src/file/allocate.js';
import { punchHole } from '#dist/src/file/punch.js';
import { extentsOf } from '#dist/src/file/seek.js';
import { truncate } from '#dist/src/file/truncate.js';
import { BlockKind, verifyBlock } from '#dist/src/format/block-header.js';
import { bitmapBlock } from '#dist/src/format/geometry.js';
import { InodeAt, inodeRecordOffset, inodesPerBlock, RecordFlag } from '#dist/src/format/inode-record.js';
import type { Superblock } from '#dist/src/format/superblock.js';
import { inoOf } from '#dist/src/inode/inode.js';
import { Findings } from '#dist/src/store/check/findings.js';
import { loadImage } from '#dist/src/store/check/superblock-check.js';
import type { Slot } from '#dist/src/units.js';
import { pattern } from '../support/bytes.js';
import { FileWorld } from '../support/file-world.js';
import { seededRandom } from '../support/random.js';

export type MetadataKind = 'superblock' | 'bitmap' | 'inodes' | 'extents' | 'names' | 'checksums';

export interface SpecimenFile {
  name: string;
  ino: number;
  bytes: Uint8Array;
  /** The block of each page that has one with content. */
  readonly pages: Map<number, number>;
  /** The block of its inode, and those of its extent tree. */
  readonly metadata: Set<number>;
  /** What it held at earlier times, and with which name. */
  readonly older: { name: string; bytes: Uint8Array }[];
}

const KINDS: Record<number, MetadataKind> = {
  [BlockKind.Bitmap]: 'bitmap',
  [BlockKind.Inodes]: 'inodes',
  [BlockKind.ExtentNode]: 'extents',
  [BlockKind.NameNode]: 'names',
  [BlockKind.Checksums]: 'checksums',
};

export interface SpecimenOptions {
  blockBytes?: number;
  blocks?: number;
  /** Files beside the special ones, at least 5; 15 fill a leaf of the name tree. */
  files?: number;
  /** Pages of the sparse file, every other of which has a block. */
  sparsePages?: number;
  maxEntries?: number;
  dataChecksums?: boolean;
}

/** A journal that small stores can run with lies in the first group. */
const JOURNAL_BLOCKS = 96;

export class Specimen {
  readonly blockBytes: number;
  readonly files = new Map<number, SpecimenFile>();
  /** All metadata blocks of the finished store that something refers to. */
  readonly kinds = new Map<number, MetadataKind>();
  /** Earlier contents of the device. */
  readonly history: MemoryDevice[] = [];
  device!: MemoryDevice;
  superblock!: Superblock;
  private readonly live = new Map<string, { slot: Slot; bytes: Uint8Array }>();
  private world!: FileWorld;

  constructor(readonly options: SpecimenOptions = {}) {
    const { blockBytes = 4096, blocks = 320, maxEntries = 6, dataChecksums = false } = options;
    this.blockBytes = blockBytes;
    const world = {
      blockBytes,
      blocks: blocks + JOURNAL_BLOCKS,
      frames: 512,
      maxEntries,
      blocksPerGroup: Math.ceil(blocks / 64) * 32 + JOURNAL_BLOCKS,
      random: seededRandom(1),
      dataChecksums,
    };
    this.world = new FileWorld(world);
    this.grow();
    this.remember();
    this.change();
    this.remember();
    this.shrink();
    this.finish();
  }

  /** An older version of the block that differs from the last one, or null. */
  olderVersion(block: number): Uint8Array | null {
    const now = this.read(this.device, block);
    for (let i = this.history.length - 1; i >= 0; i--) {
      const then = this.read(this.history[i], block);
      if (Buffer.compare(now, then) !== 0 && verifyBlock(then, block) === null) return then;
    }
    return null;
  }

  read(device: MemoryDevice, block: number): Uint8Array {
    const bytes = new Uint8Array(this.blockBytes);
    device.read([bytes], block * this.blockBytes);
    return bytes;
  }

  /** The files of which nothing but data lies in `damaged` blocks. */
  intact(damaged: ReadonlySet<number>): SpecimenFile[] {
    return [...this.files.values()].filter(({ metadata }) => [...metadata].every((block) => !damaged.has(block)));
  }

  private grow(): void {
    const { blockBytes } = this;
    const { files = 18, sparsePages = 60 } = this.options;
    this.write('dense', pattern(7 * blockBytes + 123, 3), 0);
    this.write('empty', new Uint8Array(0), 0);
    for (let page = 0; page < sparsePages; page += 2)
      this.write('sparse', pattern(blockBytes, page + 50), page * blockBytes);
    for (let i = 0; i < files; i++) this.write(nameOf(i), pattern(300 + i, i + 200), 0);
    this.write('preallocated', pattern(100, 9), 2 * blockBytes);
    const { slot } = this.live.get('preallocated')!;
    this.world.run(fallocate(this.world.task, this.world.engine, slot, 5 * blockBytes, 4 * blockBytes, true));
  }

  private change(): void {
    const { blockBytes, world } = this;
    const { sparsePages = 60 } = this.options;
    this.write('dense', pattern(2 * blockBytes, 77), 3 * blockBytes);
    const sparse = this.live.get('sparse')!;
    for (let page = 0; page < sparsePages / 3; page += 4) {
      world.run(punchHole(world.task, world.engine, sparse.slot, page * blockBytes, blockBytes));
      sparse.bytes.fill(0, page * blockBytes, (page + 1) * blockBytes);
    }
    this.unlink(nameOf(1));
    this.unlink(nameOf(2));
    this.rename(nameOf(3), 'renamed');
    this.write('later', pattern(3 * blockBytes, 31), blockBytes);
  }

  private shrink(): void {
    const { blockBytes, world } = this;
    const dense = this.live.get('dense')!;
    world.run(truncate(world.task, world.engine, dense.slot, 5 * blockBytes + 17));
    dense.bytes = dense.bytes.slice(0, 5 * blockBytes + 17);
    this.write('last', pattern(2 * blockBytes + 5, 41), 0);
    this.write(nameOf(0), pattern(900, 42), 100);
    this.unlink(nameOf(4));
  }

  private write(name: string, bytes: Uint8Array, position: number): void {
    const { world } = this;
    let file = this.live.get(name);
    if (file === undefined) {
      file = { slot: world.create(name), bytes: new Uint8Array(0) };
      this.live.set(name, file);
    }
    if (bytes.length === 0) return;
    world.write(file.slot, bytes, position);
    const whole = new Uint8Array(Math.max(file.bytes.length, position + bytes.length));
    whole.set(file.bytes);
    whole.set(bytes, position);
    file.bytes = whole;
  }

  private unlink(name: string): void {
    this.world.unlink(name);
    this.world.release(this.live.get(name)!.slot);
    this.live.delete(name);
  }

  private rename(from: string, to: string): void {
    const { world } = this;
    world.run(world.namespace.rename(world.task, Buffer.from(from), Buffer.from(to)));
    this.live.set(to, this.live.get(from)!);
    this.live.delete(from);
  }

  private remember(): void {
    this.world.sync();
    this.world.run(this.world.engine.journal.checkpoint(this.world.task));
    this.history.push(this.world.device.clone());
    for (const [name, { slot, bytes }] of this.live) {
      const ino = inoOf(this.world.arena, slot);
      const file: SpecimenFile = this.files.get(ino) ?? {
        name,
        ino,
        bytes,
        pages: new Map(),
        metadata: new Set(),
        older: [],
      };
      file.older.push({ name, bytes: bytes.slice() });
      this.files.set(ino, file);
    }
  }

  private finish(): void {
    const { world } = this;
    const names = new Map([...this.live].map(([name, { slot }]) => [inoOf(world.arena, slot), name]));
    for (const [ino, file] of this.files) if (!names.has(ino)) this.files.delete(file.ino);
    for (const [name, { slot, bytes }] of this.live) {
      const ino = inoOf(world.arena, slot);
      const pages = new Map<number, number>();
      for (const extent of world.run(extentsOf(world.task, world.engine, slot))) {
        if (extent.unwritten) continue;
        const first = extent.position / this.blockBytes;
        const block = extent.devicePosition / this.blockBytes;
        for (let i = 0; i < extent.length / this.blockBytes; i++) pages.set(first + i, block + i);
      }
      const older = this.files.get(ino)?.older ?? [];
      this.files.set(ino, { name, ino, bytes, pages, metadata: new Set(), older });
      world.release(slot);
    }
    const report = world.finish();
    if (!report.clean) throw new Error(`the specimen is not clean: ${JSON.stringify(report.errors)}`);
    this.device = world.device;
    this.superblock = loadImage(this.device, new Findings())!.superblock;
    this.classify();
  }

  private classify(): void {
    const { superblock, blockBytes } = this;
    this.kinds.set(0, 'superblock');
    this.kinds.set(superblock.blocks - 1, 'superblock');
    const perBlock = inodesPerBlock(blockBytes);
    for (let block = 1; block < superblock.blocks - 1; block++) {
      const bytes = this.read(this.device, block);
      if (!this.isUsed(block) || verifyBlock(bytes, block) !== null) continue;
      const view = new DataView(bytes.buffer);
      const kind = KINDS[view.getUint32(0, true)];
      this.kinds.set(block, kind);
      if (kind === 'extents') this.files.get(view.getUint32(16, true))?.metadata.add(block);
      if (kind !== 'inodes') continue;
      for (const [ino, file] of this.files) {
        const at = inodeRecordOffset(ino, perBlock);
        const isHere =
          view.getUint32(at + InodeAt.Ino, true) === ino &&
          (view.getUint32(at + InodeAt.Flags, true) & RecordFlag.Used) !== 0;
        if (isHere) file.metadata.add(block);
      }
    }
  }

  private isUsed(block: number): boolean {
    const group = Math.floor(block / this.superblock.blocksPerGroup);
    if (group >= this.superblock.groupsInitialised) return false;
    const words = new Uint32Array(this.read(this.device, bitmapBlock(this.superblock, group)).buffer);
    const bit = block - group * this.superblock.blocksPerGroup;
    return ((words[8 + (bit >>> 5)] >>> (bit & 31)) & 1) !== 0;
  }
}

function nameOf(i: number): string {
  return `${String(i).padStart(3, '0')} ${'a long name, to fill the nodes of the tree '.repeat(5)}`;
}
