import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  countFree,
  initialiseBitmap,
  isBlockUsed,
  markFree,
  markUsed,
  nextFree,
  nextUsed,
} from '#dist/src/format/bitmap.js';
import {
  fixedBlocksOf,
  geometryFor,
  groupLength,
  groupStart,
  isFixedBlock,
  maxBlocksPerGroup,
} from '#dist/src/format/geometry.js';

const BLOCK_WORDS = 1024;
/** The bitmap is the second block of its buffer, so that a forgotten base shows. */
const BASE = BLOCK_WORDS;
const BITS = maxBlocksPerGroup(4096);

function emptyBitmap(): Uint32Array {
  return new Uint32Array(new SharedArrayBuffer(3 * BLOCK_WORDS * 4));
}

const range = fc
  .tuple(fc.integer({ min: 0, max: BITS }), fc.integer({ min: 0, max: BITS }))
  .map(([a, b]) => ({ first: Math.min(a, b), count: Math.abs(a - b) }));

describe('allocation bitmap', () => {
  it('marks, frees, searches and counts like an array of booleans', () => {
    const steps = fc.array(fc.record({ use: fc.boolean(), range }), { maxLength: 12 });
    fc.assert(
      fc.property(steps, fc.array(range, { maxLength: 8 }), (changes, searches) => {
        const words = emptyBitmap();
        const model = new Array<boolean>(BITS).fill(false);
        for (const { use, range: r } of changes) {
          const slice = model.slice(r.first, r.first + r.count);
          const wrong = use ? markUsed(words, BASE, r.first, r.count) : markFree(words, BASE, r.first, r.count);
          expect(wrong).toBe(slice.filter((bit) => bit === use).length);
          model.fill(use, r.first, r.first + r.count);
        }
        expect(countFree(words, BASE, BITS)).toBe(model.filter((bit) => !bit).length);
        for (const { first, count } of searches) {
          const end = first + count;
          const within = model.slice(first, end);
          const free = within.indexOf(false);
          const used = within.indexOf(true);
          expect(nextFree(words, BASE, first, end)).toBe(free < 0 ? end : first + free);
          expect(nextUsed(words, BASE, first, end)).toBe(used < 0 ? end : first + used);
          if (first < BITS) expect(isBlockUsed(words, BASE, first)).toBe(model[first]);
        }
        const outside = words.filter((_, i) => i < BASE + 8 || i >= BASE + BLOCK_WORDS);
        expect(outside.every((word) => word === 0)).toBe(true);
      }),
      { numRuns: 40 },
    );
  });

  it('ends a search at its end, though the next bit of the same word would do', () => {
    const words = emptyBitmap();
    markUsed(words, BASE, 0, 10);
    markUsed(words, BASE, 40, 1);
    expect([nextFree(words, BASE, 0, 10), nextFree(words, BASE, 0, 5), nextFree(words, BASE, 0, 20)]).toEqual([
      10, 5, 10,
    ]);
    expect([nextUsed(words, BASE, 10, 40), nextUsed(words, BASE, 33, 35), nextUsed(words, BASE, 10, 41)]).toEqual([
      40, 35, 40,
    ]);
    expect(nextFree(words, BASE, 7, 7)).toBe(7);
  });

  it.each([
    { what: 'one group', blocks: 2000, perGroup: BITS },
    { what: 'several small groups', blocks: 5003, perGroup: 1024 },
    { what: 'two full groups and a bit', blocks: 2 * BITS + 100, perGroup: BITS },
  ])('starts with the fixed blocks and what lies past the end: $what', ({ blocks, perGroup }) => {
    const g = geometryFor(blocks * 4096, 4096, perGroup)!;
    for (let group = 0; group < g.groups; group++) {
      const words = emptyBitmap().fill(0x5a5a_5a5a, BASE, BASE + BLOCK_WORDS);
      initialiseBitmap(words, BASE, g, group);
      const length = groupLength(g, group);
      for (let bit = 0; bit < BITS; bit++) {
        const expected = bit >= length || isFixedBlock(g, groupStart(g, group) + bit);
        if (isBlockUsed(words, BASE, bit) !== expected) expect.fail(`group ${group}, bit ${bit}`);
      }
      expect(countFree(words, BASE, BITS)).toBe(length - fixedBlocksOf(g, group));
      expect(words[BASE]).toBe(0x5a5a_5a5a);
      expect(words[BASE + BLOCK_WORDS]).toBe(0);
    }
  });
});
