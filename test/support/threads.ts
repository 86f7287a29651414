/** Real threads for tests: each runs one job of a plain JavaScript module on the shared arena (worker.mjs). */
import { Worker } from 'node:worker_threads';
import type { Arena } from '#dist/src/sync/arena.js';
import { bundledThread } from './bundled-thread.js';

export interface JobReport {
  result?: unknown;
  code?: string;
  message?: string;
  /** When an error was caught, in milliseconds of the epoch. */
  atMs?: number;
}

export interface TestThread {
  worker: Worker;
  /** What the job ended with; never settles for a thread that is terminated. */
  report: Promise<JobReport>;
}

/** `module` is the URL of the module that exports the job, a generator function (task, arena, data). */
export function startThread(arena: Arena, module: URL, job: string, data: unknown = null): TestThread {
  const worker = new Worker(bundledThread('worker'), {
    workerData: { buffer: arena.buffer, layout: arena.layout, module: module.href, job, data },
  });
  const report = new Promise<JobReport>((resolve, reject) => {
    worker.once('message', resolve);
    worker.once('error', reject);
  });
  report.catch(() => {});
  return { worker, report };
}

/** Blocks this thread until the arena word has the value; answers whether it did within the time. */
export function waitForWord(arena: Arena, word: number, value: number, timeoutMs = 10_000): boolean {
  const end = performance.now() + timeoutMs;
  for (;;) {
    const seen = Atomics.load(arena.words, word);
    if (seen === value) return true;
    const left = end - performance.now();
    if (left <= 0) return false;
    Atomics.wait(arena.words, word, seen, Math.min(left, 20));
  }
}
