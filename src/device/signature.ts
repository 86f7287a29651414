/**
 * What a device holds already, by the magic bytes that file systems, volume managers, partition tables and disk images
 * leave. `createStore` refuses such a device unless told to overwrite it; `openStore` says what it found instead of a
 * store.
 *
 * Offsets are those of the formats' own documents, as blkid and libmagic know them. Reads only; owns no state.
 */
import { geometryFor, superblockCopyBlock } from '../format/geometry.js';
import { hasSuperblockMagic } from '../format/superblock.js';
import { KIB, MAX_BLOCK_BYTES, MIN_BLOCK_BYTES } from '../units.js';
import { allocateAligned } from './aligned-memory.js';
import type { Device } from './device.js';

export type SignatureKind = 'store' | 'file system' | 'volume' | 'swap' | 'partition table' | 'disk image' | 'database';

export interface Signature {
  /** As its users call it: 'ext4', 'LVM2 physical volume', … */
  name: string;
  kind: SignatureKind;
  /** Where the magic lies. */
  positionBytes: number;
}

type Magic = readonly [name: string, kind: SignatureKind, positionBytes: number, magic: string];

/** Enough for every magic that lies at the device's start. ZFS is the last: its labels fill 256 KiB. */
const HEAD_BYTES = 256 * KIB;
/** Enough for every magic that lies at the end: backup GPT, md 0.90 and 1.0. */
const TAIL_BYTES = 192 * KIB;

/** In order of trust: formats whose first sectors may look like another's come before that other. */
const MAGICS: readonly Magic[] = [
  ['LUKS encrypted volume', 'volume', 0, 'LUKS\xba\xbe'],
  ['LVM2 physical volume', 'volume', 536, 'LVM2 001'],
  ['LVM2 physical volume', 'volume', 24, 'LVM2 001'],
  ['LVM2 physical volume', 'volume', 1048, 'LVM2 001'],
  ['LVM2 physical volume', 'volume', 1560, 'LVM2 001'],
  ['md RAID member', 'volume', 4096, '\xfc\x4e\x2b\xa9'],
  ['md RAID member', 'volume', 0, '\xfc\x4e\x2b\xa9'],
  ['bcachefs', 'file system', 4120, '\xc6\x85\x73\xf6\x66\xce\x90\xa9\xd9\x6a\x60\xcf\x80\x3d\xf7\xef'],
  ['bcache device', 'volume', 4120, '\xc6\x85\x73\xf6\x4e\x1a\x45\xca\x82\x65\xf5\x7f\x48\xba\x6d\x81'],
  ['Ceph BlueStore', 'volume', 0, 'bluestore block device'],
  ['BitLocker volume', 'volume', 3, '-FVE-FS-'],
  ['XFS', 'file system', 0, 'XFSB'],
  ['btrfs', 'file system', 65600, '_BHRfS_M'],
  ['f2fs', 'file system', 1024, '\x10\x20\xf5\xf2'],
  ['EROFS', 'file system', 1024, '\xe2\xe1\xf5\xe0'],
  ['squashfs', 'file system', 0, 'hsqs'],
  ['squashfs', 'file system', 0, 'sqsh'],
  ['cramfs', 'file system', 0, '\x45\x3d\xcd\x28'],
  ['romfs', 'file system', 0, '-rom1fs-'],
  ['JFS', 'file system', 32768, 'JFS1'],
  ['ReiserFS', 'file system', 65588, 'ReIsEr'],
  ['Reiser4', 'file system', 65536, 'ReIsEr4'],
  ['GFS2', 'file system', 65536, '\x01\x16\x19\x70\x00\x00\x00\x01'],
  ['OCFS2', 'file system', 1024, 'OCFSV2'],
  ['OCFS2', 'file system', 2048, 'OCFSV2'],
  ['OCFS2', 'file system', 4096, 'OCFSV2'],
  ['OCFS2', 'file system', 8192, 'OCFSV2'],
  ['NILFS2', 'file system', 1024, '\x02\x00\x00\x00\x00\x00\x34\x34'],
  ['APFS', 'file system', 32, 'NXSB'],
  ['HFS+', 'file system', 1024, 'H+\x00\x04'],
  ['HFSX', 'file system', 1024, 'HX\x00\x05'],
  ['UFS2', 'file system', 66908, '\x19\x01\x54\x19'],
  ['ISO 9660', 'file system', 32769, 'CD001'],
  ['UDF', 'file system', 32769, 'BEA01'],
  ['UDF', 'file system', 32769, 'NSR0'],
  ['NTFS', 'file system', 3, 'NTFS    '],
  ['ReFS', 'file system', 3, 'ReFS\x00\x00\x00\x00'],
  ['exFAT', 'file system', 3, 'EXFAT   '],
  ['FAT', 'file system', 82, 'FAT32   '],
  ['FAT', 'file system', 54, 'FAT12   '],
  ['FAT', 'file system', 54, 'FAT16   '],
  ['FAT', 'file system', 54, 'FAT     '],
  ['qcow2 image', 'disk image', 0, 'QFI\xfb'],
  ['VMDK image', 'disk image', 0, 'KDMV'],
  ['VHDX image', 'disk image', 0, 'vhdxfile'],
  ['VDI image', 'disk image', 64, '\x7f\x10\xda\xbe'],
  ['SQLite database', 'database', 0, 'SQLite format 3\x00'],
];

const PAGE_SIZES = [4096, 8192, 16384, 32768, 65536];

/** What the device holds, or null when nothing is recognised. Throws what the device's reads throw. */
export function detectSignature(device: Device): Signature | null {
  const head = readRange(device, 0, HEAD_BYTES);
  return (
    findStore(device, head) ??
    findExt(head) ??
    findMagic(head) ??
    findSwap(head) ??
    findZfs(head) ??
    findGpt(head) ??
    findAtEnd(device) ??
    findMbr(head)
  );
}

/** For messages: 'ext4 file system', 'LVM2 physical volume', 'Linux swap'. */
export function describeSignature({ name, kind }: Signature): string {
  return kind === 'file system' ? `${name} file system` : name;
}

function readRange(device: Device, positionBytes: number, lengthBytes: number): Uint8Array {
  const bytes = allocateAligned(lengthBytes);
  const done = device.read([bytes], positionBytes);
  return bytes.subarray(0, done);
}

function matches(bytes: Uint8Array, at: number, magic: string): boolean {
  if (at + magic.length > bytes.length) return false;
  for (let i = 0; i < magic.length; i++) if (bytes[at + i] !== magic.charCodeAt(i)) return false;
  return true;
}

function u16(bytes: Uint8Array, at: number): number {
  return at + 2 <= bytes.length ? bytes[at] | (bytes[at + 1] << 8) : 0;
}

function u32(bytes: Uint8Array, at: number): number {
  return u16(bytes, at) + u16(bytes, at + 2) * 0x1_0000;
}

/** Our own superblock; where the first is gone, its copy at the end tells. */
function findStore(device: Device, head: Uint8Array): Signature | null {
  if (head.length >= 8 && hasSuperblockMagic(head)) return { name: 'Emmental store', kind: 'store', positionBytes: 0 };
  for (let blockBytes = MIN_BLOCK_BYTES; blockBytes <= MAX_BLOCK_BYTES; blockBytes *= 2) {
    const geometry = geometryFor(device.sizeBytes, blockBytes);
    if (geometry === null) break;
    const positionBytes = superblockCopyBlock(geometry) * blockBytes;
    if (hasSuperblockMagic(readRange(device, positionBytes, MIN_BLOCK_BYTES))) {
      return { name: 'Emmental store with a damaged first block', kind: 'store', positionBytes };
    }
  }
  return null;
}

/** The ext family has one magic; features tell its members. */
function findExt(head: Uint8Array): Signature | null {
  const logBlockBytes = u32(head, 1048);
  if (u16(head, 1080) !== 0xef53 || logBlockBytes > 6) return null;
  const compatible = u32(head, 1116);
  const incompatible = u32(head, 1120);
  const readOnlyCompatible = u32(head, 1124);
  const hasJournal = (compatible & 0x4) !== 0;
  const journalDevice = (incompatible & 0x8) !== 0;
  const ext4 = (incompatible & ~0x1f) !== 0 || (readOnlyCompatible & ~0x7) !== 0;
  const name = journalDevice ? 'ext journal' : ext4 ? 'ext4' : hasJournal ? 'ext3' : 'ext2';
  return { name, kind: 'file system', positionBytes: 1080 };
}

function findMagic(head: Uint8Array): Signature | null {
  for (const [name, kind, positionBytes, magic] of MAGICS) {
    if (matches(head, positionBytes, magic)) return { name, kind, positionBytes };
  }
  return null;
}

/** Swap's magic ends the first page of whichever machine made it. */
function findSwap(head: Uint8Array): Signature | null {
  for (const pageBytes of PAGE_SIZES) {
    const at = pageBytes - 10;
    for (const magic of ['SWAPSPACE2', 'SWAP-SPACE', 'S1SUSPEND', 'S2SUSPEND']) {
      if (matches(head, at, magic)) return { name: 'Linux swap', kind: 'swap', positionBytes: at };
    }
  }
  return null;
}

/** Uberblocks of the first ZFS label: an array of 1 KiB slots in its second half, in either byte order. */
function findZfs(head: Uint8Array): Signature | null {
  for (let at = 128 * KIB; at + 8 <= head.length; at += KIB) {
    if (matches(head, at, '\x0c\xb1\xba\0\0\0\0\0') || matches(head, at, '\0\0\0\0\0\xba\xb1\x0c')) {
      return { name: 'ZFS pool member', kind: 'volume', positionBytes: at };
    }
  }
  return null;
}

function findGpt(head: Uint8Array): Signature | null {
  for (const sectorBytes of [512, 4096]) {
    if (matches(head, sectorBytes, 'EFI PART')) {
      return { name: 'GPT partition table', kind: 'partition table', positionBytes: sectorBytes };
    }
  }
  return null;
}

/** A backup GPT in the last sector, and the md versions that write at the end. */
function findAtEnd(device: Device): Signature | null {
  const start = Math.max(0, Math.floor((device.sizeBytes - TAIL_BYTES) / MIN_BLOCK_BYTES) * MIN_BLOCK_BYTES);
  const tail = readRange(device, start, TAIL_BYTES + MIN_BLOCK_BYTES);
  const sectors = Math.floor(device.sizeBytes / 512);
  const md090 = Math.floor(device.sizeBytes / 65536 - 1) * 65536;
  const md10 = Math.floor((sectors - 16) / 8) * 8 * 512;
  for (const position of [md090, md10]) {
    if (position >= start && matches(tail, position - start, '\xfc\x4e\x2b\xa9')) {
      return { name: 'md RAID member', kind: 'volume', positionBytes: position };
    }
  }
  for (const sectorBytes of [512, 4096]) {
    const position = Math.floor(device.sizeBytes / sectorBytes - 1) * sectorBytes;
    if (position >= start && matches(tail, position - start, 'EFI PART')) {
      return { name: 'GPT partition table (backup)', kind: 'partition table', positionBytes: position };
    }
  }
  return null;
}

/** The boot signature alone says little; a partition entry that makes sense must be there too. */
function findMbr(head: Uint8Array): Signature | null {
  if (u16(head, 510) !== 0xaa55) return null;
  let partitions = 0;
  for (let at = 446; at < 510; at += 16) {
    const active = head[at];
    if (active !== 0 && active !== 0x80) return null;
    if (head[at + 4] !== 0 && u32(head, at + 12) !== 0) partitions += 1;
  }
  if (partitions === 0) return { name: 'boot sector', kind: 'partition table', positionBytes: 510 };
  return { name: 'MBR partition table', kind: 'partition table', positionBytes: 510 };
}
