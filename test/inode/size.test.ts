/** The size of a file under its sequence count: any safe integer, never torn, never waited for in vain. */
import { describe, expect, it } from 'vitest';
import { diskSizeOf, initInodeSlots, setDiskSize, setSize, sizeOf, slotAt } from '#dist/src/inode/inode.js';
import { BlockingDriver } from '#dist/src/routine/blocking-driver.js';
import { Header, Inode, StoreState } from '#dist/src/sync/layout.js';
import { attachThread } from '#dist/src/sync/threads.js';
import type { Slot } from '#dist/src/units.js';
import { makeArena } from '../support/arena.js';
import { bundledThread } from '../support/bundled-thread.js';
import { startThread } from '../support/threads.js';

const SLOT = 3 as Slot;
const JOBS = bundledThread('size-jobs');

describe('the size of a file', () => {
  it('holds every safe integer', () => {
    const arena = makeArena();
    initInodeSlots(arena);
    const task = attachThread(arena, new BlockingDriver(arena));
    for (const size of [0, 1, 4095, 2 ** 31, 2 ** 32 - 1, 2 ** 32, 2 ** 32 + 1, 2 ** 44, Number.MAX_SAFE_INTEGER]) {
      setSize(task, SLOT, size);
      expect(sizeOf(arena, SLOT)).toBe(size);
      setDiskSize(task, SLOT, size);
      expect(diskSizeOf(arena, SLOT)).toBe(size);
    }
  });

  it('is never seen torn by other threads', async () => {
    const arena = makeArena();
    initInodeSlots(arena);
    const writes = 400_000;
    const last = 100_000;
    const readers = [1, 2].map(() => startThread(arena, JOBS, 'read', { slot: SLOT, last }));
    const writer = startThread(arena, JOBS, 'write', { slot: SLOT, writes, last });
    expect(await writer.report).toEqual({ result: writes });
    for (const { report } of readers) {
      const { result } = await report;
      expect(result).toMatchObject({ torn: 0 });
    }
  });

  it('is not waited for when its writer has died half-way', () => {
    const arena = makeArena();
    initInodeSlots(arena);
    arena.words[slotAt(arena, SLOT) + Inode.SizeSeq] = 1;
    arena.words[Header.State] = StoreState.Fenced;
    expect(() => sizeOf(arena, SLOT)).toThrow(/ENOTRECOVERABLE/);
  });
});
