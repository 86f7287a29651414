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
  private readonly numbers = new Map<string, number>();
  private readonly contents: Uint8Array[] = [];
  private readonly scratch: Uint8Array;

  constructor(readonly blockBytes: number) {
    this.scratch = new Uint8Array(blockBytes);
    this.number(new Uint8Array(blockBytes));
  }

  get count(): number {
    return this.contents.length;
  }

  /** The number of a content of one block; shorter bytes have zeros behind them. The bytes are copied. */
  number(bytes: Uint8Array): number {
    // Hashing wants memory that is not shared.
    this.scratch.set(bytes);
    if (bytes.length < this.blockBytes) this.scratch.fill(0, bytes.length);
    const key = hash('sha1', this.scratch, 'binary');
    const known = this.numbers.get(key);
    if (known !== undefined) return known;
    const number = this.contents.length;
    this.contents.push(this.scratch.slice());
    this.numbers.set(key, number);
    return number;
  }

  /** The bytes of a content; not to be changed. */
  bytes(number: number): Uint8Array {
    return this.contents[number];
  }
}

/** What a device holds: the number of each block's content. */
export type Image = Int32Array;

/** A short text that tells images apart. */
export function keyOf(image: Image): string {
  const bytes = new Uint8Array(image.buffer, image.byteOffset, image.byteLength);
  return hash('sha1', bytes, 'binary');
}
