/**
 * What the real reclaim keeps, against a plain LRU of the same size: a Zipf trace, a loop a little larger than the cache,
 * and a scan through a hot set. The figures stand in reclaim.ts.
 */
import { describe, expect, test } from 'vitest';
import { Header } from '#dist/src/sync/layout.js';
import type { Slot } from '#dist/src/units.js';
import { auditCache } from '../support/cache-audit.js';
import { CacheWorld } from '../support/cache-world.js';
import { hotSetWithScans, LruModel, loop, zipf } from '../support/traces.js';

const FILE = 1 as Slot;
const FRAMES = 2048;

/** Runs a trace of page numbers through the cache and through the model; answers the shares of hits after `warm`. */
function compare(trace: Uint32Array, warm: number): { cache: number; lru: number } {
  const world = new CacheWorld({ frames: FRAMES, verify: false });
  const { cache } = world;
  const lru = new LruModel(FRAMES);
  let hits = 0;
  let lruHits = 0;
  for (let i = 0; i < trace.length; i++) {
    const index = trace[i];
    let frame = cache.find(FILE, index);
    const hit = frame !== 0;
    if (!hit) frame = world.read(FILE, index);
    cache.touch(frame, cache.stateOf(frame));
    cache.unpin(frame);
    const lruHit = lru.use(index);
    if (i < warm) continue;
    if (hit) hits++;
    if (lruHit) lruHits++;
  }
  expect(auditCache(world.arena)).toEqual([]);
  expect(world.arena.words[Header.FramesUsed]).toBe(FRAMES);
  const total = trace.length - warm;
  return { cache: hits / total, lru: lruHits / total };
}

describe('hit ratios', () => {
  test('Zipf 1.0 over 16 times the cache: better than LRU', () => {
    const { cache, lru } = compare(zipf(200_000, 16 * FRAMES, 1.0, 7), 50_000);
    expect(cache).toBeGreaterThan(lru + 0.03);
  });

  test('Zipf 0.8 over 8 times the cache: better than LRU', () => {
    const { cache, lru } = compare(zipf(200_000, 8 * FRAMES, 0.8, 9), 50_000);
    expect(cache).toBeGreaterThan(lru + 0.05);
  });

  test('a loop a tenth larger than the cache: most of it hits, where LRU has nothing', () => {
    const length = Math.floor(FRAMES * 1.1);
    const { cache, lru } = compare(loop(20 * length, length), 5 * length);
    expect(lru).toBe(0);
    expect(cache).toBeGreaterThan(0.5);
  });

  test('scans through a hot set leave it where it is', () => {
    const { cache, lru } = compare(hotSetWithScans(200_000, FRAMES / 2, 2 * FRAMES, 20_000, 3), 20_000);
    expect(cache).toBeGreaterThan(lru + 0.03);
  });

  test('the windows of many streams wait for their readers, though the hot set fills the main queue', () => {
    const world = new CacheWorld({ frames: FRAMES, verify: false, inodes: 16 });
    const { cache, task } = world;
    const use = (mapping: number, index: number): boolean => {
      const frame = cache.find(mapping as Slot, index);
      if (frame === 0) return false;
      cache.touch(frame, cache.stateOf(frame));
      cache.unpin(frame);
      return true;
    };
    const warm = (pages: number): number => {
      let hits = 0;
      for (let i = 0; i < pages; i++) {
        if (use(1, i)) hits++;
        else cache.unpin(world.read(1, i));
      }
      return hits;
    };
    // The main queue fills up, and then only part of it stays hot.
    const hot = (3 * FRAMES) / 8;
    for (let i = 0; i < 4; i++) warm(0.9 * FRAMES);
    // Eight streams of windows of 64 pages, each one window ahead: five times the small queue.
    let lost = 0;
    let hotHits = 0;
    const rounds = 40;
    for (let round = 0; round < rounds; round++) {
      for (let stream = 2; stream < 10; stream++) {
        const first = 64 * (round + 1);
        world.run(cache.fill(task, stream as Slot, first, 64, { required: 0 }));
        if (round < 1) continue;
        for (let i = 0; i < 64; i++) if (!use(stream, 64 * round + i)) lost++;
      }
      hotHits += warm(hot);
    }
    expect(lost / (rounds * 8 * 64)).toBeLessThan(0.1);
    expect(hotHits / (rounds * hot)).toBeGreaterThan(0.9);
  });
});
