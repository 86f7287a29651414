/**
 * Every block content that a run has seen, by number: an image of a device is then an array of numbers, one a block, two
 * images are compared by comparing numbers, and a thousand images of a run share their bytes.
 *
 * Number 0 is zeros. Contents are never changed and never forgotten; callers that run for long make a new table now and
 * then. One thread.
 */
import { hash } from 'node:crypto';

export const ZEROS = 0;

export class BlockContents {
  /** The newest content with a hash, and for each content the next older one with its hash: -1 is none. */
  private readonly newest = new Map<number, number>();
  private readonly older: number[] = [];
  private readonly contents: Uint8Array[] = [];
  private readonly scratch: Uint8Array;
  private readonly words: Uint32Array;

  constructor(readonly blockBytes: number) {
    this.scratch = new Uint8Array(blockBytes);
    this.words = new Uint32Array(this.scratch.buffer);
    this.number(new Uint8Array(blockBytes));
  }

  get count(): number {
    return this.contents.length;
  }

  /** The number of a content of one block; shorter bytes have zeros behind them. The bytes are copied. */
  number(bytes: Uint8Array): number {
    // Comparing wants memory that is not shared.
    this.scratch.set(bytes);
    if (bytes.length < this.blockBytes) this.scratch.fill(0, bytes.length);
    const key = hashOf(this.words);
    const newest = this.newest.get(key) ?? -1;
    for (let known = newest; known >= 0; known = this.older[known]) {
      if (Buffer.compare(this.contents[known], this.scratch) === 0) return known;
    }
    const number = this.contents.length;
    this.contents.push(this.scratch.slice());
    this.older.push(newest);
    this.newest.set(key, number);
    return number;
  }

  /** The bytes of a content; not to be changed. */
  bytes(number: number): Uint8Array {
    return this.contents[number];
  }
}

const HEADER_WORDS = 8;
const LINE_WORDS = 16;

/** Of the header and of one word of each line: what differs elsewhere alone is told apart by comparing. */
function hashOf(words: Uint32Array): number {
  let hash = 0;
  for (let i = 0; i < HEADER_WORDS; i++) hash = (Math.imul(hash, 0x01000193) ^ words[i]) | 0;
  for (let at = 0, line = 0; at < words.length; at += LINE_WORDS, line++) {
    hash = (Math.imul(hash, 0x01000193) ^ words[at + (line % LINE_WORDS)]) | 0;
  }
  return hash;
}

/** What a device holds: the number of each block's content. */
export type Image = Int32Array;

/** A short text that tells images apart. */
export function keyOf(image: Image): string {
  const bytes = new Uint8Array(image.buffer, image.byteOffset, image.byteLength);
  return hash('sha1', bytes, 'binary');
}
