import { describe, expect, test } from 'vitest';
import { ReadaheadQueue, ReadaheadWindow } from '#dist/src/store/readahead-queue.js';
import { READAHEAD_ENTRIES } from '#dist/src/sync/layout.js';
import { attachThread } from '#dist/src/sync/threads.js';
import type { Slot } from '#dist/src/units.js';
import { ManualDriver } from '../support/actor.js';
import { makeArena } from '../support/arena.js';

function setUp() {
  const arena = makeArena();
  const task = attachThread(arena, new ManualDriver());
  const queue = new ReadaheadQueue(arena);
  const put = (slot: number, first: number, count: number) => queue.put(task, slot as Slot, first, count, first);
  const takeAll = () => {
    const window = new ReadaheadWindow();
    const taken: number[][] = [];
    while (queue.take(task, window)) taken.push([window.slot, window.first, window.count, window.marker]);
    return taken;
  };
  return { put, takeAll };
}

describe('the readahead queue', () => {
  test('gives windows in order, and refuses what does not fit', () => {
    const { put, takeAll } = setUp();
    for (let round = 0; round < 3; round++) {
      for (let i = 0; i < READAHEAD_ENTRIES; i++) expect(put(1, i * 100, 4)).toBe(true);
      expect(put(1, 99_999, 4)).toBe(false);
      expect(takeAll().map(([, first]) => first)).toEqual(Array.from({ length: READAHEAD_ENTRIES }, (_, i) => i * 100));
    }
  });

  test('keeps one window of each stream: the next takes the place of one not begun', () => {
    const { put, takeAll } = setUp();
    expect(put(1, 0, 16)).toBe(true);
    expect(put(2, 16, 8)).toBe(true);
    expect(put(1, 500, 16)).toBe(true);
    expect(put(1, 16, 64)).toBe(false);
    expect(put(1, 80, 128)).toBe(false);
    expect(takeAll()).toEqual([
      [1, 80, 128, 80],
      [2, 16, 8, 16],
      [1, 500, 16, 500],
    ]);
    expect(put(1, 208, 128)).toBe(true);
  });
});
