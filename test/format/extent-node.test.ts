import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  closeEntries,
  copyEntries,
  ENTRY_WORDS,
  entryBlock,
  entryEnd,
  entryLength,
  entryPage,
  entryUnwritten,
  extentNodeCapacity,
  extentNodeCount,
  extentNodeLevel,
  findExtentEntry,
  guessExtentEntry,
  MAX_EXTENT_LENGTH,
  NODE_ENTRIES_WORD,
  openEntries,
  setChild,
  setEntryPage,
  setExtent,
  setExtentNode,
  setExtentNodeCount,
  validateExtentNode,
} from '#dist/src/format/extent-node.js';

const NODE = 1024;
const BASE = NODE + NODE_ENTRIES_WORD;
const BLOCKS = 0xffff_fffe;

interface Extent {
  page: number;
  block: number;
  length: number;
  unwritten: boolean;
}

function emptyNode(): Uint32Array {
  return new Uint32Array(new SharedArrayBuffer(3 * 4096));
}

function put(words: Uint32Array, extents: Extent[]): void {
  extents.forEach((e, i) => {
    setExtent(words, BASE, i, e.page, e.block, e.length, e.unwritten);
  });
  setExtentNode(words, NODE, 0, extents.length);
}

function get(words: Uint32Array, count: number): Extent[] {
  return Array.from({ length: count }, (_, i) => ({
    page: entryPage(words, BASE, i),
    block: entryBlock(words, BASE, i),
    length: entryLength(words, BASE, i),
    unwritten: entryUnwritten(words, BASE, i),
  }));
}

/** Ordered extents that do not overlap, from gaps and lengths; high page numbers included. */
const extentList = fc
  .tuple(
    fc.constantFrom(0, 0x7fff_0000, 0xffff_0000),
    fc.array(
      fc.record({
        gap: fc.integer({ min: 0, max: 50 }),
        length: fc.integer({ min: 1, max: 100 }),
        block: fc.integer({ min: 1, max: BLOCKS - 100 }),
        unwritten: fc.boolean(),
      }),
      { minLength: 1, maxLength: 338 },
    ),
  )
  .map(([start, list]) => {
    let page = start;
    return list.map(({ gap, length, block, unwritten }): Extent => {
      const extent = { page: page + gap, block, length, unwritten };
      page = extent.page + length;
      return extent;
    });
  });

describe('extent node', () => {
  it('holds what its capacity promises', () => {
    expect(extentNodeCapacity(4096)).toBe(338);
    expect((NODE_ENTRIES_WORD + extentNodeCapacity(65536) * ENTRY_WORDS) * 4).toBeLessThanOrEqual(65536);
  });

  it('gives entries back as they were set', () => {
    fc.assert(
      fc.property(extentList, (extents) => {
        const words = emptyNode();
        put(words, extents);
        expect(get(words, extents.length)).toEqual(extents);
        expect(validateExtentNode(words, NODE, 4096, 0, BLOCKS)).toBeNull();
        expect([extentNodeLevel(words, NODE), extentNodeCount(words, NODE)]).toEqual([0, extents.length]);
        expect(words.subarray(0, NODE + 8).every((word) => word === 0)).toBe(true);
        expect(words.subarray(2 * NODE).every((word) => word === 0)).toBe(true);
      }),
    );
  });

  it('takes the largest numbers', () => {
    const words = emptyNode();
    setExtent(words, BASE, 0, 0x7fff_ffff, 0xffff_fff0, MAX_EXTENT_LENGTH, true);
    expect(get(words, 1)).toEqual([
      { page: 0x7fff_ffff, block: 0xffff_fff0, length: MAX_EXTENT_LENGTH, unwritten: true },
    ]);
    expect(entryEnd(words, BASE, 0)).toBe(0xffff_fffe);
    setExtentNode(words, NODE, 7, 5461);
    setExtentNodeCount(words, NODE, 5460);
    expect([extentNodeLevel(words, NODE), extentNodeCount(words, NODE)]).toEqual([7, 5460]);
  });

  it('finds the entry at or before a page', () => {
    fc.assert(
      fc.property(extentList, fc.integer({ min: -60, max: 30_000 }), (extents, offset) => {
        const words = emptyNode();
        put(words, extents);
        const page = Math.min(0xffff_fffe, Math.max(0, extents[0]!.page + offset));
        const expected = extents.findLastIndex((extent) => extent.page <= page);
        expect(findExtentEntry(words, BASE, extents.length, page)).toBe(expected);
      }),
    );
  });

  it("finds it whatever the guess at the list's bounds", () => {
    const anyPage = fc.integer({ min: 0, max: 40_000 });
    fc.assert(
      fc.property(extentList, anyPage, anyPage, anyPage, (extents, page, low, high) => {
        const words = emptyNode();
        put(words, extents);
        const expected = extents.findLastIndex((extent) => extent.page <= page);
        expect(guessExtentEntry(words, BASE, extents.length, page, low, high)).toBe(expected);
        expect(guessExtentEntry(words, BASE, extents.length, page, 0, Number.POSITIVE_INFINITY)).toBe(expected);
      }),
    );
  });

  it('opens and closes gaps like splice', () => {
    fc.assert(
      fc.property(extentList, fc.nat(), fc.nat(20), fc.nat(), fc.nat(20), (extents, at, added, from, removed) => {
        const model = extents.slice(0, 300);
        const words = emptyNode();
        put(words, model);
        const index = at % (model.length + 1);
        openEntries(words, BASE, model.length, index, added);
        const fresh = Array.from({ length: added }, (_, i) => ({ page: i, block: 9, length: 1, unwritten: true }));
        fresh.forEach((e, i) => {
          setExtent(words, BASE, index + i, e.page, e.block, e.length, e.unwritten);
        });
        model.splice(index, 0, ...fresh);
        expect(get(words, model.length)).toEqual(model);
        const first = from % model.length;
        const count = Math.min(removed, model.length - first);
        closeEntries(words, BASE, model.length, first, count);
        model.splice(first, count);
        expect(get(words, model.length)).toEqual(model);
        const end = BASE + model.length * ENTRY_WORDS;
        expect(words.subarray(end, end + count * ENTRY_WORDS).every((word) => word === 0)).toBe(true);
      }),
    );
  });

  it('copies entries between buffers, and has child entries', () => {
    const from = emptyNode();
    const to = emptyNode();
    for (let i = 0; i < 5; i++) setChild(from, BASE, i, i * 10, 100 + i);
    copyEntries(from, BASE, 2, 3, to, 3, 1);
    expect([entryPage(to, 3, 1), entryBlock(to, 3, 1), entryBlock(to, 3, 3), entryBlock(to, 3, 0)]).toEqual([
      20, 102, 104, 0,
    ]);
    setEntryPage(to, 3, 1, 19);
    expect([entryPage(to, 3, 1), entryBlock(to, 3, 1)]).toEqual([19, 102]);
    setExtentNode(from, NODE, 2, 5);
    expect(validateExtentNode(from, NODE, 4096, 2, 105)).toBeNull();
    expect(validateExtentNode(from, NODE, 4096, 2, 104)).toMatch(/entry 4 points to/);
  });

  it.each<[string, RegExp, (words: Uint32Array) => void]>([
    ['another level', /level 1 where 0/, (words) => setExtentNode(words, NODE, 1, 2)],
    ['no entries', /0 entries/, (words) => setExtentNode(words, NODE, 0, 0)],
    ['too many entries', /339 entries/, (words) => setExtentNode(words, NODE, 0, 339)],
    ['an empty extent', /entry 1 is empty/, (words) => setExtent(words, BASE, 1, 10, 60, 0, true)],
    ['overlap', /entry 1 begins at page 4/, (words) => setExtent(words, BASE, 1, 4, 60, 1, false)],
    ['disorder', /entry 1 begins/, (words) => setExtent(words, BASE, 1, 0, 60, 1, false)],
    ['the superblock', /entry 0 points to blocks 0/, (words) => setExtent(words, BASE, 0, 0, 0, 5, false)],
    ['blocks past the end', /entry 1 points/, (words) => setExtent(words, BASE, 1, 10, 90, 11, false)],
    ['pages past the last', /entry 1 reaches/, (words) => setExtent(words, BASE, 1, 0xffff_fffe, 60, 1, false)],
  ])('is refused with %s', (_what, reason, spoil) => {
    const words = emptyNode();
    setExtent(words, BASE, 0, 0, 50, 5, false);
    setExtent(words, BASE, 1, 10, 60, 40, false);
    setExtentNode(words, NODE, 0, 2);
    expect(validateExtentNode(words, NODE, 4096, 0, 100)).toBeNull();
    spoil(words);
    expect(validateExtentNode(words, NODE, 4096, 0, 100)).toMatch(reason);
  });
});
