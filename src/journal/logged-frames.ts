/**
 * Metadata pages whose newest committed content is in the log and not yet in place. Such a page is pinned, so that nobody
 * reads the old block from its place; a checkpoint lets it go.
 *
 * 1. A frame's word in `loggedFrames` is the low word of the last log transaction that holds its content, and goes with one
 *    pin. Whoever exchanges it for 0 owns the pin.
 * 2. A freed block's page is detached first, then its word is taken (`forget`). A commit writes the word first, then looks
 *    whether the page is detached. So one of them lets go of it, and a detached frame has no word for long.
 *
 * Any thread.
 */
import type { PageCache } from '../pagecache/page-cache.js';
import type { Arena } from '../sync/arena.js';
import { Journal as Word } from '../sync/layout.js';
import type { Frame } from '../units.js';
import { reached } from './transaction-number.js';

/** The word of a page that log transaction `sequence` holds; never 0. Two numbers in 2^32 share theirs. */
export function logMark(sequence: number): number {
  return sequence | 0 || 1;
}

export class LoggedFrames {
  private readonly words: Int32Array;
  private readonly at: number;
  private readonly countAt: number;
  private readonly frames: number;

  constructor(
    arena: Arena,
    private readonly cache: PageCache,
  ) {
    this.words = arena.words;
    this.at = arena.layout.loggedFrames;
    this.countAt = arena.layout.journal + Word.LoggedFrames;
    this.frames = arena.layout.frames;
  }

  get count(): number {
    return Atomics.load(this.words, this.countAt);
  }

  /** The page's content is in log transaction `sequence`. Takes over the caller's pin. */
  add(frame: Frame, sequence: number): void {
    const mark = logMark(sequence);
    if (Atomics.exchange(this.words, this.at + frame, mark) !== 0) this.cache.unpin(frame);
    else Atomics.add(this.words, this.countAt, 1);
    if (this.cache.isDetached(frame)) this.forget(frame);
  }

  /** The block is freed, and its page detached; the caller has it pinned. */
  forget(frame: Frame): void {
    if (Atomics.exchange(this.words, this.at + frame, 0) !== 0) this.letGo(frame);
  }

  /** All that transactions up to `sequence` hold is in place. */
  release(sequence: number): void {
    const { words, at } = this;
    for (let frame = 1; frame <= this.frames; frame++) {
      const mark = words[at + frame];
      if (mark === 0 || !reached(sequence | 0, mark)) continue;
      if (Atomics.compareExchange(words, at + frame, mark, 0) === mark) this.letGo(frame as Frame);
    }
  }

  private letGo(frame: Frame): void {
    Atomics.sub(this.words, this.countAt, 1);
    this.cache.unpin(frame);
  }
}
