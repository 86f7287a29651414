/** Real threads on one lock: mutual exclusion, and that each of them gets through. */
import { describe, expect, test } from 'vitest';
import type { Arena } from '#dist/src/sync/arena.js';
import { GlobalLock, Header, RangeLock, Rwsem, Thread, ThreadState } from '#dist/src/sync/layout.js';
import { LockRank } from '#dist/src/sync/lockdep.js';
import { initMutex } from '#dist/src/sync/mutex.js';
import { initRwsem } from '#dist/src/sync/rwsem.js';
import { RWSEM_POLICIES, rwsemPolicyNumber } from '#dist/src/sync/rwsem-policy.js';
import { READS_IN_ORDER } from '#dist/src/sync/versions.js';
import { makeArena } from '../support/arena.js';
import { bundledThread } from '../support/bundled-thread.js';
import { startThread } from '../support/threads.js';
import { DATA, RANGE_PAGES } from './lock-jobs.mjs';

const JOBS = bundledThread('lock-jobs');
const THREADS = 4;
const TURNS = 2_400;

/** The results of THREADS threads that run the job at once. */
async function runThreads(arena: Arena, job: string, options = {}): Promise<unknown[]> {
  const threads = Array.from({ length: THREADS }, (_, seed) =>
    startThread(arena, JOBS, job, { turns: TURNS, seed, ...options }),
  );
  const reports = await Promise.all(threads.map((thread) => thread.report));
  for (const report of reports) expect(report.message).toBeUndefined();
  for (let thread = 0; thread < arena.layout.threads; thread++) {
    expect(arena.words[arena.layout.threadRecords + thread * Thread.Words + Thread.State]).toBe(ThreadState.Free);
  }
  return reports.map((report) => report.result);
}

describe('threads on one lock', () => {
  test.each([true, false])('leaf mutex, verify %s', async (verify) => {
    const arena = makeArena({ verify });
    await runThreads(arena, 'leaf');
    expect(arena.words[DATA]).toBe(THREADS * TURNS);
    expect(arena.words[arena.layout.locks + GlobalLock.Reclaim]).toBe(0);
  });

  test('mutex', async () => {
    const arena = makeArena();
    const at = arena.layout.locks + GlobalLock.InodeTable;
    initMutex(arena, at, LockRank.InodeTable);
    await runThreads(arena, 'mutex');
    expect(arena.words[DATA]).toBe(THREADS * TURNS);
    expect(arena.words[at]).toBe(0);
  });

  test.each(RWSEM_POLICIES)('rwsem, %s', async (policy) => {
    const arena = makeArena({ policy: rwsemPolicyNumber(policy) });
    const at = arena.layout.locks + GlobalLock.Names;
    initRwsem(arena, at, LockRank.Names);
    expect(await runThreads(arena, 'rwsem')).toEqual(new Array(THREADS).fill(0));
    expect(arena.words[DATA]).toBe((THREADS * TURNS) / 3);
    expect(arena.words[at + Rwsem.Generation]).toBe((THREADS * TURNS) / 3);
    expect([arena.words[at], arena.words[at + Rwsem.WaitHead], arena.words[at + Rwsem.WaitTail]]).toEqual([0, 0, 0]);
    expect(arena.words[Header.DeadThread]).toBe(0);
  });

  test('range lock', async () => {
    const arena = makeArena({ frames: 64 });
    const at = arena.layout.locks + GlobalLock.Names;
    initRwsem(arena, at, LockRank.IRwsem);
    const results = (await runThreads(arena, 'ranges', { turns: 3000 })) as [number, number][];
    expect(results.map(([, violations]) => violations)).toEqual(new Array(THREADS).fill(0));
    const counted = arena.words.subarray(arena.layout.ghosts, arena.layout.ghosts + RANGE_PAGES);
    expect(counted.reduce((sum, n) => sum + n, 0)).toBe(results.reduce((sum, [increments]) => sum + increments, 0));
    expect([...arena.words.subarray(at, at + RangeLock.QueueLock + 1)]).toEqual(new Array(6).fill(0));
  });

  test('two-state lock', async () => {
    const arena = makeArena();
    const at = arena.layout.locks + GlobalLock.Names;
    initRwsem(arena, at, LockRank.InvalidateLock);
    expect(await runThreads(arena, 'twoState', { turns: 3000 })).toEqual(new Array(THREADS).fill(0));
    expect([arena.words[at], arena.words[at + Rwsem.WaitHead], arena.words[at + Rwsem.WaitTail]]).toEqual([0, 0, 0]);
  });

  test.each([3, 200])('reader-biased rwsem, one write in %i', async (writeEvery) => {
    const arena = makeArena();
    const at = arena.layout.locks + GlobalLock.Names;
    initRwsem(arena, at, LockRank.IRwsem);
    expect(await runThreads(arena, 'biased', { writeEvery, turns: 3000 })).toEqual(new Array(THREADS).fill(0));
    expect(arena.words[DATA]).toBe((THREADS * 3000) / writeEvery);
    expect([arena.words[at], arena.words[at + Rwsem.WaitHead], arena.words[at + Rwsem.WaitTail]]).toEqual([0, 0, 0]);
  });

  test.runIf(READS_IN_ORDER)('versioned rwsem, with readers that take no lock', async () => {
    const arena = makeArena({ frames: 64 });
    initRwsem(arena, arena.layout.locks + GlobalLock.Names, LockRank.IRwsem);
    const results = (await runThreads(arena, 'versioned')) as [number, number][];
    expect(results.map(([mixtures]) => mixtures)).toEqual(new Array(THREADS).fill(0));
    expect(results.reduce((sum, [, reads]) => sum + reads, 0)).toBeGreaterThan(100);
  });
});
