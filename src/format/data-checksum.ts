/**
 * The checksum of a data block, on stores that have them: CRC-32 of the block, begun from the file that it belongs to. So a
 * block that a stale map leads to, and that is another file's by now, does not verify either.
 */
import { crc32 } from 'node:zlib';

export function dataChecksum(bytes: Uint8Array, ino: number, generation: number): number {
  return crc32(bytes, (Math.imul(ino, 0x9e37_79b1) ^ generation) >>> 0);
}
