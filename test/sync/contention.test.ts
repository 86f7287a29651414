/** Real threads on one lock: mutual exclusion, and that each of them gets through. */
import { describe, expect, test } from 'vitest';
import type { Arena } from '#dist/src/sync/arena.js';
import { GlobalLock, Header, Rwsem, Thread, ThreadState } from '#dist/src/sync/layout.js';
import { LockRank } from '#dist/src/sync/lockdep.js';
import { initMutex } from '#dist/src/sync/mutex.js';
import { initRwsem } from '#dist/src/sync/rwsem.js';
import { RWSEM_POLICIES, rwsemPolicyNumber } from '#dist/src/sync/rwsem-policy.js';
import { makeArena } from '../support/arena.js';
import { startThread } from '../support/threads.js';
import { DATA } from './lock-jobs.mjs';

const JOBS = new URL('./lock-jobs.mjs', import.meta.url);
const THREADS = 6;
const TURNS = 6_000;

/** The results of THREADS threads that run the job at once. */
async function runThreads(arena: Arena, job: string): Promise<unknown[]> {
  const threads = Array.from({ length: THREADS }, (_, seed) => startThread(arena, JOBS, job, { turns: TURNS, seed }));
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
});
