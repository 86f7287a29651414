/**
 * Choosing a run of free blocks in one group: right at the goal if there is room, else the run that fits best.
 *
 * Bits are the group's block offsets; a bitmap is words and the word where it starts (format/bitmap.ts). Pure functions
 * on words that the caller holds still: the group's bitmap, or a copy of it overlaid with exclusions.
 */
import { nextFree, nextUsed } from '../format/bitmap.js';

/** So short a run at the goal is left to those who look for short ones, unless it is all that is asked for. */
const CONTINUATION_MIN = 8;

export class FoundRun {
  /** First bit, and bits; length 0: nothing is free. */
  start = 0;
  length = 0;
  /** The longest free run of the group, or -1 where the search ended before knowing. */
  longest = -1;
}

/**
 * Finds the run for `want` blocks among bits [0, end): at most `want` long, shorter only where no run is that long.
 * Among runs that fit equally well the first at or after the goal wins, so that neighbours in a file stay neighbours.
 */
export function findRun(
  words: Uint32Array,
  baseWord: number,
  end: number,
  want: number,
  goal: number,
  out: FoundRun,
): void {
  out.start = 0;
  out.length = 0;
  out.longest = -1;
  const from = goal < end ? goal : 0;
  if (continues(words, baseWord, end, want, from, out)) return;
  let longest = 0;
  let best = 0;
  let bestStart = 0;
  for (let pass = 0; pass < 2; pass++) {
    const to = pass === 0 ? end : from;
    let start = nextFree(words, baseWord, pass === 0 ? from : 0, to);
    while (start < to) {
      // A run that begins before the goal and goes on behind it is seen whole here, and its end alone in the first pass.
      const stop = nextUsed(words, baseWord, start, end);
      const length = stop - start;
      if (length > longest) longest = length;
      if (fitsBetter(length, best, want)) {
        best = length;
        bestStart = start;
        if (length === want) {
          out.start = start;
          out.length = want;
          return;
        }
      }
      start = nextFree(words, baseWord, stop, to);
    }
  }
  out.start = bestStart;
  out.length = Math.min(best, want);
  out.longest = longest;
}

/** The run that starts exactly at the goal, if it is long enough to be worth it. */
function continues(
  words: Uint32Array,
  baseWord: number,
  end: number,
  want: number,
  goal: number,
  out: FoundRun,
): boolean {
  const stop = nextUsed(words, baseWord, goal, Math.min(end, goal + want));
  const length = stop - goal;
  if (length === 0 || length < Math.min(want, CONTINUATION_MIN)) return false;
  out.start = goal;
  out.length = length;
  return true;
}

/** The shortest run that suffices; where none does, the longest. */
function fitsBetter(length: number, best: number, want: number): boolean {
  if (best >= want) return length >= want && length < best;
  return length > best;
}
