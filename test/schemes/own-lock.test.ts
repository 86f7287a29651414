/**
 * A write whose bytes lie in a mapped page of the same file: the page is faulted in while the write holds its locks. Where
 * the fault takes one of these, the thread waits for itself, as GFS2 did before Linux 5.16.
 */
import { describe, expect, it } from 'vitest';
import { pin, releasePin } from '#dist/src/file/pin.js';
import { write } from '#dist/src/file/write.js';
import { invalidateLockAt } from '#dist/src/inode/inode.js';
import { faultsUnderOwnLock, type SchemeName } from '#dist/src/locking/scheme.js';
import { schemes } from '#dist/src/locking/schemes.js';
import type { Routine } from '#dist/src/routine/effect.js';
import { holdsExclusive } from '#dist/src/sync/rwsem.js';
import { FileWorld, pattern, type Stop, step } from '../support/file-world.js';

const B = 4096;
const bytes = pattern(2, 100);

/** Starts the write; the page that holds its bytes is in the cache, or not. */
function writeFromOwnPage(scheme: SchemeName, isCached: boolean, verify: boolean) {
  const world = new FileWorld({ scheme, verify });
  const slot = world.create();
  world.write(slot, pattern(1, 3 * B), 0);
  world.evict(slot);
  if (isCached) world.read(slot, 2 * B, B);
  const { task, engine } = world;
  engine.faultIn = function* (): Routine<void> {
    yield* releasePin(task, engine, yield* pin(task, engine, slot, 2 * B, false));
  };
  const routine = write(task, engine, slot, bytes, 0, bytes.length, B + 50);
  return { world, slot, goOn: (): Stop => step(task, routine) };
}

const deadlocking = schemes.filter(faultsUnderOwnLock).map(({ name }) => name);
const others = schemes.filter((s) => s.aliasOf === null && !faultsUnderOwnLock(s)).map(({ name }) => name);

describe.each([
  ['cached', true],
  ['missing', false],
] as const)('a write from a page of its own file, %s,', (_name, isCached) => {
  it.each(deadlocking)('waits for itself under %s, for ever', (scheme) => {
    const { world, slot, goOn } = writeFromOwnPage(scheme, isCached, false);
    for (let i = 0; i < 3; i++) expect(goOn()).toEqual({ at: 'blocked' });
    expect(holdsExclusive(world.task, invalidateLockAt(world.arena, slot))).toBe(true);
  });

  it.each(deadlocking)('is caught in verify mode under %s', (scheme) => {
    const stop = writeFromOwnPage(scheme, isCached, true).goOn();
    expect(stop).toMatchObject({
      at: 'error',
      error: { message: expect.stringMatching(/recursive.*invalidate_lock/) },
    });
  });

  it.each(others)('comes through under %s', (scheme) => {
    const { world, slot, goOn } = writeFromOwnPage(scheme, isCached, true);
    expect(goOn()).toEqual({ at: 'end', value: bytes.length });
    expect(world.read(slot, B + 50, bytes.length)).toEqual(bytes);
  });
});
