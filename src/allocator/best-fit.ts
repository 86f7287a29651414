/**
 * Choosing a run of free blocks in one group: right at the goal if there is room, else the run that fits best.
 *
 * Bits are the group's block offsets; a bitmap is words and the word where it starts (format/bitmap.ts). Works on words
 * that the caller holds still: the group's bitmap, or a copy of it overlaid with exclusions. An instance is one thread's,
 * and its result holds until the next search.
 */

import { nextUsed } from '../format/bitmap.js';
import { HEADER_WORDS } from '../format/block-header.js';

/** So short a run at the goal is left to those who look for short ones, unless it is all that is asked for. */
const CONTINUATION_MIN = 8;
const ALL = 0xffff_ffff;

export class BestFit {
  /** First bit, and bits, of the run found; length 0: nothing is free. */
  start = 0;
  length = 0;
  /** The longest free run of the group, or -1 where the search ended before knowing. */
  longest = -1;
  private want = 0;
  private best = 0;
  private bestStart = 0;
  private longestSeen = 0;

  /**
   * Finds the run for `want` blocks among bits [0, end): at most `want` long, shorter only where no run is that long. Among
   * runs that fit equally well the first at or after the goal wins, so that neighbours in a file stay neighbours.
   */
  find(words: Uint32Array, baseWord: number, end: number, want: number, goal: number): void {
    const from = goal < end ? goal : 0;
    const stop = nextUsed(words, baseWord, from, Math.min(end, from + want));
    const atGoal = stop - from;
    this.longest = -1;
    if (atGoal > 0 && atGoal >= Math.min(want, CONTINUATION_MIN)) {
      this.start = from;
      this.length = atGoal;
      return;
    }
    this.want = want;
    this.best = 0;
    this.bestStart = 0;
    this.longestSeen = 0;
    // The run at the goal ends at `stop`, since it is short; it belongs to the second part, where it is seen whole.
    const isExact = this.scan(words, baseWord, stop, end) || this.scan(words, baseWord, 0, stop);
    this.start = this.bestStart;
    this.length = Math.min(this.best, want);
    if (!isExact) this.longest = this.longestSeen;
  }

  /** Looks at the runs in [from, to), neither of which cuts one; true when a run of exactly the wanted length ends it. */
  private scan(words: Uint32Array, baseWord: number, from: number, to: number): boolean {
    if (from >= to) return false;
    const base = baseWord + HEADER_WORDS;
    const first = from >>> 5;
    const last = (to - 1) >>> 5;
    let start = 0;
    let length = 0;
    for (let word = first; word <= last; word++) {
      let used = words[base + word];
      if (word === first) used |= ~(ALL << (from & 31));
      if (word === last) used |= ~(ALL >>> (31 - ((to - 1) & 31)));
      used |= 0;
      if (used === 0) {
        if (length === 0) start = word * 32;
        length += 32;
        continue;
      }
      if (used === -1) {
        if (length > 0 && this.consider(start, length)) return true;
        length = 0;
        continue;
      }
      const low = 31 - Math.clz32(used & -used);
      if (low > 0 && length === 0) start = word * 32;
      length += low;
      if (length > 0 && this.consider(start, length)) return true;
      const high = Math.clz32(used);
      length = high;
      start = word * 32 + 32 - high;
      if (low + high < 31 && this.scanInside(~used & (ALL << low) & (ALL >>> high), word * 32)) return true;
    }
    return length > 0 && this.consider(start, length);
  }

  /** Looks at the runs inside one word, given as ones; touching neither end, they are at most 30 long. */
  private scanInside(free: number, bit: number): boolean {
    if (free === 0) return false;
    let longest = 0;
    for (let rest = free; rest !== 0; rest &= rest << 1) longest += 1;
    const isUseful = this.best >= this.want ? longest >= this.want : longest > this.best;
    if (!isUseful && longest <= this.longestSeen) return false;
    for (let rest = free; rest !== 0; ) {
      const from = 31 - Math.clz32(rest & -rest);
      const after = ~rest & (ALL << from);
      const to = 31 - Math.clz32(after & -after);
      if (this.consider(bit + from, to - from)) return true;
      rest &= ALL << to;
    }
    return false;
  }

  /** Keeps the shortest run that suffices; while none does, the longest. True: it cannot get better. */
  private consider(start: number, length: number): boolean {
    const { want, best } = this;
    if (length > this.longestSeen) this.longestSeen = length;
    if (best >= want ? length >= want && length < best : length > best) {
      this.best = length;
      this.bestStart = start;
    }
    return length === want;
  }
}
