/**
 * The records of the journal's log. A transaction is, one block each:
 *
 *   descriptor │ images … │ descriptor │ images … │ revocations … │ commit
 *
 * A descriptor says where each image that follows belongs, with its checksum; revocations name blocks whose older images
 * must not be replayed; the commit record holds a checksum over all records before it, and those hold the images'.
 *
 * 1. Every checksum starts from a seed made of the store's uuid and the transaction's sequence number, and every record
 *    holds the sequence and its own place in the log. So what lies in the log from an earlier lap, or from an earlier store
 *    on the device, is never taken for a part of the transaction.
 * 2. An image whose first word is that of a record is *escaped*: written with that word zero, and put right when replayed.
 *    So a scan of the whole log takes no image for a record.
 *
 * Owns no state; any thread.
 */
import { crc32 } from 'node:zlib';
import { MAX_BLOCK_BYTES } from '../units.js';
import { checksumWithout } from './block-header.js';
import { getUint53, setUint53 } from './uint53.js';
import { zeroRun } from './zero-run.js';

/** What a record is; on the device the four letters can be read. */
export const enum JournalRecordKind {
  /** 'EMJD' */
  Descriptor = 0x444a4d45,
  /** 'EMJR' */
  Revocation = 0x524a4d45,
  /** 'EMJC' */
  Commit = 0x434a4d45,
}

/** Byte offsets of every record's header. */
export const enum JournalRecordAt {
  Kind = 0,
  /** Of the whole block, this field taken as zero, from the transaction's seed. */
  Checksum = 4,
  Sequence = 8,
  /** The record's own place, in blocks from the log's first. */
  Position = 16,
  /** Entries of a descriptor or of revocations; records before this one in a commit record. */
  Count = 20,
  Reserved = 24,
  Body = 32,
}

/** Byte offsets in an entry of a descriptor. */
export const enum DescriptorEntryAt {
  /** Where the image belongs. */
  Block = 0,
  Flags = 4,
  /** Of the image as it lies in the log, from the transaction's seed. */
  Checksum = 8,
  End = 12,
}

/** Byte offsets in a commit record. */
export const enum CommitAt {
  /** Of the checksums of the transaction's other records, four bytes each, in their order. */
  RecordsChecksum = 32,
  /** Images of the transaction. */
  Images = 36,
  Rest = 40,
}

/** Bits of a descriptor's entry. */
export const enum ImageFlag {
  Escaped = 1,
}

export interface ImageEntry {
  block: number;
  flags: number;
  checksum: number;
}

const ENTRY_BYTES = DescriptorEntryAt.End;
/** Of records that use no more, the rest is known to be zero, and is not read for the checksum. */
const SHORT_RECORD_BYTES = 128;
const ZEROS = new Uint8Array(MAX_BLOCK_BYTES);
const scratch = new DataView(new ArrayBuffer(8));
const scratchBytes = new Uint8Array(scratch.buffer);
const scratchWord = scratchBytes.subarray(0, 4);

export function entriesPerDescriptor(blockBytes: number): number {
  return Math.floor((blockBytes - JournalRecordAt.Body) / ENTRY_BYTES);
}

export function entriesPerRevocation(blockBytes: number): number {
  return Math.floor((blockBytes - JournalRecordAt.Body) / 4);
}

/** Where the checksums of a transaction start. */
export function transactionSeed(uuid: Uint8Array, sequence: number): number {
  setUint53(scratch, 0, sequence);
  return crc32(scratchBytes, crc32(uuid));
}

/** The next value of a commit record's checksum over records: of the record with this checksum, after those of `sum`. */
export function chainRecord(sum: number, checksum: number): number {
  scratch.setUint32(0, checksum, true);
  return crc32(scratchWord, sum);
}

export function imageChecksum(image: Uint8Array, seed: number): number {
  return crc32(image, seed);
}

/**
 * The same of a block that was sealed and not changed since, without reading it: `seal` is the checksum over all of it that
 * it holds at `fieldAt`, made from the seed 0 with that field zero.
 */
export function sealedImageChecksum(image: Uint8Array, seal: number, fieldAt: number, seed: number): number {
  const { length } = image;
  return (seal ^ zeroRun(length).register(seed) ^ zeroRun(length - fieldAt).register(seal)) >>> 0;
}

export function isRecordKind(word: number): boolean {
  return (
    word === JournalRecordKind.Descriptor || word === JournalRecordKind.Revocation || word === JournalRecordKind.Commit
  );
}

/** Makes an image what the log may hold; returns its flags. The image is escaped in place. */
export function escapeImage(view: DataView): number {
  const word = view.getUint32(0, true);
  if (!isRecordKind(word)) return 0;
  // What stood there is one of three words; the flags say which.
  view.setUint32(0, 0, true);
  return ImageFlag.Escaped | (((word >>> 24) & 0xff) << 8);
}

/** Undoes `escapeImage`. */
export function unescapeImage(view: DataView, flags: number): void {
  if ((flags & ImageFlag.Escaped) === 0) return;
  view.setUint32(0, (((flags >>> 8) & 0xff) << 24) | (JournalRecordKind.Descriptor & 0xff_ffff), true);
}

/** Empties a block and makes it a record; its body and `sealRecord` follow. */
export function beginRecord(
  view: DataView,
  bytes: Uint8Array,
  kind: JournalRecordKind,
  sequence: number,
  position: number,
  count: number,
): void {
  // A `fill` of shared memory takes many times as long.
  bytes.set(ZEROS.subarray(0, bytes.length));
  view.setUint32(JournalRecordAt.Kind, kind, true);
  setUint53(view, JournalRecordAt.Sequence, sequence);
  view.setUint32(JournalRecordAt.Position, position, true);
  view.setUint32(JournalRecordAt.Count, count, true);
}

/** Writes the record's checksum, and returns it; all from `usedBytes` on is zero. */
export function sealRecord(view: DataView, bytes: Uint8Array, usedBytes: number, seed: number): number {
  view.setUint32(JournalRecordAt.Checksum, 0, true);
  const isShort = usedBytes <= SHORT_RECORD_BYTES;
  const checksum = isShort
    ? zeroRun(bytes.length - SHORT_RECORD_BYTES).checksum(crc32(bytes.subarray(0, SHORT_RECORD_BYTES), seed))
    : crc32(bytes, seed);
  view.setUint32(JournalRecordAt.Checksum, checksum, true);
  return checksum;
}

export function writeImageEntry(view: DataView, index: number, block: number, flags: number, checksum: number): void {
  const at = JournalRecordAt.Body + index * ENTRY_BYTES;
  view.setUint32(at + DescriptorEntryAt.Block, block, true);
  view.setUint32(at + DescriptorEntryAt.Flags, flags, true);
  view.setUint32(at + DescriptorEntryAt.Checksum, checksum, true);
}

export function readImageEntry(view: DataView, index: number): ImageEntry {
  const at = JournalRecordAt.Body + index * ENTRY_BYTES;
  return {
    block: view.getUint32(at + DescriptorEntryAt.Block, true),
    flags: view.getUint32(at + DescriptorEntryAt.Flags, true),
    checksum: view.getUint32(at + DescriptorEntryAt.Checksum, true),
  };
}

export function writeRevoked(view: DataView, index: number, block: number): void {
  view.setUint32(JournalRecordAt.Body + index * 4, block, true);
}

export function readRevoked(view: DataView, index: number): number {
  return view.getUint32(JournalRecordAt.Body + index * 4, true);
}

/** The record's kind if its block holds one of this transaction at this place, intact; else 0. */
export function verifyRecord(
  view: DataView,
  bytes: Uint8Array,
  seed: number,
  sequence: number,
  position: number,
): JournalRecordKind | 0 {
  const kind = view.getUint32(JournalRecordAt.Kind, true);
  if (!isRecordKind(kind)) return 0;
  if (getUint53(view, JournalRecordAt.Sequence) !== sequence) return 0;
  if (view.getUint32(JournalRecordAt.Position, true) !== position) return 0;
  const checksum = view.getUint32(JournalRecordAt.Checksum, true);
  return checksum === checksumWithout(bytes, JournalRecordAt.Checksum, seed) ? kind : 0;
}

export function recordSequence(view: DataView): number {
  return getUint53(view, JournalRecordAt.Sequence);
}

export function recordCount(view: DataView): number {
  return view.getUint32(JournalRecordAt.Count, true);
}

export function recordChecksum(view: DataView): number {
  return view.getUint32(JournalRecordAt.Checksum, true);
}
