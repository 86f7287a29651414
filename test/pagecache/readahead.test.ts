/** The readahead state machine, against the windows that Linux's makes. */
import { describe, expect, test } from 'vitest';
import { READAHEAD_WORDS, ReadaheadState, type Window } from '#dist/src/pagecache/readahead.js';
import { OpenFile } from '#dist/src/sync/layout.js';

const HUGE = 1 << 20;

function stateOf(pagesMax: number, cached?: (index: number) => boolean): ReadaheadState {
  return new ReadaheadState(new Int32Array(READAHEAD_WORDS), 0, pagesMax, cached);
}

const plain = ({ first, count, marker }: Window): number[] => [first, count, marker];

/** A reader that goes through a file in steps of `pages`; answers the windows in order, as [first, count, marker]. */
function readThrough(state: ReadaheadState, from: number, pages: number, to: number, size = HUGE): number[][] {
  const cached = new Set<number>();
  const markers = new Set<number>();
  const windows: number[][] = [];
  const take = (window: Window): void => {
    if (window.count === 0) return;
    windows.push(plain(window));
    for (let i = 0; i < window.count; i++) cached.add(window.first + i);
    if (window.marker < window.first + window.count) markers.add(window.marker);
  };
  for (let at = from; at < to; at += pages) {
    for (let index = at; index < at + pages; index++) {
      if (!cached.has(index)) take(state.onMiss(index, at + pages - index, size));
      else if (markers.delete(index)) take(state.onMarker(index, at + pages - index, size));
      expect(cached.has(index)).toBe(true);
    }
    state.onRead(at + pages - 1);
  }
  return windows;
}

describe('readahead', () => {
  test('its words fit an open file', () => {
    expect(OpenFile.Readahead + READAHEAD_WORDS).toBeLessThanOrEqual(OpenFile.Words);
  });

  test('a sequential reader misses once; windows double to the maximum and are asked for early', () => {
    const windows = readThrough(stateOf(512), 0, 1, 2000);
    expect(windows[0]).toEqual([0, 16, 1]);
    const counts = windows.map(([, count]) => count);
    expect(counts.slice(0, 6)).toEqual([16, 64, 128, 256, 512, 512]);
    for (let i = 1; i < windows.length; i++) expect(windows[i][0]).toBe(windows[i - 1][0] + windows[i - 1][1]);
    // From the second on the marker is the window's first page: the whole next window is under way while it is read.
    for (const [first, , marker] of windows.slice(1)) expect(marker).toBe(first);
  });

  test('the first window grows with the request', () => {
    expect(plain(stateOf(512).onMiss(0, 1, HUGE))).toEqual([0, 16, 1]);
    expect(plain(stateOf(512).onMiss(0, 16, HUGE))).toEqual([0, 64, 16]);
    expect(plain(stateOf(512).onMiss(0, 100, HUGE))).toEqual([0, 256, 100]);
    expect(plain(stateOf(512).onMiss(0, 600, HUGE))[1]).toBe(512);
  });

  test('a reader that starts in the middle is believed after its second read', () => {
    const state = stateOf(512);
    expect(plain(state.onMiss(5000, 1, HUGE))).toEqual([5000, 1, 5001]);
    state.onRead(5000);
    expect(plain(state.onMiss(5001, 1, HUGE))).toEqual([5001, 16, 5002]);
    // Two reads of one page, neither aligned: still sequential.
    const other = stateOf(512);
    other.onMiss(900, 1, HUGE);
    other.onRead(901);
    expect(other.onMiss(901, 1, HUGE).count).toBeGreaterThan(1);
  });

  test('random reads take what they ask for, and leave the window alone', () => {
    const state = stateOf(512);
    state.onMiss(0, 1, HUGE);
    state.onRead(0);
    for (const index of [700, 90, 40_000, 333]) {
      expect(plain(state.onMiss(index, 2, HUGE))).toEqual([index, 2, index + 2]);
      state.onRead(index + 1);
    }
    // The stream from before still goes on where it was.
    expect(plain(state.onMarker(1, 1, HUGE))).toEqual([16, 64, 16]);
  });

  test('a stream that the state lost is recognised by the pages it left in the cache', () => {
    const state = stateOf(512, (index) => index >= 100 && index < 164);
    expect(plain(state.onMiss(164, 1, HUGE))).toEqual([164, 65, 228]);
    const start = stateOf(512, (index) => index < 64);
    expect(start.onMiss(64, 1, HUGE).count).toBe(129);
  });

  test('the marker of another stream opens a window behind what is cached', () => {
    const state = stateOf(512, (index) => index < 1020);
    state.onMiss(5000, 1, HUGE);
    expect(plain(state.onMarker(1000, 1, HUGE))).toEqual([1020, 84, 1020]);
    const far = stateOf(16, () => true);
    expect(far.onMarker(1000, 1, HUGE).count).toBe(0);
  });

  test('nothing beyond the end of the file', () => {
    const windows = readThrough(stateOf(512), 0, 1, 100, 100);
    expect(windows.reduce((sum, [, count]) => sum + count, 0)).toBe(100);
    for (const [first, count] of windows) expect(first + count).toBeLessThanOrEqual(100);
    expect(plain(stateOf(512).onMiss(0, 50, 3))).toEqual([0, 3, 3]);
  });

  test('advice: sequential doubles the largest window, random reads only what is asked for', () => {
    const state = stateOf(64);
    state.advise('sequential');
    expect(Math.max(...readThrough(state, 0, 1, 1000).map(([, count]) => count))).toBe(128);
    state.advise('random');
    expect(plain(state.onMiss(0, 2, HUGE))).toEqual([0, 2, 2]);
    expect(state.onMarker(1, 1, HUGE).count).toBe(0);
    state.advise('normal');
    expect(Math.max(...readThrough(stateOf(64), 0, 1, 1000).map(([, count]) => count))).toBe(64);
  });

  test('with no window at all, every miss is read as it is', () => {
    const state = stateOf(0);
    expect(plain(state.onMiss(0, 3, HUGE))).toEqual([0, 3, 3]);
    expect(state.onMarker(1, 1, HUGE).count).toBe(0);
  });
});
