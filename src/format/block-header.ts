/**
 * The header of every metadata block but the superblock: 32 bytes that say what the block is, where it belongs and
 * whether it arrived whole.
 *
 * Invariants of a sealed block:
 * 1. `Block` is the block's own number, so that a stray write is told apart from a good block.
 * 2. `Checksum` is the CRC-32 of the whole block with this field zero.
 * The header of a cached block is stale while the block is dirty; only the copy that goes to the device is sealed.
 *
 * Owns no state; any thread. The caller holds the lock of the structure in the block.
 */
import { crc32 } from 'node:zlib';
import { assert } from '../assert.js';

/** Byte offsets in the block. All integers of the format are little-endian. */
export const enum HeaderAt {
  Kind = 0,
  Checksum = 4,
  Block = 8,
  /** Low word of the last transaction that wrote the block. */
  Transaction = 12,
  /** Group of a bitmap, inode of an extent node, 1 for inode blocks, 0 for name nodes. */
  Owner = 16,
  /** Generation of the owning inode, else 0. */
  Generation = 20,
  /** Bitmap of a store with data checksums: bit k is set once the group's checksum block k was written; else 0. */
  Tables = 24,
  Reserved = 28,
  End = 32,
}

export const HEADER_BYTES = 32;
export const HEADER_WORDS = 8;

/** What a block is; on the device the four letters can be read. */
export const enum BlockKind {
  /** 'EMBM' */
  Bitmap = 0x4d424d45,
  /** 'EMIN' */
  Inodes = 0x4e494d45,
  /** 'EMEX' */
  ExtentNode = 0x58454d45,
  /** 'EMNM' */
  NameNode = 0x4d4e4d45,
  /** 'EMCS' */
  Checksums = 0x5343_4d45,
}

const KIND_NAMES = new Map<number, string>([
  [BlockKind.Bitmap, 'allocation bitmap'],
  [BlockKind.Inodes, 'inode block'],
  [BlockKind.ExtentNode, 'extent node'],
  [BlockKind.NameNode, 'name node'],
  [BlockKind.Checksums, 'checksum block'],
]);

/** The structure's name, for messages. */
export function kindName(kind: number): string {
  return KIND_NAMES.get(kind) ?? 'block of unknown kind';
}

// Codecs read words of a block through Uint32Array; every host that Node runs the engine on is little-endian.
assert(new Uint8Array(new Uint32Array([1]).buffer)[0] === 1, 'the host is big-endian');

const ZERO_FIELD = new Uint8Array(4);

/** Fills in the header of a fresh block at byte `at` of `view`. */
export function writeHeader(
  view: DataView,
  at: number,
  kind: BlockKind,
  block: number,
  owner: number,
  generation = 0,
): void {
  view.setUint32(at + HeaderAt.Kind, kind, true);
  view.setUint32(at + HeaderAt.Checksum, 0, true);
  view.setUint32(at + HeaderAt.Block, block, true);
  view.setUint32(at + HeaderAt.Transaction, 0, true);
  view.setUint32(at + HeaderAt.Owner, owner, true);
  view.setUint32(at + HeaderAt.Generation, generation, true);
  view.setUint32(at + HeaderAt.Tables, 0, true);
  view.setUint32(at + HeaderAt.Reserved, 0, true);
}

export function headerKind(view: DataView, at: number): number {
  return view.getUint32(at + HeaderAt.Kind, true);
}

export function headerOwner(view: DataView, at: number): number {
  return view.getUint32(at + HeaderAt.Owner, true);
}

export function headerGeneration(view: DataView, at: number): number {
  return view.getUint32(at + HeaderAt.Generation, true);
}

/** The CRC-32 of `bytes`, from `seed` on, with the four bytes at `fieldAt` taken as zero; `bytes` stay as they are. */
export function checksumWithout(bytes: Uint8Array, fieldAt: number, seed = 0): number {
  let sum = crc32(bytes.subarray(0, fieldAt), seed);
  sum = crc32(ZERO_FIELD, sum);
  return crc32(bytes.subarray(fieldAt + 4), sum);
}

/** Makes the copy of a block that goes to the device, and returns its checksum: `bytes` are the whole block. Not for the superblock. */
export function sealBlock(
  bytes: Uint8Array,
  block: number,
  transaction: number,
  view = new DataView(bytes.buffer, bytes.byteOffset, HEADER_BYTES),
): number {
  view.setUint32(HeaderAt.Block, block, true);
  view.setUint32(HeaderAt.Transaction, transaction, true);
  view.setUint32(HeaderAt.Checksum, 0, true);
  const checksum = crc32(bytes);
  view.setUint32(HeaderAt.Checksum, checksum, true);
  return checksum;
}

/** Why `bytes`, read from `block`, are no good block (of `kind`, when given), or null when they are. */
export function verifyBlock(bytes: Uint8Array, block: number, kind?: BlockKind): string | null {
  const view = new DataView(bytes.buffer, bytes.byteOffset, HEADER_BYTES);
  const found = view.getUint32(HeaderAt.Kind, true);
  if (!KIND_NAMES.has(found)) return `no known block kind (0x${found.toString(16).padStart(8, '0')})`;
  if (kind !== undefined && found !== kind) return `${kindName(found)} where ${kindName(kind)} was expected`;
  if (view.getUint32(HeaderAt.Checksum, true) !== checksumWithout(bytes, HeaderAt.Checksum)) return 'checksum mismatch';
  const own = view.getUint32(HeaderAt.Block, true);
  if (own !== block) return `belongs to block ${own}`;
  return null;
}
