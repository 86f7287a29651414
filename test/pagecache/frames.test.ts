/** Page frames: several segments, lazily; and what a page costs in control memory. */
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { Frames } from '#dist/src/pagecache/frames.js';
import { POINTS } from '#dist/src/routine/points.js';
import { Header, layoutOf } from '#dist/src/sync/layout.js';
import { type Frame, GIB, MIB, type Slot } from '#dist/src/units.js';
import { CacheWorld } from '../support/cache-world.js';

const FILE = 1 as Slot;

function residentBytes(): number {
  return Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync('/proc/self/status', 'utf8'))?.[1]) * 1024;
}

describe('frames', () => {
  test('lie one after the other; neighbours merge into one buffer, but not across segments', () => {
    const frames = new Frames(Frames.allocate(300_000, 4096), 4096, 300_000);
    expect(frames.offset(1 as Frame)).toBe(0);
    expect(frames.offset(2 as Frame)).toBe(4096);
    const perSegment = GIB / 4096;
    expect(frames.offset(perSegment as Frame)).toBe(GIB - 4096);
    expect(frames.offset((perSegment + 1) as Frame)).toBe(0);
    // Compared here: an assertion would want to print a gigabyte.
    expect(frames.segment((perSegment + 1) as Frame) === frames.segment(1 as Frame)).toBe(false);
    const list = Int32Array.of(5, 6, 7, 9, perSegment, perSegment + 1, 4, 3);
    const lengths = frames.gather(list, 0, list.length).map((buffer) => buffer.length / 4096);
    expect(lengths).toEqual([3, 1, 1, 1, 1, 1]);
    expect(frames.gather(list, 1, 3).map((buffer) => buffer.byteOffset / 4096)).toEqual([5]);
  });

  test('views of a frame are its own, whatever was looked at before', () => {
    const frames = new Frames(Frames.allocate(4000, 8192), 8192, 4000);
    for (const frame of [1, 1025, 2049, 1, 1025] as Frame[]) {
      frames.bytes(frame)[0] = frame & 0xff;
      expect(frames.view(frame).byteOffset).toBe((frame - 1) * 8192);
      expect(frames.bytes(frame).byteOffset).toBe((frame - 1) * 8192);
    }
    frames.bytes(7 as Frame).fill(9);
    frames.zero(7 as Frame);
    expect(frames.bytes(7 as Frame).every((byte) => byte === 0)).toBe(true);
  });

  test('at most 64 bytes of control memory a page', () => {
    const rest = { inodes: 8, groups: 4, threads: 20, exclusions: 16, pins: 8, requests: 2, openFiles: 4 };
    for (const frames of [1 << 15, (1 << 16) + 1, 200_000, 1_310_720]) {
      const bytes =
        4 * (layoutOf({ frames, ...rest }, POINTS.length).words - layoutOf({ frames: 1, ...rest }, 1).words);
      expect(bytes / frames).toBeLessThanOrEqual(64);
    }
  });

  test('a cache of 5 GiB opens at once, takes memory only as it is used, and works in its last segment', () => {
    const frames = (5 * GIB) / 4096;
    const before = residentBytes();
    const start = performance.now();
    const world = new CacheWorld({ frames });
    const { cache, arena } = world;
    expect(world.frames.buffers.map((buffer) => buffer.byteLength / GIB)).toEqual([1, 1, 1, 1, 1]);
    expect(performance.now() - start).toBeLessThan(1000);
    // As if all but the last frames had been used and freed elsewhere.
    arena.words[Header.FramesUsed] = frames - 600;
    for (let i = 0; i < 500; i++) world.putOnDevice(FILE, i, i);
    world.run(cache.fill(world.task, FILE, 0, 500));
    for (let i = 0; i < 500; i++) {
      const frame = cache.find(FILE, i);
      expect(frame).toBe(frames - 600 + i + 1);
      expect(world.frames.segment(frame).buffer === world.frames.buffers[4]).toBe(true);
      expect(world.frames.bytes(frame)[4095]).toBe(i & 0xff);
      cache.unpin(frame);
    }
    for (let i = 500; i < 600; i++) world.write(FILE, i, i);
    expect(arena.words[Header.FramesUsed]).toBe(frames);
    expect(world.run(cache.writeRange(world.task, FILE, 0, 600, { wait: true }))).toBeNull();
    expect(world.deviceByte(FILE, 599)).toBe(599 & 0xff);
    // The next page has to take the place of another.
    cache.unpin(world.read(2, 0));
    world.run(cache.drop(world.task, FILE, 0, 1000));
    expect(cache.pagesOf(FILE)).toBe(0);
    expect(residentBytes() - before).toBeLessThan(200 * MIB);
  });
});
