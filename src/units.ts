/**
 * Numbers of the engine, and the types that keep them apart.
 *
 * Page, block and inode numbers are unsigned 32-bit, so that they fit an atomic word. Bytes are doubles made by
 * multiplication, never by shifts (a shift wraps at 2^31).
 */

declare const brand: unique symbol;
type Branded<T, Name extends string> = T & { readonly [brand]: Name };

/** A block of the device, counted in blocks from its start. */
export type BlockNumber = Branded<number, 'BlockNumber'>;
/** A page of a file, counted in blocks from the file's start. */
export type PageIndex = Branded<number, 'PageIndex'>;
/** An inode's number on the device. 1 is the inode table itself; files start at 2. */
export type InodeNumber = Branded<number, 'InodeNumber'>;
/** A page frame of the cache. 0 means none; frames are 1 … frames. */
export type Frame = Branded<number, 'Frame'>;
/** A slot of the in-core inode table; also the number of that inode's mapping in the page cache. 0 is the metadata mapping. */
export type Slot = Branded<number, 'Slot'>;

export const MIN_BLOCK_BYTES = 4096;
export const MAX_BLOCK_BYTES = 65536;
/** Blocks are numbered by 32 bits, and the last number means "none". */
export const MAX_BLOCKS = 0xffff_fffe;
/** Pages of one file; the same bound, so that a page index fits a word. */
export const MAX_FILE_PAGES = 0xffff_fffe;
export const MAX_NAME_BYTES = 255;

export const KIB = 1024;
export const MIB = 1024 * 1024;
export const GIB = 1024 * 1024 * 1024;

export function divideUp(value: number, by: number): number {
  return Math.ceil(value / by);
}

/** The page that holds the byte at `positionBytes`. */
export function pageOf(positionBytes: number, blockBytes: number): PageIndex {
  return Math.floor(positionBytes / blockBytes) as PageIndex;
}

/** The first page that starts at or after `positionBytes`. */
export function pageAtOrAfter(positionBytes: number, blockBytes: number): PageIndex {
  return Math.ceil(positionBytes / blockBytes) as PageIndex;
}

export function isPowerOfTwo(value: number): boolean {
  return Number.isSafeInteger(value) && value > 0 && 2 ** Math.round(Math.log2(value)) === value;
}
