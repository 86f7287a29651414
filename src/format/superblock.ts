/**
 * The superblock: the first 4096 bytes of the device whatever the block size, and a copy in the store's last block. Says
 * what the store is, and where everything else is found.
 *
 * Two uses. Opening and `check` decode it whole (`readSuperblock`, `validateSuperblock`). While the store is open it is
 * a cached metadata block whose counters are written in place at the `SuperblockAt` offsets; `sealSuperblock` makes the
 * copy that goes to the device. The record of inode 1 (the inode table) lies inside it and is an inode record like any
 * other (inode-record.ts).
 */
import { crc32 } from 'node:zlib';
import { checksumWithout } from './block-header.js';
import { type Geometry, validateGeometry } from './geometry.js';
import { getUint53, setUint53 } from './uint53.js';

/** Byte offsets. */
export const enum SuperblockAt {
  /** 'EMMENTAL' */
  Magic = 0,
  Checksum = 8,
  VersionMajor = 12,
  VersionMinor = 14,
  /** Feature bits: a reader that does not know one must not open the store. */
  Incompatible = 16,
  /** Feature bits: a reader that does not know one must not write to the store. */
  ReadOnlyCompatible = 20,
  /** Feature bits that anybody may ignore. */
  Compatible = 24,
  State = 28,
  Uuid = 32,
  Label = 48,
  BlockBytes = 112,
  Blocks = 116,
  BlocksPerGroup = 120,
  Groups = 124,
  GroupsInitialised = 128,
  JournalStart = 132,
  JournalBlocks = 136,
  NameRoot = 140,
  InodeHighWater = 144,
  InodeFreeHead = 148,
  OrphanHead = 152,
  Files = 156,
  BlocksFree = 160,
  Mounts = 164,
  CreatedMs = 168,
  Transaction = 176,
  NextGeneration = 184,
  /** Which copy this is: its own block number. */
  Block = 188,
  WrittenMs = 192,
  Reserved = 200,
  InodeTableRecord = 256,
  Rest = 512,
  End = 4096,
}

export const SUPERBLOCK_BYTES = 4096;
export const UUID_BYTES = 16;
export const MAX_LABEL_BYTES = 64;
export const VERSION_MAJOR = 2;
export const VERSION_MINOR = 0;
const MAGIC = new TextEncoder().encode('EMMENTAL');

/** Bits of `incompatible`. */
export const enum Incompatible {
  /** Every data block has a checksum: see checksumBlocks in geometry.ts. */
  DataChecksums = 1,
}

/** Feature bits that this code can handle. */
const KNOWN_INCOMPATIBLE = Incompatible.DataChecksums;
const KNOWN_READ_ONLY_COMPATIBLE = 0;

export const enum DiskState {
  Clean = 1,
  /** Open, or not closed properly. */
  Open = 2,
  /** An error was found in the metadata. */
  Error = 4,
}

export interface Superblock extends Geometry {
  versionMajor: number;
  versionMinor: number;
  incompatible: number;
  readOnlyCompatible: number;
  compatible: number;
  state: DiskState;
  uuid: Uint8Array;
  label: string;
  /** Groups below this one have a bitmap on the device; all blocks of later ones are free but for the fixed ones. */
  groupsInitialised: number;
  /** Root node of the name tree. */
  nameRoot: number;
  /** First inode number for which the inode table has no record yet. */
  inodeHighWater: number;
  /** First inode of the list of free records, 0 if none. */
  inodeFreeHead: number;
  /** First inode of the list of inodes to be freed or truncated after a crash, 0 if none. */
  orphanHead: number;
  files: number;
  blocksFree: number;
  mounts: number;
  createdMs: number;
  /** Last transaction. */
  transaction: number;
  /** Generation that the next new inode gets. */
  nextGeneration: number;
  writtenMs: number;
}

/** Whether the bytes at `at` claim to be a superblock of this engine, valid or not. */
export function hasSuperblockMagic(bytes: Uint8Array, at = 0): boolean {
  for (let i = 0; i < MAGIC.length; i++) if (bytes[at + i] !== MAGIC[i]) return false;
  return true;
}

/** Decodes the superblock at byte `at`. The label is decoded leniently; `validateSuperblock` judges the numbers. */
export function readSuperblock(view: DataView, at = 0): Superblock {
  const u32 = (field: SuperblockAt): number => view.getUint32(at + field, true);
  const raw = (field: SuperblockAt, length: number): Uint8Array =>
    new Uint8Array(view.buffer, view.byteOffset + at + field, length).slice();
  const label = raw(SuperblockAt.Label, MAX_LABEL_BYTES);
  const labelEnd = label.indexOf(0);
  return {
    versionMajor: view.getUint16(at + SuperblockAt.VersionMajor, true),
    versionMinor: view.getUint16(at + SuperblockAt.VersionMinor, true),
    incompatible: u32(SuperblockAt.Incompatible),
    dataChecksums: (u32(SuperblockAt.Incompatible) & Incompatible.DataChecksums) !== 0,
    readOnlyCompatible: u32(SuperblockAt.ReadOnlyCompatible),
    compatible: u32(SuperblockAt.Compatible),
    state: u32(SuperblockAt.State),
    uuid: raw(SuperblockAt.Uuid, UUID_BYTES),
    label: Buffer.from(labelEnd < 0 ? label : label.subarray(0, labelEnd)).toString('utf8'),
    blockBytes: u32(SuperblockAt.BlockBytes),
    blocks: u32(SuperblockAt.Blocks),
    blocksPerGroup: u32(SuperblockAt.BlocksPerGroup),
    groups: u32(SuperblockAt.Groups),
    groupsInitialised: u32(SuperblockAt.GroupsInitialised),
    journalStart: u32(SuperblockAt.JournalStart),
    journalBlocks: u32(SuperblockAt.JournalBlocks),
    nameRoot: u32(SuperblockAt.NameRoot),
    inodeHighWater: u32(SuperblockAt.InodeHighWater),
    inodeFreeHead: u32(SuperblockAt.InodeFreeHead),
    orphanHead: u32(SuperblockAt.OrphanHead),
    files: u32(SuperblockAt.Files),
    blocksFree: u32(SuperblockAt.BlocksFree),
    mounts: u32(SuperblockAt.Mounts),
    createdMs: view.getFloat64(at + SuperblockAt.CreatedMs, true),
    transaction: getUint53(view, at + SuperblockAt.Transaction),
    nextGeneration: u32(SuperblockAt.NextGeneration),
    writtenMs: view.getFloat64(at + SuperblockAt.WrittenMs, true),
  };
}

/** Encodes all fields of `s` at byte `at`; the inode table's record, the reserved bytes and the seal stay as they are. */
export function writeSuperblock(view: DataView, at: number, s: Superblock): void {
  const u32 = (field: SuperblockAt, value: number): void => view.setUint32(at + field, value, true);
  const raw = (field: SuperblockAt, length: number): Uint8Array =>
    new Uint8Array(view.buffer, view.byteOffset + at + field, length);
  raw(SuperblockAt.Magic, MAGIC.length).set(MAGIC);
  view.setUint16(at + SuperblockAt.VersionMajor, s.versionMajor, true);
  view.setUint16(at + SuperblockAt.VersionMinor, s.versionMinor, true);
  u32(SuperblockAt.Incompatible, s.incompatible);
  u32(SuperblockAt.ReadOnlyCompatible, s.readOnlyCompatible);
  u32(SuperblockAt.Compatible, s.compatible);
  u32(SuperblockAt.State, s.state);
  raw(SuperblockAt.Uuid, UUID_BYTES).set(s.uuid);
  const label = raw(SuperblockAt.Label, MAX_LABEL_BYTES);
  label.fill(0);
  label.set(new TextEncoder().encode(s.label));
  u32(SuperblockAt.BlockBytes, s.blockBytes);
  u32(SuperblockAt.Blocks, s.blocks);
  u32(SuperblockAt.BlocksPerGroup, s.blocksPerGroup);
  u32(SuperblockAt.Groups, s.groups);
  u32(SuperblockAt.GroupsInitialised, s.groupsInitialised);
  u32(SuperblockAt.JournalStart, s.journalStart);
  u32(SuperblockAt.JournalBlocks, s.journalBlocks);
  u32(SuperblockAt.NameRoot, s.nameRoot);
  u32(SuperblockAt.InodeHighWater, s.inodeHighWater);
  u32(SuperblockAt.InodeFreeHead, s.inodeFreeHead);
  u32(SuperblockAt.OrphanHead, s.orphanHead);
  u32(SuperblockAt.Files, s.files);
  u32(SuperblockAt.BlocksFree, s.blocksFree);
  u32(SuperblockAt.Mounts, s.mounts);
  view.setFloat64(at + SuperblockAt.CreatedMs, s.createdMs, true);
  setUint53(view, at + SuperblockAt.Transaction, s.transaction);
  u32(SuperblockAt.NextGeneration, s.nextGeneration);
  view.setFloat64(at + SuperblockAt.WrittenMs, s.writtenMs, true);
}

/**
 * Makes the copy that goes to `block` (0, or the last one), and returns its checksum. `bytes` begin with the superblock and
 * may be longer.
 */
export function sealSuperblock(bytes: Uint8Array, block: number, transaction: number, nowMs: number): number {
  const own = bytes.subarray(0, SUPERBLOCK_BYTES);
  const view = new DataView(own.buffer, own.byteOffset, SUPERBLOCK_BYTES);
  view.setUint32(SuperblockAt.Block, block, true);
  setUint53(view, SuperblockAt.Transaction, transaction);
  view.setFloat64(SuperblockAt.WrittenMs, nowMs, true);
  view.setUint32(SuperblockAt.Checksum, 0, true);
  const checksum = crc32(own);
  view.setUint32(SuperblockAt.Checksum, checksum, true);
  return checksum;
}

/** Why `bytes`, read from `block`, do not begin with an intact superblock, or null when they do. */
export function verifySuperblock(bytes: Uint8Array, block: number): string | null {
  if (bytes.length < SUPERBLOCK_BYTES) return `only ${bytes.length} bytes`;
  if (!hasSuperblockMagic(bytes)) return 'no superblock magic';
  const own = bytes.subarray(0, SUPERBLOCK_BYTES);
  const view = new DataView(own.buffer, own.byteOffset, SUPERBLOCK_BYTES);
  if (view.getUint32(SuperblockAt.Checksum, true) !== checksumWithout(own, SuperblockAt.Checksum)) {
    return 'checksum mismatch';
  }
  const found = view.getUint32(SuperblockAt.Block, true);
  if (found !== block) return `belongs to block ${found}`;
  return null;
}

/** Why this code cannot tell what an intact superblock means, or null: it is of another format version. */
export function versionProblem(s: Superblock): string | null {
  if (s.versionMajor === VERSION_MAJOR) return null;
  const which = s.versionMajor > VERSION_MAJOR ? 'newer' : 'older';
  const own = `${VERSION_MAJOR}.${VERSION_MINOR}`;
  return `the store has format version ${s.versionMajor}.${s.versionMinor}, ${which} than ${own}, which this code reads`;
}

/** Why an intact superblock describes no store that this code can open on a device of `deviceBytes`, or null. */
export function validateSuperblock(s: Superblock, deviceBytes: number): string | null {
  const version = versionProblem(s);
  if (version !== null) return version;
  const unknown = s.incompatible & ~KNOWN_INCOMPATIBLE;
  if (unknown !== 0) return `unknown incompatible features 0x${(unknown >>> 0).toString(16)}`;
  const geometry = validateGeometry(s);
  if (geometry !== null) return `impossible geometry: ${geometry}`;
  if (s.blocks * s.blockBytes > deviceBytes) {
    return `the store needs ${s.blocks * s.blockBytes} bytes, the device has ${deviceBytes}`;
  }
  if (s.state !== DiskState.Clean && s.state !== DiskState.Open && s.state !== DiskState.Error) {
    return `unknown state ${s.state}`;
  }
  if (s.groupsInitialised < 1 || s.groupsInitialised > s.groups) return `${s.groupsInitialised} initialised groups`;
  if (s.nameRoot === 0 || s.nameRoot >= s.blocks) return `name tree at block ${s.nameRoot}`;
  if (s.inodeHighWater < 2) return `inode high-water mark ${s.inodeHighWater}`;
  if (s.inodeFreeHead >= s.inodeHighWater || s.orphanHead >= s.inodeHighWater) return 'inode list past the inode table';
  if (s.blocksFree > s.blocks) return `${s.blocksFree} of ${s.blocks} blocks free`;
  return null;
}

/** Whether the store has a feature that this code can read but must not write to. */
export function mustOpenReadOnly(s: Superblock): boolean {
  return (s.readOnlyCompatible & ~KNOWN_READ_ONLY_COMPATIBLE) !== 0;
}
