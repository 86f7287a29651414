/**
 * Reads every written block of every file, and compares it with its checksum.
 *
 * What does not match is a finding, and no repair mends it: the content is not to be had any more, and reading it goes on
 * being an error. Only a new content of the page ends that.
 */
import { allocateAligned } from '../../device/aligned-memory.js';
import { dataChecksum } from '../../format/data-checksum.js';
import { checksumTableOf, groupOf } from '../../format/geometry.js';
import type { ChecksumTables } from './checksum-tables.js';
import { FileWalk } from './file-walk.js';
import { Findings } from './findings.js';
import type { InodeScan } from './inode-scan.js';
import { Ownership } from './ownership.js';
import type { StoreImage } from './store-image.js';

/** Blocks read at once. */
const RUN_BLOCKS = 64;

export function checkData(image: StoreImage, scan: InodeScan, tables: ChecksumTables, findings: Findings): void {
  const told = new Set<number>();
  eachDataBlock(image, scan, (ino, page, block, bytes) => {
    const where = { ino, block };
    if (!tables.has(block)) {
      const group = groupOf(image.superblock, block);
      const table = checksumTableOf(image.superblock, block);
      if (told.has(group * 32 + table)) return;
      told.add(group * 32 + table);
      findings.add('CHECKSUM_BLOCK', `checksum block ${table} of group ${group} is missing or damaged`, where);
    } else if (bytes === null) {
      findings.add('IO', `block ${block}, page ${page} of inode ${ino}, cannot be read`, where);
    } else if (dataChecksum(bytes, ino, scan.generation[ino]) !== tables.expected(block)) {
      const position = page * image.blockBytes;
      const message = `inode ${ino}: the content at position ${position}, block ${block}, does not match its checksum`;
      findings.add('DATA', message, where);
    }
  });
}

/** Calls `visit` with every written block of every file; `bytes` are null where they cannot be read, and go afterwards. */
export function eachDataBlock(
  image: StoreImage,
  scan: InodeScan,
  visit: (ino: number, page: number, block: number, bytes: Uint8Array | null) => void,
): void {
  const { blockBytes } = image;
  const run = allocateAligned(RUN_BLOCKS * blockBytes);
  const single = image.buffer();
  let ino = 0;
  const extent = (page: number, block: number, length: number, unwritten: boolean): void => {
    if (unwritten) return;
    for (let done = 0; done < length; ) {
      const count = Math.min(RUN_BLOCKS, length - done);
      const isRead = image.readRun(block + done, count, run);
      for (let i = 0; i < count; i++, done++) {
        let bytes: Uint8Array | null = null;
        if (isRead) bytes = run.subarray(i * blockBytes, (i + 1) * blockBytes);
        else if (image.read(block + done, single, new Findings())) bytes = single.bytes;
        visit(ino, page + done, block + done, bytes);
      }
    }
  };
  const visitor = { extent };
  new FileWalk(image, scan, new Ownership(image.superblock), new Findings()).walk((next) => {
    ino = next;
    return visitor;
  });
}
