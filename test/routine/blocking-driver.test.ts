import { describe, expect, test } from 'vitest';
import { BlockingDriver, runBlocking } from '#dist/src/routine/blocking-driver.js';
import { type Routine, TIMED_OUT, WOKEN } from '#dist/src/routine/effect.js';
import type { Task } from '#dist/src/routine/task.js';
import type { Arena } from '#dist/src/sync/arena.js';
import { GlobalLock, Header, StoreState } from '#dist/src/sync/layout.js';
import { lockLeaf, unlockLeaf } from '#dist/src/sync/leaf.js';
import { attachThread, detachThread, fence } from '#dist/src/sync/threads.js';
import { makeArena } from '../support/arena.js';

function withTask(body: (task: Task, arena: Arena) => void): void {
  const arena = makeArena();
  const task = attachThread(arena, new BlockingDriver(arena));
  body(task, arena);
  if (arena.state !== StoreState.Fenced) detachThread(task);
}

describe('the blocking driver', () => {
  test('a wait ends by time, or at once when the value differs', () => {
    withTask((task) => {
      function* routine(): Routine<number[]> {
        const word = Header.FramesWait;
        return [yield task.wait(word, 0, 20), yield task.wait(word, 7, 20), yield task.wait(word, 0, 0)];
      }
      expect(runBlocking(task, routine())).toEqual([TIMED_OUT, WOKEN, TIMED_OUT]);
    });
  });

  test('a pause takes about its time, and a point costs nothing', () => {
    withTask((task) => {
      const start = performance.now();
      function* routine(): Routine<void> {
        yield task.point('fill:locked');
        yield task.pause(30);
      }
      runBlocking(task, routine());
      expect(performance.now() - start).toBeGreaterThanOrEqual(29);
    });
  });

  test('device errors and results reach the routine', () => {
    withTask((task) => {
      const device = {
        sizeBytes: 8192,
        readOnly: false,
        io: 'buffered' as const,
        canDiscard: false,
        read: (buffers: Uint8Array[]) => buffers.reduce((sum, buffer) => sum + buffer.length, 0),
        write: () => {
          throw new Error('worn out');
        },
        flush: () => {},
        discard: () => {},
      };
      function* routine(): Routine<unknown[]> {
        const results: unknown[] = [yield task.read(device, [new Uint8Array(3), new Uint8Array(4)], 0)];
        try {
          yield task.write(device, [], 0);
        } catch (error) {
          results.push((error as Error).message);
        }
        results.push(yield task.flush(device), yield task.discard(device, 0, 4096));
        return results;
      }
      expect(runBlocking(task, routine())).toEqual([7, 'worn out', 0, 0]);
    });
  });

  test('waits of a fenced store throw EOWNERDEAD and run the finally blocks', () => {
    withTask((task, arena) => {
      fence(arena, task.thread, task.driver);
      let finished = false;
      function* routine(): Routine<void> {
        try {
          yield task.wait(Header.FramesWait, 0);
        } finally {
          finished = true;
        }
      }
      expect(() => runBlocking(task, routine())).toThrow(expect.objectContaining({ code: 'EOWNERDEAD' }));
      expect(finished).toBe(true);
    });
  });

  test('a wait that holds a leaf mutex is a broken invariant', () => {
    withTask((task, arena) => {
      const leaf = arena.layout.locks + GlobalLock.Reclaim;
      function* routine(): Routine<void> {
        lockLeaf(task, leaf);
        try {
          yield task.pause(1);
        } finally {
          unlockLeaf(task, leaf);
        }
      }
      expect(() => runBlocking(task, routine())).toThrow(/leaf mutex/);
    });
  });

  test('its clock is the epoch', () => {
    withTask((task) => expect(Math.abs(task.driver.now() - Date.now())).toBeLessThan(1000));
  });
});
