/**
 * Guesses in which frame a page is, from where pages of its file were found before: a file that was read or written in
 * order lies in frames in order. A right guess saves the look into the hash table, which is as large as the processor's
 * cache and is read at random.
 *
 * It is a hint. Whoever takes it looks at the frame's identity as he would at the end of a chain (pagecache/page.ts argues
 * for any frame whatever). Nothing is guessed before two pages in a row lay alike, and no more once a guess was wrong: where
 * frames lie in no order it costs a comparison.
 *
 * One per thread, none of it shared. Files whose slots are equal modulo FILES disturb each other.
 */
import type { Frame, Slot } from '../units.js';

/** A power of two. */
const FILES = 64;

export class FrameGuess {
  /** Frame less page index, modulo 2^32. */
  private readonly distances = new Int32Array(FILES);
  private readonly trusted = new Uint8Array(FILES);

  constructor(private readonly frames: number) {}

  /** A frame, or 0: no guess. */
  frameOf(slot: Slot, index: number): Frame {
    const at = slot & (FILES - 1);
    if (this.trusted[at] === 0) return 0 as Frame;
    const frame = (index + this.distances[at]) | 0;
    return (frame > 0 && frame <= this.frames ? frame : 0) as Frame;
  }

  /** The page was found there. */
  learn(slot: Slot, index: number, frame: Frame): void {
    const at = slot & (FILES - 1);
    const distance = (frame - index) | 0;
    this.trusted[at] = distance === this.distances[at] ? 1 : 0;
    this.distances[at] = distance;
  }
}
