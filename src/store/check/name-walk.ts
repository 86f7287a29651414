/**
 * Walks the name tree: every node verified and claimed, names in order and within the bounds that the nodes above set,
 * leaves chained from left to right, and the inode behind each name.
 *
 * A damaged node is a finding and the walk goes on beside it; a node that somebody owns already is not entered. Depth is
 * bounded by the levels, which fall by one a step.
 */
import { BlockKind } from '../../format/block-header.js';
import { FIRST_FILE_INO } from '../../format/inode-record.js';
import {
  NAME_LEVELS_MAX,
  nameLength,
  nameNodeCount,
  nameNodeLevel,
  nameStart,
  nameValue,
  nextNameNode,
  validateNameNode,
} from '../../format/name-node.js';
import { compareNames } from '../../inode/name-bytes.js';
import type { BlockBuffer } from '../device-blocks.js';
import type { Findings } from './findings.js';
import { type InodeScan, InodeState } from './inode-scan.js';
import type { Ownership } from './ownership.js';
import type { StoreImage } from './store-image.js';

/** Sees every good name, in order. `name` is valid until it returns. */
export type NameVisitor = (name: Uint8Array, ino: number) => void;

const ANY_LEVEL = -1;
const UNKNOWN = -1;
const decoder = new TextDecoder('utf-8', { fatal: true });

export class NameWalk {
  names = 0;
  nodes = 0;
  /** Something is wrong that a rebuilt tree would put right. */
  isDamaged = false;
  private readonly buffers: BlockBuffer[] = [];
  /** Where the last leaf says the chain goes on; UNKNOWN beside a damaged node. */
  private chain = UNKNOWN;
  /** The highest name of the leaves so far. */
  private last: Uint8Array = new Uint8Array(0);

  constructor(
    private readonly image: StoreImage,
    private readonly inodes: InodeScan,
    private readonly ownership: Ownership,
    private readonly findings: Findings,
    private readonly visit: NameVisitor | null = null,
  ) {}

  /** Walks the tree, and notes in the scan which inodes have names. */
  walk(): void {
    this.inodes.named.fill(0);
    this.node(this.image.superblock.nameRoot, ANY_LEVEL, null, null);
    if (this.chain > 0) this.damage('NAME_CHAIN', `the last leaf leads on to block ${this.chain}`, this.chain);
  }

  private node(block: number, expected: number, low: Uint8Array | null, high: Uint8Array | null): void {
    const buffer = this.load(block, expected);
    if (buffer === null) {
      this.isDamaged = true;
      this.chain = UNKNOWN;
      return;
    }
    this.nodes += 1;
    const level = nameNodeLevel(buffer.bytes, 0);
    if (level === 0) this.leaf(block, buffer, low, high);
    else this.children(block, buffer, level, low, high);
  }

  private load(block: number, expected: number): BlockBuffer | null {
    if (!this.ownership.claim(block, 1, 'name tree', 0)) return null;
    const slot = expected === ANY_LEVEL ? NAME_LEVELS_MAX : expected;
    this.buffers[slot] ??= this.image.buffer();
    const buffer = this.buffers[slot];
    if (!this.image.readMetadata(block, BlockKind.NameNode, 0, buffer, this.findings)) return null;
    const wrong = this.nodeProblem(buffer, expected);
    if (wrong === null) return buffer;
    this.image.addDamage(block, BlockKind.NameNode, wrong, this.findings);
    return null;
  }

  private nodeProblem(buffer: BlockBuffer, expected: number): string | null {
    const { blockBytes, blocks } = this.image.superblock;
    const level = nameNodeLevel(buffer.bytes, 0);
    if (level >= NAME_LEVELS_MAX) return `level ${level}`;
    // Whether a leaf's inode numbers are good is a matter of each name, not of the node.
    const limit = level > 0 ? blocks : 2 ** 32;
    const wrong = validateNameNode(buffer.bytes, 0, blockBytes, expected === ANY_LEVEL ? level : expected, limit);
    if (wrong !== null) return wrong;
    if (expected !== ANY_LEVEL && nameNodeCount(buffer.bytes, 0) === 0) return 'an empty leaf';
    return null;
  }

  private children(
    block: number,
    buffer: BlockBuffer,
    level: number,
    low: Uint8Array | null,
    high: Uint8Array | null,
  ): void {
    const count = nameNodeCount(buffer.bytes, 0);
    // The first cell's name says nothing; the bounds of its child come from above.
    if (count > 1) this.checkBounds(block, nameIn(buffer, 1), nameIn(buffer, count - 1), low, high);
    for (let i = 0; i < count; i++) {
      const from = i === 0 ? low : nameIn(buffer, i);
      const to = i + 1 < count ? nameIn(buffer, i + 1) : high;
      this.node(nameValue(buffer.bytes, 0, i), level - 1, from, to);
    }
  }

  private leaf(block: number, buffer: BlockBuffer, low: Uint8Array | null, high: Uint8Array | null): void {
    const count = nameNodeCount(buffer.bytes, 0);
    if (this.chain !== UNKNOWN && this.chain !== block) {
      this.damage('NAME_CHAIN', `the leaf before block ${block} leads on to block ${this.chain}`, block);
    }
    this.chain = nextNameNode(buffer.bytes, 0);
    if (count === 0) return;
    this.checkBounds(block, nameIn(buffer, 0), nameIn(buffer, count - 1), low, high);
    if (compareNames(nameIn(buffer, 0), this.last) <= 0) {
      this.damage('NAME_ORDER', `the names of block ${block} are not above those before it`, block);
    }
    for (let i = 0; i < count; i++) this.name(block, nameIn(buffer, i), nameValue(buffer.bytes, 0, i));
    const highest = nameIn(buffer, count - 1);
    if (compareNames(highest, this.last) > 0) this.last = Uint8Array.from(highest);
  }

  private checkBounds(
    block: number,
    first: Uint8Array,
    last: Uint8Array,
    low: Uint8Array | null,
    high: Uint8Array | null,
  ): void {
    if (low !== null && compareNames(first, low) < 0) {
      this.damage('NAME_ORDER', `the names of block ${block} begin below the bound of the node above`, block);
    }
    if (high !== null && compareNames(last, high) >= 0) {
      this.damage('NAME_ORDER', `the names of block ${block} end above the bound of the node above`, block);
    }
  }

  private name(block: number, bytes: Uint8Array, ino: number): void {
    // Out of order: said once for its leaf. Not visited, so that a rebuilt tree is in order; its file is found nameless.
    if (compareNames(bytes, this.last) <= 0) return;
    if (!isName(bytes)) {
      this.damage('NAME_BYTES', `a name in block ${block} is no UTF-8, or has a NUL`, block);
      return;
    }
    const wrong = this.inodeProblem(ino);
    if (wrong === null) {
      this.inodes.named[ino] = 1;
      this.names += 1;
      this.visit?.(bytes, ino);
      return;
    }
    this.isDamaged = true;
    const name = Buffer.from(bytes).toString('utf8');
    const isSecond = ino >= FIRST_FILE_INO && ino < this.inodes.end && this.inodes.named[ino] !== 0;
    this.findings.add(isSecond ? 'NAME_DUPLICATE' : 'NAME_DANGLING', `'${name}' leads to inode ${ino}, ${wrong}`, {
      name,
      ino,
    });
  }

  private inodeProblem(ino: number): string | null {
    const { state, named, end } = this.inodes;
    if (ino < FIRST_FILE_INO || ino >= end) return 'which the inode table does not have';
    if (state[ino] === InodeState.Free) return 'which is free';
    if (state[ino] === InodeState.Lost) return 'whose record is lost';
    if (named[ino] !== 0) return 'which has a name already';
    return null;
  }

  private damage(code: 'NAME_ORDER' | 'NAME_CHAIN' | 'NAME_BYTES', message: string, block: number): void {
    this.isDamaged = true;
    this.findings.add(code, message, { block });
  }
}

/** The name of cell `i`, in place. */
function nameIn(buffer: BlockBuffer, i: number): Uint8Array {
  const start = nameStart(buffer.bytes, 0, i);
  return buffer.bytes.subarray(start, start + nameLength(buffer.bytes, 0, i));
}

function isName(bytes: Uint8Array): boolean {
  let isPlain = true;
  for (let i = 0; i < bytes.length; i++) {
    if (bytes[i] === 0) return false;
    if (bytes[i] > 0x7f) isPlain = false;
  }
  if (isPlain) return true;
  try {
    decoder.decode(Uint8Array.from(bytes));
    return true;
  } catch {
    return false;
  }
}
