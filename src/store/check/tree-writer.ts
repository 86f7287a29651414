/**
 * Writes trees from scratch, for repairs: an extent tree from a list of extents, the name tree from names in order. All
 * nodes go to blocks that nobody owns, so that the old tree stands until the new root is written.
 */
import { BlockKind, sealBlock, writeHeader } from '../../format/block-header.js';
import { extentNodeCapacity, NODE_ENTRIES_WORD, setChild, setExtent, setExtentNode } from '../../format/extent-node.js';
import {
  INODE_TABLE_INO,
  InodeAt,
  ROOT_CAPACITY,
  rootEntriesWord,
  setRoot,
  setTreeBlocks,
} from '../../format/inode-record.js';
import { initNameNode, insertName, nameNodeCount, setNextNameNode } from '../../format/name-node.js';
import { shortestSeparator } from '../../inode/name-split.js';
import type { BlockBuffer } from '../device-blocks.js';
import type { StoreImage } from './store-image.js';

/** A free block, now the caller's. Throws ENOSPC. */
export type TakeBlock = () => number;

export interface ExtentItem {
  page: number;
  block: number;
  length: number;
  unwritten: boolean;
}

/** Seals a metadata block and writes it. */
export function writeMetadata(image: StoreImage, block: number, buffer: BlockBuffer): void {
  sealBlock(buffer.bytes, block, image.superblock.transaction % 2 ** 32);
  image.blocks.write(block, buffer);
}

/** Writes the tree's nodes, and its root into the record at byte `at`; returns how many nodes it has. */
export function writeExtentTree(
  image: StoreImage,
  take: TakeBlock,
  ino: number,
  extents: readonly ExtentItem[],
  record: BlockBuffer,
  at: number,
): number {
  const buffer = image.buffer();
  const generation = record.view.getUint32(at + InodeAt.Generation, true);
  const capacity = extentNodeCapacity(image.blockBytes);
  let items: readonly ExtentItem[] = extents;
  let level = 0;
  let nodes = 0;
  for (; items.length > ROOT_CAPACITY; level++) {
    const above: ExtentItem[] = [];
    for (let i = 0; i < items.length; i += capacity) {
      const part = items.slice(i, i + capacity);
      const block = take();
      buffer.bytes.fill(0);
      writeHeader(buffer.view, 0, BlockKind.ExtentNode, block, ino, generation);
      setExtentNode(buffer.words, 0, level, part.length);
      writeEntries(buffer.words, NODE_ENTRIES_WORD, level, part);
      writeMetadata(image, block, buffer);
      above.push({ page: part[0].page, block, length: 0, unwritten: false });
      nodes += 1;
    }
    items = above;
  }
  record.bytes.fill(0, at + InodeAt.RootEntries, at + InodeAt.Work);
  setRoot(record.view, at, level, items.length);
  setTreeBlocks(record.view, at, nodes);
  writeEntries(record.words, rootEntriesWord(at), level, items);
  return nodes;
}

function writeEntries(words: Uint32Array, base: number, level: number, items: readonly ExtentItem[]): void {
  for (let i = 0; i < items.length; i++) {
    const { page, block, length, unwritten } = items[i];
    if (level === 0) setExtent(words, base, i, page, block, length, unwritten);
    else setChild(words, base, i, page, block);
  }
}

/** Makes a block of the inode table that holds free records only. */
export function writeFreeInodes(image: StoreImage, block: number, buffer: BlockBuffer): void {
  buffer.bytes.fill(0);
  writeHeader(buffer.view, 0, BlockKind.Inodes, block, INODE_TABLE_INO);
  writeMetadata(image, block, buffer);
}

interface OpenNode {
  block: number;
  buffer: BlockBuffer;
  /** The first node of its level, of which the level above does not know yet. */
  isOnly: boolean;
}

const NO_NAME = new Uint8Array(0);

export class NameTreeWriter {
  names = 0;
  /** The node at the right edge of each level. */
  private readonly edge: OpenNode[] = [];
  private last: Uint8Array = NO_NAME;

  constructor(
    private readonly image: StoreImage,
    private readonly take: TakeBlock,
  ) {
    this.open(0, true);
  }

  /** Names come in rising order. */
  add(name: Uint8Array, ino: number): void {
    const own = Uint8Array.from(name);
    this.append(0, own, ino, () => shortestSeparator(this.last, own));
    this.last = own;
    this.names += 1;
  }

  /** Writes what is still open; the root's block. */
  finish(): number {
    for (const node of this.edge) writeMetadata(this.image, node.block, node.buffer);
    return this.edge[this.edge.length - 1].block;
  }

  private append(level: number, key: Uint8Array, value: number, separatorOf: () => Uint8Array): void {
    const node = this.edge[level];
    if (this.put(node, key, value)) return;
    const wasOnly = node.isOnly;
    const next = this.open(level, false, node);
    this.put(next, key, value);
    if (wasOnly) {
      this.open(level + 1, true);
      this.put(this.edge[level + 1], NO_NAME, node.block);
    }
    const separator = separatorOf();
    this.append(level + 1, separator, next.block, () => separator);
  }

  private put(node: OpenNode, key: Uint8Array, value: number): boolean {
    const { bytes } = node.buffer;
    return insertName(bytes, 0, this.image.blockBytes, nameNodeCount(bytes, 0), value, key, key.length);
  }

  /** A new node at the right edge; the one before it is complete. */
  private open(level: number, isOnly: boolean, before?: OpenNode): OpenNode {
    const block = this.take();
    if (before !== undefined) {
      if (level === 0) setNextNameNode(before.buffer.bytes, 0, block);
      writeMetadata(this.image, before.block, before.buffer);
    }
    const buffer = before?.buffer ?? this.image.buffer();
    buffer.bytes.fill(0);
    writeHeader(buffer.view, 0, BlockKind.NameNode, block, 0);
    initNameNode(buffer.bytes, 0, this.image.blockBytes, level);
    this.edge[level] = { block, buffer, isOnly };
    return this.edge[level];
  }
}
