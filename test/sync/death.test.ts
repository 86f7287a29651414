/** Threads that end while attached. The test's own thread stands for the opening one, and is busy meanwhile. */
import { beforeEach, describe, expect, test } from 'vitest';
import { BlockingDriver } from '#dist/src/routine/blocking-driver.js';
import type { Arena } from '#dist/src/sync/arena.js';
import { GlobalLock, Header, Pin, StoreState, Thread, ThreadState } from '#dist/src/sync/layout.js';
import { LockRank } from '#dist/src/sync/lockdep.js';
import { initMutex } from '#dist/src/sync/mutex.js';
import { initRwsem } from '#dist/src/sync/rwsem.js';
import { attachThread, canDetectDeath, detachThread, reapDeadThreads } from '#dist/src/sync/threads.js';
import { makeArena } from '../support/arena.js';
import { bundledThread } from '../support/bundled-thread.js';
import { startThread, type TestThread, waitForWord } from '../support/threads.js';
import { ARRIVED } from './lock-jobs.mjs';

const JOBS = bundledThread('lock-jobs');
const nowMs = (): number => performance.timeOrigin + performance.now();

let arena: Arena;

beforeEach(() => {
  arena = makeArena();
  initRwsem(arena, arena.layout.locks + GlobalLock.Names, LockRank.Names);
  initMutex(arena, arena.layout.locks + GlobalLock.InodeTable, LockRank.InodeTable);
});

function startJob(job: string, arrivals: number, data: unknown = {}): TestThread {
  const thread = startThread(arena, JOBS, job, data);
  expect(waitForWord(arena, ARRIVED, arrivals)).toBe(true);
  return thread;
}

/** Keeps this thread from its event loop, as a busy opening thread would be. */
function blockFor(timeMs: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, timeMs);
}

interface Death {
  what: string;
  hold: string;
  holdData: object;
  wait: string;
  waitData?: object;
  held: RegExp;
}

const slotState = (thread: number): number =>
  arena.words[arena.layout.threadRecords + thread * Thread.Words + Thread.State];

describe.runIf(canDetectDeath())('the death of a thread', () => {
  test.each<Death>([
    {
      what: 'an rwsem exclusive',
      hold: 'holdRwsem',
      holdData: { exclusive: true },
      wait: 'waitRwsem',
      held: /names lock$/,
    },
    {
      what: 'an rwsem shared',
      hold: 'holdRwsem',
      holdData: { exclusive: false },
      wait: 'waitRwsem',
      held: /names lock shared$/,
    },
    ...[
      ['a range lock', 'range', 'range', /names lock$/],
      ['a two-state lock as filler', 'filling', 'invalidating', /names lock shared$/],
      ['a reader-biased rwsem shared, in its own slot', 'biasedShared', 'biasedExclusive', /names lock shared$/],
    ].map(([what, hold, waitFor, held]) => ({
      what: what as string,
      hold: 'holdTyped',
      holdData: { hold },
      wait: 'waitTyped',
      waitData: { wait: waitFor },
      held: held as RegExp,
    })),
    { what: 'a mutex', hold: 'holdMutex', holdData: {}, wait: 'waitMutex', held: /inode-table lock$/ },
    { what: 'a leaf mutex', hold: 'holdLeaf', holdData: {}, wait: 'waitLeaf', held: /leaf mutex$/ },
  ])(
    'holding $what: every waiter gets EOWNERDEAD within a second',
    async ({ hold, holdData, wait, waitData, held }: Death) => {
      const holder = startJob(hold, 1, holdData);
      const waiters = [2, 3].map((arrivals) => startJob(wait, arrivals, waitData ?? { exclusive: true }));
      blockFor(20);
      const killedAt = nowMs();
      void holder.worker.terminate();
      expect(waitForWord(arena, Header.State, StoreState.Fenced, 950)).toBe(true);
      for (const { report } of waiters) {
        const { code, message, atMs } = await report;
        expect(code).toBe('EOWNERDEAD');
        expect(message).toMatch(held);
        expect(atMs! - killedAt).toBeLessThan(1000);
      }
      expect(() => arena.checkOpen('read')).toThrow(expect.objectContaining({ code: 'ENOTRECOVERABLE' }));
    },
  );

  test('waiting for a lock counts as holding it', async () => {
    const holder = startJob('holdRwsem', 1, { exclusive: true });
    const waiter = startJob('waitRwsem', 2, { exclusive: true });
    blockFor(20);
    await waiter.worker.terminate();
    expect(reapDeadThreads(arena, new BlockingDriver(arena))).toBe(1);
    expect(arena.state).toBe(StoreState.Fenced);
    await holder.worker.terminate();
  });

  test('holding nothing frees its slot', async () => {
    const idle = startJob('idle', 1, { pin: 0 });
    const driver = new BlockingDriver(arena);
    expect(reapDeadThreads(arena, driver)).toBe(0);
    await idle.worker.terminate();
    expect(slotState(0)).toBe(ThreadState.Attached);
    expect(reapDeadThreads(arena, driver)).toBe(1);
    expect(slotState(0)).toBe(ThreadState.Free);
    expect(arena.state).toBe(StoreState.Open);
    const task = attachThread(arena, driver);
    expect([task.thread, arena.words[task.record + Thread.Generation]]).toEqual([0, 2]);
    detachThread(task);
  });

  test('its pins are given back by somebody who has the page cache', async () => {
    const pin = arena.layout.pinRecords + Pin.Words;
    const idle = startJob('idle', 1, { pin: 7 });
    arena.words[pin + Pin.Frame] = 9;
    arena.words[pin + Pin.Thread] = 1;
    arena.words[Header.Pins] = 1;
    await idle.worker.terminate();
    const driver = new BlockingDriver(arena);
    reapDeadThreads(arena, driver);
    expect(slotState(0)).toBe(ThreadState.Attached);
    const unpinned: number[] = [];
    driver.unpin = (frame) => unpinned.push(frame);
    reapDeadThreads(arena, driver);
    expect(unpinned).toEqual([7, 9]);
    expect([slotState(0), arena.words[pin + Pin.Thread], arena.words[Header.Pins]]).toEqual([ThreadState.Free, 0, 0]);
  });

  test('frees a slot for who attaches when there is none left', async () => {
    arena = makeArena({ threads: 1 });
    const idle = startJob('idle', 1, { pin: 0 });
    const driver = new BlockingDriver(arena);
    expect(() => attachThread(arena, driver)).toThrow(expect.objectContaining({ code: 'EBUSY' }));
    await idle.worker.terminate();
    expect(attachThread(arena, driver).thread).toBe(0);
  });
});
