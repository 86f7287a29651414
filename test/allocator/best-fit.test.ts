/** The choice of a run in one group, against a search that looks at every block. */
import { describe, expect, test } from 'vitest';
import { BestFit } from '#dist/src/allocator/best-fit.js';
import { HEADER_WORDS } from '#dist/src/format/block-header.js';
import { seededRandom } from '../support/random.js';

interface Run {
  start: number;
  length: number;
}

function bitmapOf(bits: boolean[]): Uint32Array {
  const words = new Uint32Array(HEADER_WORDS + Math.ceil(bits.length / 32)).fill(0xffff_ffff, HEADER_WORDS);
  bits.forEach((used, bit) => {
    if (!used) words[HEADER_WORDS + (bit >>> 5)] &= ~(1 << (bit & 31));
  });
  return words;
}

function freeRuns(bits: boolean[]): Run[] {
  const runs: Run[] = [];
  bits.forEach((used, bit) => {
    const last = runs.at(-1);
    if (used) return;
    if (last !== undefined && last.start + last.length === bit) last.length += 1;
    else runs.push({ start: bit, length: 1 });
  });
  return runs;
}

function find(bits: boolean[], want: number, goal: number): BestFit {
  const out = new BestFit();
  out.find(bitmapOf(bits), 0, bits.length, want, goal);
  return out;
}

/** 'x' used, '.' free. */
function parse(picture: string): boolean[] {
  return [...picture].map((c) => c === 'x');
}

describe('choosing a run', () => {
  test.each([
    ['continues at the goal although a tighter run exists', 'xx....x..x..', 2, 2, 2, 2],
    ['takes the tightest run that suffices', 'x....x..x...', 2, 0, 6, 2],
    ['takes the first tight run at or after the goal', 'x..x..x..xxx', 2, 3, 4, 2],
    ['wraps around', 'x..xxxxx', 2, 5, 1, 2],
    ['gives the longest where none suffices', 'x..x....x.', 6, 0, 4, 4],
    ['leaves a short rest at the goal alone', 'xx...x.........x', 9, 2, 6, 9],
    ['sees a run around the goal whole', 'x..........xx..', 9, 8, 1, 9],
    ['finds nothing', 'xxxx', 1, 0, 0, 0],
  ])('%s', (_name, picture, want, goal, start, length) => {
    const out = find(parse(picture), want, goal);
    expect({ start: out.start, length: out.length }).toEqual({ start, length });
  });

  test('a search to the end knows the longest run', () => {
    expect(find(parse('x..x....x.'), 3, 0).longest).toBe(4);
    expect(find(parse('xxxx'), 3, 0).longest).toBe(0);
    expect(find(parse('x..x'), 2, 0).longest).toBe(-1);
  });

  test('random bitmaps', () => {
    const random = seededRandom(20260101);
    for (let round = 0; round < 3000; round++) {
      const size = 32 * (1 + Math.floor(random() * 6)) - Math.floor(random() * 20);
      const density = random();
      let used = false;
      const bits = Array.from({ length: size }, () => {
        if (random() < 0.3) used = random() < density;
        return used;
      });
      const want = 1 + Math.floor(random() ** 2 * 60);
      const goal = Math.floor(random() * (size + 3));
      const out = find(bits, want, goal);
      const runs = freeRuns(bits);
      const longest = Math.max(0, ...runs.map((run) => run.length));
      const hint = `want ${want} goal ${goal} in ${bits.map((b) => (b ? 'x' : '.')).join('')}`;
      expect(bits.slice(out.start, out.start + out.length).includes(true), hint).toBe(false);
      const from = goal < size ? goal : 0;
      let atGoal = 0;
      while (atGoal < want && from + atGoal < size && !bits[from + atGoal]) atGoal += 1;
      if (atGoal >= Math.min(want, 8) && atGoal > 0) {
        expect({ start: out.start, length: out.length }, hint).toEqual({ start: from, length: atGoal });
        continue;
      }
      expect(out.length, hint).toBe(Math.min(want, longest));
      const suffice = runs.filter((run) => run.length >= want).map((run) => run.length);
      const chosen = runs.find((run) => out.length > 0 && run.start <= out.start && out.start < run.start + run.length);
      if (suffice.length > 0) expect(chosen?.length, hint).toBe(Math.min(...suffice));
      if (out.longest >= 0) expect(out.longest, hint).toBe(longest);
      else expect(longest, hint).toBeGreaterThanOrEqual(want);
    }
  });
});
