/**
 * Fills against invalidations, stepped by hand: an invalidation is held between dropping the pages and changing the
 * extents, which is where the race was, and every kind of fill is tried there.
 */
import { describe, expect, it } from 'vitest';
import { advise, readAhead } from '#dist/src/file/advise.js';
import { type PagePin, pin, releasePin } from '#dist/src/file/pin.js';
import { punchHole, zeroRange } from '#dist/src/file/punch.js';
import { read } from '#dist/src/file/read.js';
import { extentsOf } from '#dist/src/file/seek.js';
import { collapseRange, insertRange } from '#dist/src/file/shift.js';
import { sync } from '#dist/src/file/sync.js';
import { truncate } from '#dist/src/file/truncate.js';
import { slotAt } from '#dist/src/inode/inode.js';
import { Operation, type SchemeName } from '#dist/src/locking/scheme.js';
import type { Routine } from '#dist/src/routine/effect.js';
import type { PointName } from '#dist/src/routine/points.js';
import { Inode } from '#dist/src/sync/layout.js';
import type { Slot } from '#dist/src/units.js';
import { type Actor, expectBytes, FileWorld, pattern, step } from '../support/file-world.js';

const B = 4096;
const PAGES = 8;

interface Invalidation {
  point: PointName;
  start(actor: Actor, slot: Slot): Routine<void>;
  /** What the file holds afterwards. */
  after(bytes: Uint8Array): Uint8Array;
}

const INVALIDATIONS: Record<string, Invalidation> = {
  punch: {
    point: 'punch:dropped',
    start: ({ task, engine }, slot) => punchHole(task, engine, slot, 0, PAGES * B),
    after: (bytes) => new Uint8Array(bytes.length),
  },
  zero: {
    point: 'punch:dropped',
    start: ({ task, engine }, slot) => zeroRange(task, engine, slot, 0, PAGES * B, true),
    after: (bytes) => new Uint8Array(bytes.length),
  },
  truncate: {
    point: 'truncate:dropped',
    start: ({ task, engine }, slot) => truncate(task, engine, slot, 2 * B),
    after: (bytes) => bytes.subarray(0, 2 * B),
  },
  collapse: {
    point: 'shift:flushed',
    start: ({ task, engine }, slot) => collapseRange(task, engine, slot, 0, 2 * B),
    after: (bytes) => bytes.subarray(2 * B),
  },
  insert: {
    point: 'shift:flushed',
    start: ({ task, engine }, slot) => insertRange(task, engine, slot, 0, 2 * B),
    after: (bytes) => new Uint8Array(Buffer.concat([new Uint8Array(2 * B), bytes])),
  },
};

const FILLS: Record<string, (actor: Actor, world: FileWorld, slot: Slot) => Routine<unknown>> = {
  'read miss': ({ task, engine }, _, slot) => read(task, engine, slot, null, new Uint8Array(B), 0, B, 0),
  readahead: ({ task, engine }, _, slot) => readAhead(task, engine, slot, 0, PAGES, -1),
  willneed: ({ task, engine }, world, slot) => advise(task, engine, slot, world.readahead(), 'willneed', 0, PAGES * B),
  fault: ({ task, engine }, _, slot) => pin(task, engine, slot, 0, false),
  mkwrite: ({ task, engine }, _, slot) => pin(task, engine, slot, 0, true),
};

function evictedFile(scheme: SchemeName): { world: FileWorld; slot: Slot; bytes: Uint8Array } {
  const world = new FileWorld({ scheme, frames: 2048 });
  const slot = world.create();
  const bytes = pattern(1, PAGES * B);
  world.write(slot, bytes, 0);
  world.evict(slot);
  return { world, slot, bytes };
}

describe.each(['invalidate-lock', 'i-rwsem'] as const)('under %s', (scheme) => {
  for (const [name, invalidation] of Object.entries(INVALIDATIONS)) {
    it(`every kind of fill waits for ${name}`, () => {
      for (const fill of Object.values(FILLS)) {
        const { world, slot, bytes } = evictedFile(scheme);
        const invalidator = world.attach();
        const filler = world.attach();
        const invalidating = invalidation.start(invalidator, slot);
        expect(step(invalidator.task, invalidating, invalidation.point).at).toBe('point');
        const filling = fill(filler, world, slot);
        expect(step(filler.task, filling).at).toBe('blocked');
        expect(step(invalidator.task, invalidating).at).toBe('end');
        expect(step(filler.task, filling).at).toBe('end');
        expectBytes(world.read(slot, 0, 20 * B), invalidation.after(bytes));
        expect(world.finish().errors).toEqual([]);
      }
    });

    it(`the release of a page that was pinned for writing waits for ${name}`, () => {
      const { world, slot, bytes } = evictedFile(scheme);
      const invalidator = world.attach();
      const writer = world.attach();
      let pinned: PagePin | undefined;
      const pinning = (function* (): Routine<void> {
        pinned = yield* pin(writer.task, writer.engine, slot, 0, true);
      })();
      expect(step(writer.task, pinning).at).toBe('end');
      const invalidating = invalidation.start(invalidator, slot);
      expect(step(invalidator.task, invalidating, invalidation.point).at).toBe('point');
      const releasing = releasePin(writer.task, writer.engine, pinned!);
      expect(step(writer.task, releasing).at).toBe('blocked');
      expect(step(invalidator.task, invalidating).at).toBe('end');
      expect(step(writer.task, releasing).at).toBe('end');
      expectBytes(world.read(slot, 0, 20 * B), invalidation.after(bytes));
      expect(world.finish().errors).toEqual([]);
    });

    it(`${name} waits for every kind of fill`, () => {
      for (const fill of Object.values(FILLS)) {
        const { world, slot, bytes } = evictedFile(scheme);
        const invalidator = world.attach();
        const filler = world.attach();
        const filling = fill(filler, world, slot);
        expect(step(filler.task, filling, 'fill:mapped').at).toBe('point');
        const invalidating = invalidation.start(invalidator, slot);
        expect(step(invalidator.task, invalidating).at).toBe('blocked');
        // A pin for writing comes back for a second lock, and then stands behind the invalidation.
        const isThrough = step(filler.task, filling).at === 'end';
        expect(step(invalidator.task, invalidating).at).toBe('end');
        if (!isThrough) expect(step(filler.task, filling).at).toBe('end');
        expectBytes(world.read(slot, 0, 20 * B), invalidation.after(bytes));
        expect(world.finish().errors).toEqual([]);
      }
    });
  }
});

/** Under `none`: a page of `slot`, whose block is another file's by then. */
function staleFill() {
  const { world, slot, bytes } = evictedFile('none');
  const before = world.run(extentsOf(world.task, world.engine, slot));
  const puncher = world.attach();
  const filler = world.attach();
  const punching = punchHole(puncher.task, puncher.engine, slot, 0, PAGES * B);
  expect(step(puncher.task, punching, 'punch:dropped').at).toBe('point');
  const target = new Uint8Array(B);
  expect(step(filler.task, read(filler.task, filler.engine, slot, null, target, 0, B, 0)).at).toBe('end');
  expect(step(puncher.task, punching).at).toBe('end');
  world.run(world.engine.journal.commit(world.task));
  const other = world.create();
  const content = pattern(2, 20 * B);
  const at = before[0].devicePosition;
  world.arena.unsigned[slotAt(world.arena, other) + Inode.Goal] = at / B;
  world.write(other, content, 0);
  world.sync();
  const after = world.run(extentsOf(world.task, world.engine, other));
  expect(after.some((e) => e.devicePosition <= at && at < e.devicePosition + e.length)).toBe(true);
  return { world, slot, other, bytes, content };
}

describe('under none', () => {
  it('a read after the punch finds what was there before it', () => {
    const { world, slot, bytes } = staleFill();
    expectBytes(world.read(slot, 0, B), bytes.subarray(0, B));
  });

  it('a write to the stale page overwrites the other file', () => {
    const { world, slot, other, content } = staleFill();
    expectBytes(world.read(other, 0, content.length), content);
    world.write(slot, pattern(3, B), 0);
    world.run(sync(world.task, world.engine, slot, world.cursor(slot)));
    world.evict(other);
    const now = world.read(other, 0, content.length);
    expect(Buffer.compare(now, content)).not.toBe(0);
    expect(Buffer.from(now.buffer, 0, now.length).indexOf(pattern(3, B))).toBeGreaterThanOrEqual(0);
  });
});

describe('reads and writes', () => {
  it('exclude each other under i-rwsem, and do not under invalidate-lock', () => {
    for (const scheme of ['i-rwsem', 'invalidate-lock'] as const) {
      const { world, slot } = evictedFile(scheme);
      const reader = world.attach();
      const target = new Uint8Array(2 * B);
      const reading = read(reader.task, reader.engine, slot, null, target, 0, 2 * B, 0);
      expect(step(reader.task, reading, 'fill:locked').at).toBe('point');
      expect(world.hot.writeHit(world.task, slot, pattern(2, B), 0, B, 4 * B)).toBe(-1);
      expect(world.engine.guard.tryEnter(world.task, slot, Operation.Write)).toBe(scheme === 'invalidate-lock');
      if (scheme === 'invalidate-lock')
        world.engine.guard.leave(world.task, slot, world.engine.guard.maskOf(Operation.Write));
      expect(step(reader.task, reading).at).toBe('end');
      expectBytes(target, pattern(1, PAGES * B).subarray(0, 2 * B));
    }
  });

  it('a reader waits for a page that somebody else fills, without the lock of the fill', () => {
    const { world, slot } = evictedFile('invalidate-lock');
    const first = world.attach();
    const second = world.attach();
    const a = new Uint8Array(B);
    const b = new Uint8Array(B);
    const reading = read(first.task, first.engine, slot, null, a, 0, B, 0);
    expect(step(first.task, reading, 'fill:mapped').at).toBe('point');
    const waiting = read(second.task, second.engine, slot, null, b, 0, B, 0);
    expect(step(second.task, waiting).at).toBe('blocked');
    expect(second.task.lockdep?.describe()).toBe('nothing');
    expect(step(first.task, reading).at).toBe('end');
    expect(step(second.task, waiting).at).toBe('end');
    expectBytes(b, a);
  });
});
