/**
 * Stores made block by block on a device in memory, without the engine: for tests of the checker, which must find them
 * clean, and must find whatever is then done to them.
 */
import { MemoryDevice } from '#dist/src/device/memory-device.js';
import { BlockKind, sealBlock } from '#dist/src/format/block-header.js';
import {
  FIRST_FILE_INO,
  InodeAt,
  InodeRecord,
  inodeRecordOffset,
  inodeTablePage,
  RecordFlag,
  storeInodeRecord,
} from '#dist/src/format/inode-record.js';
import {
  DiskState,
  type Superblock,
  SuperblockAt,
  sealSuperblock,
  writeSuperblock,
} from '#dist/src/format/superblock.js';
import { compareNames } from '#dist/src/inode/name-bytes.js';
import { Findings } from '#dist/src/store/check/findings.js';
import { Inspection } from '#dist/src/store/check/inspection.js';
import type { StoreImage } from '#dist/src/store/check/store-image.js';
import { loadImage } from '#dist/src/store/check/superblock-check.js';
import {
  type ExtentItem,
  NameTreeWriter,
  writeExtentTree,
  writeFreeInodes,
  writeMetadata,
} from '#dist/src/store/check/tree-writer.js';
import type { BlockBuffer } from '#dist/src/store/device-blocks.js';
import { formatDevice } from '#dist/src/store/format-store.js';

export interface ImageOptions {
  blockBytes?: number;
  blocks?: number;
  blocksPerGroup?: number;
}

export interface FileSpec {
  name: string;
  /** Runs of pages; the blocks are chosen here. */
  runs: { page: number; length: number; unwritten?: boolean }[];
}

const encoder = new TextEncoder();

export function formatted(options: ImageOptions = {}): MemoryDevice {
  const { blockBytes = 4096, blocks = 2048, blocksPerGroup } = options;
  const device = new MemoryDevice(blocks * blockBytes);
  const small = blocksPerGroup === undefined ? {} : { blocksPerGroup };
  const uuid = Uint8Array.from({ length: 16 }, (_, i) => i);
  formatDevice(device, { blockBytes, label: 'test', dataChecksums: false, now: 1000, uuid, ...small });
  return device;
}

export class TestImage {
  readonly device: MemoryDevice;
  readonly store: StoreImage;
  readonly buffer: BlockBuffer;
  /** Where each file's record is, and what its tree holds. */
  readonly inos = new Map<string, number>();
  readonly extents = new Map<string, ExtentItem[]>();
  private readonly pageBlocks: number[] = [];

  constructor(files: FileSpec[], options: ImageOptions = {}) {
    this.device = formatted(options);
    const found = loadImage(this.device, new Findings());
    if (found === null) throw new Error('the formatted device has no superblock');
    this.store = found;
    this.buffer = found.buffer();
    const { ownership } = new Inspection(found, new Findings());
    const take = (): number => {
      const block = ownership.take(this.superblock.groups);
      if (block === 0) throw new Error('the test image is too small');
      return block;
    };
    this.writeTable(files.length, take);
    for (const [i, file] of files.entries()) this.writeFile(FIRST_FILE_INO + i, file, take);
    this.writeNames(take);
    this.finish();
  }

  get superblock(): Superblock {
    return this.store.superblock;
  }

  /** The block that holds a file's record, and the record's offset in it. */
  recordOf(name: string): { block: number; at: number } {
    const ino = this.inos.get(name)!;
    const page = inodeTablePage(ino, this.store.perBlock);
    return { block: this.pageBlocks[page], at: inodeRecordOffset(ino, this.store.perBlock) };
  }

  /** Changes a metadata block and seals it: damage that no checksum tells. */
  edit(block: number, change: (buffer: BlockBuffer) => void): void {
    this.store.blocks.read(block, this.buffer);
    change(this.buffer);
    if (block !== 0) sealBlock(this.buffer.bytes, block, 1);
    this.store.blocks.write(block, this.buffer);
  }

  editRecord(name: string, change: (view: DataView, at: number) => void): void {
    const { block, at } = this.recordOf(name);
    this.edit(block, (buffer) => change(buffer.view, at));
  }

  /** Writes both superblocks from `superblock` and `superblockBuffer`. */
  writeSuperblocks(): void {
    const { superblock, superblockBuffer, blocks } = this.store;
    writeSuperblock(superblockBuffer.view, 0, superblock);
    for (const block of [0, superblock.blocks - 1]) {
      sealSuperblock(superblockBuffer.bytes, block, superblock.transaction, 2000);
      blocks.write(block, superblockBuffer);
    }
  }

  /** Every metadata block with its kind, the superblocks as 'superblock'. */
  metadataBlocks(): Map<number, BlockKind | 'superblock'> {
    const kinds = new Map<number, BlockKind | 'superblock'>();
    const known = [BlockKind.Bitmap, BlockKind.Inodes, BlockKind.ExtentNode, BlockKind.NameNode];
    for (let block = 0; block < this.superblock.blocks; block++) {
      this.store.blocks.read(block, this.buffer);
      const kind = this.buffer.view.getUint32(0, true);
      const isOwn = this.buffer.view.getUint32(8, true) === block;
      if (known.includes(kind) && isOwn) kinds.set(block, kind);
    }
    // Where nothing refers to a block any more, it is no metadata.
    for (const block of [...kinds.keys()]) if (this.isForgotten(block)) kinds.delete(block);
    kinds.set(0, 'superblock');
    kinds.set(this.superblock.blocks - 1, 'superblock');
    return kinds;
  }

  private forgotten = new Set<number>();

  private isForgotten(block: number): boolean {
    return this.forgotten.has(block);
  }

  private writeTable(files: number, take: () => number): void {
    const { store, superblock } = this;
    const pages = Math.ceil((files + 3) / store.perBlock);
    for (let page = 0; page < pages; page++) {
      this.pageBlocks.push(take());
      // Every other block goes to a file later, so that the table has several extents.
      if (page % 2 === 1) take();
      writeFreeInodes(store, this.pageBlocks[page], this.buffer);
    }
    const at = SuperblockAt.InodeTableRecord;
    const view = store.superblockBuffer.view;
    const extents = this.pageBlocks.map((block, page) => ({ page, block, length: 1, unwritten: false }));
    writeExtentTree(store, take, 1, extents, store.superblockBuffer, at);
    view.setUint32(at + InodeAt.Blocks, pages, true);
    view.setUint32(at + InodeAt.Size, pages * store.blockBytes, true);
    superblock.inodeHighWater = FIRST_FILE_INO + pages * store.perBlock;
    this.chainFree(FIRST_FILE_INO + files);
  }

  private chainFree(first: number): void {
    const { store, superblock } = this;
    superblock.inodeFreeHead = first;
    for (let ino = first; ino < superblock.inodeHighWater; ino++) {
      const next = ino + 1 < superblock.inodeHighWater ? ino + 1 : 0;
      this.edit(this.pageBlocks[inodeTablePage(ino, store.perBlock)], ({ view }) => {
        view.setUint32(inodeRecordOffset(ino, store.perBlock) + InodeAt.Next, next, true);
      });
    }
  }

  private writeFile(ino: number, file: FileSpec, take: () => number): void {
    const { store } = this;
    const extents: ExtentItem[] = [];
    let written = 0;
    for (const { page, length, unwritten = false } of file.runs) {
      for (let i = 0; i < length; i++) {
        const block = take();
        const last = extents[extents.length - 1];
        const isNext = i > 0 && last.block + last.length === block;
        if (isNext) last.length += 1;
        else extents.push({ page: page + i, block, length: 1, unwritten });
        if (!unwritten) this.writeData(block, ino, page + i);
      }
      if (!unwritten) written = page + length;
    }
    const record = new InodeRecord();
    record.ino = ino;
    record.generation = 1;
    record.flags = RecordFlag.Used;
    record.links = 1;
    record.sizeBytes = Math.max(0, written * store.blockBytes - 100);
    record.blocks = extents.reduce((sum, { length }) => sum + length, 0);
    const page = inodeTablePage(ino, store.perBlock);
    const at = inodeRecordOffset(ino, store.perBlock);
    const own = store.buffer();
    store.blocks.read(this.pageBlocks[page], own);
    storeInodeRecord(own.view, at, record);
    writeExtentTree(store, take, ino, extents, own, at);
    writeMetadata(store, this.pageBlocks[page], own);
    this.inos.set(file.name, ino);
    this.extents.set(file.name, extents);
  }

  private writeData(block: number, ino: number, page: number): void {
    this.buffer.words.fill(0xda7a0000);
    this.buffer.words[0] = ino;
    this.buffer.words[1] = page;
    this.store.blocks.write(block, this.buffer);
  }

  private writeNames(take: () => number): void {
    const writer = new NameTreeWriter(this.store, take);
    const names = [...this.inos].map(([name, ino]) => ({ name: encoder.encode(name), ino }));
    names.sort((a, b) => compareNames(a.name, b.name));
    for (const { name, ino } of names) writer.add(name, ino);
    this.forgotten.add(this.superblock.nameRoot);
    this.superblock.nameRoot = writer.finish();
    this.superblock.files = names.length;
  }

  /** Bitmaps and counters from what the trees hold. */
  private finish(): void {
    const { store, superblock } = this;
    const { ownership, bitmaps } = new Inspection(store, new Findings());
    superblock.groupsInitialised = ownership.groupsUsed;
    superblock.blocksFree = bitmaps.blocksFree;
    superblock.state = DiskState.Clean;
    for (let group = 0; group < superblock.groupsInitialised; group++) {
      const block = group === 0 ? 1 : group * superblock.blocksPerGroup;
      this.buffer.words.set(ownership.group(group));
      this.buffer.view.setUint32(0, BlockKind.Bitmap, true);
      this.buffer.view.setUint32(16, group, true);
      writeMetadata(store, block, this.buffer);
    }
    this.writeSuperblocks();
  }
}

/** A store with all there can be: trees of several levels, holes, unwritten extents, long names, several groups. */
export function variedImage(): TestImage {
  const files: FileSpec[] = [{ name: 'empty', runs: [] }];
  files.push({ name: 'plain', runs: [{ page: 0, length: 40 }] });
  files.push({
    name: 'preallocated',
    runs: [
      { page: 3, length: 2 },
      { page: 100, length: 30, unwritten: true },
    ],
  });
  files.push({ name: 'scattered', runs: Array.from({ length: 400 }, (_, i) => ({ page: i * 2, length: 1 })) });
  files.push({ name: 'some holes', runs: Array.from({ length: 20 }, (_, i) => ({ page: i * 5, length: 2 })) });
  for (let i = 0; i < 60; i++) {
    files.push({ name: `${'shared/prefix/'.repeat(15)}${i}`, runs: i % 3 === 0 ? [{ page: 1, length: 1 }] : [] });
  }
  return new TestImage(files, { blocks: 2000, blocksPerGroup: 512 });
}
