/**
 * The journal's head: where recovery begins. Two slots, the first two blocks of the journal's region, written in turn, so
 * that a head torn by a power cut leaves the one before it.
 *
 * 1. A head's generation is one above that of the head in the other slot. The valid one with the higher generation counts.
 * 2. What an older head points to stays in the log until the newer one is durable, so either leads to the same store.
 * 3. The checksum is the CRC-32 of the whole block with the field zero.
 *
 * Owns no state; any thread.
 */
import { crc32 } from 'node:zlib';
import { checksumWithout } from './block-header.js';
import { UUID_BYTES } from './superblock.js';
import { getUint53, setUint53 } from './uint53.js';

/** Byte offsets in the block. */
export const enum JournalHeadAt {
  /** 'EMJH' */
  Magic = 0,
  Checksum = 4,
  Generation = 8,
  /** Number of the first log transaction that recovery needs. */
  TailSequence = 16,
  /** Where it begins, in blocks from the log's first. */
  TailPosition = 24,
  /** Blocks of the log, the heads left out. */
  LogBlocks = 28,
  Uuid = 32,
  WrittenMs = 48,
  Rest = 56,
}

/** Slots at the front of the journal's region. */
export const HEAD_SLOTS = 2;
const MAGIC = 0x484a4d45;

export interface JournalHead {
  generation: number;
  tailSequence: number;
  tailPosition: number;
  logBlocks: number;
  uuid: Uint8Array;
  writtenMs: number;
}

/** Fills a block with the head, sealed. */
export function writeJournalHead(bytes: Uint8Array, head: JournalHead): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  bytes.fill(0);
  view.setUint32(JournalHeadAt.Magic, MAGIC, true);
  setUint53(view, JournalHeadAt.Generation, head.generation);
  setUint53(view, JournalHeadAt.TailSequence, head.tailSequence);
  view.setUint32(JournalHeadAt.TailPosition, head.tailPosition, true);
  view.setUint32(JournalHeadAt.LogBlocks, head.logBlocks, true);
  bytes.set(head.uuid.subarray(0, UUID_BYTES), JournalHeadAt.Uuid);
  view.setFloat64(JournalHeadAt.WrittenMs, head.writtenMs, true);
  view.setUint32(JournalHeadAt.Checksum, crc32(bytes), true);
}

/** The head in a block, or why there is none of this store and of a log of this length. */
export function readJournalHead(bytes: Uint8Array, uuid: Uint8Array, logBlocks: number): JournalHead | string {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  if (view.getUint32(JournalHeadAt.Magic, true) !== MAGIC) return 'no journal head';
  if (view.getUint32(JournalHeadAt.Checksum, true) !== checksumWithout(bytes, JournalHeadAt.Checksum)) {
    return 'checksum mismatch';
  }
  const head = {
    generation: getUint53(view, JournalHeadAt.Generation),
    tailSequence: getUint53(view, JournalHeadAt.TailSequence),
    tailPosition: view.getUint32(JournalHeadAt.TailPosition, true),
    logBlocks: view.getUint32(JournalHeadAt.LogBlocks, true),
    uuid: bytes.slice(JournalHeadAt.Uuid, JournalHeadAt.Uuid + UUID_BYTES),
    writtenMs: view.getFloat64(JournalHeadAt.WrittenMs, true),
  };
  if (head.uuid.some((byte, i) => byte !== uuid[i])) return 'it is of another store';
  if (head.logBlocks !== logBlocks) return `a log of ${head.logBlocks} blocks where ${logBlocks} were expected`;
  if (head.tailPosition >= logBlocks) return `a tail at block ${head.tailPosition} of a log of ${logBlocks}`;
  return head;
}
