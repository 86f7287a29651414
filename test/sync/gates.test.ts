import { expect, test } from 'vitest';
import { arrivedAt, holdPoint, releasePoint, waitArrived } from '#dist/src/sync/gates.js';
import { makeArena } from '../support/arena.js';
import { bundledThread } from '../support/bundled-thread.js';
import { startThread } from '../support/threads.js';

const JOBS = bundledThread('lock-jobs');

test('threads stop at a held point, are counted, and go on when it is released', async () => {
  const arena = makeArena();
  holdPoint(arena, 'punch:dropped');
  expect(waitArrived(arena, 'punch:dropped', 1, 10)).toBe(false);
  const threads = [0, 1].map(() => startThread(arena, JOBS, 'stopAt', { point: 'punch:dropped' }));
  const other = startThread(arena, JOBS, 'stopAt', { point: 'fill:locked' });
  expect((await other.report).result).toBe('went on');
  expect(waitArrived(arena, 'punch:dropped', 2, 5000)).toBe(true);
  expect([arrivedAt(arena, 'punch:dropped'), arrivedAt(arena, 'fill:locked')]).toEqual([2, 0]);
  releasePoint(arena, 'punch:dropped');
  for (const { report } of threads) expect((await report).result).toBe('went on');
});
