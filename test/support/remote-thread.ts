/**
 * A real thread attached to a store, which does what the test tells it to, one thing after the other. A thread that was closed
 * attaches to the next store, of whichever test: starting one, and compiling the engine in it, costs more than most of
 * these tests do.
 */
import { Worker } from 'node:worker_threads';
import type { StoreHandle } from '#dist/src/index.js';
import { Arena } from '#dist/src/sync/arena.js';
import type { PinnedPage, SyncFile, SyncStore } from '#dist/src/worker.js';
import { bundledThread } from './bundled-thread.js';
import { lockReport } from './lock-report.js';

/** No job of a test takes so long; what everybody waits for is told then. */
const STUCK_MS = 15_000;

export interface Scope {
  store: SyncStore;
  /** What the thread keeps from one job to the next. */
  keep: { file: SyncFile; page: PinnedPage; [name: string]: unknown };
}

/** As the thread saw it; `atMs` is when. */
export interface RemoteError extends Error {
  code?: string;
  atMs: number;
}

interface Answer {
  id: number;
  value?: unknown;
  error?: RemoteError;
}

/** Threads that are attached to nothing. They keep no process alive. */
const idle: Worker[] = [];
const IDLE_MAX = 4;

export class RemoteThread {
  private readonly waiting = new Map<number, { resolve: (value: never) => void; reject: (error: unknown) => void }>();
  private jobs = 0;

  private constructor(
    private readonly worker: Worker,
    private readonly arena: Arena,
  ) {
    worker.on('message', this.onAnswer);
    worker.on('error', this.onEnd);
    worker.on('exit', this.onEnd);
  }

  private readonly onAnswer = ({ id, value, error }: Answer): void => {
    const job = this.waiting.get(id);
    this.waiting.delete(id);
    if (error === undefined) job?.resolve(value as never);
    else job?.reject(Object.assign(new Error(error.message), error));
  };

  private readonly onEnd = (error: unknown): void => {
    const cause = error instanceof Error ? error : new Error('the thread has ended');
    for (const { reject } of this.waiting.values()) reject(cause);
    this.waiting.clear();
  };

  /** Resolves once the thread is attached. */
  static async start(handle: StoreHandle): Promise<RemoteThread> {
    const worker = idle.pop() ?? new Worker(bundledThread('remote-thread'));
    worker.ref();
    const thread = new RemoteThread(worker, new Arena(handle.arena, handle.layout));
    const attached = thread.answer<void>(0);
    worker.postMessage({ id: 0, handle });
    await attached;
    return thread;
  }

  /** Runs a function in the thread. It sees its arguments and `scope`, and nothing of what surrounds it here. */
  run<A extends unknown[], R>(job: (scope: Scope, ...args: A) => R, ...args: A): Promise<R> {
    this.jobs += 1;
    const answer = this.answer<R>(this.jobs);
    // A test may look at it only after it has let the thread go.
    answer.catch(() => {});
    this.worker.postMessage({ id: this.jobs, source: job.toString(), args });
    return answer;
  }

  /** Lets the thread detach. */
  async close(): Promise<void> {
    const { worker } = this;
    await this.run((scope) => {
      scope.store.close();
      Object.assign(scope, { store: undefined, keep: {} });
    });
    worker.off('message', this.onAnswer);
    worker.off('error', this.onEnd);
    worker.off('exit', this.onEnd);
    if (idle.length >= IDLE_MAX) return void (await worker.terminate());
    worker.unref();
    idle.push(worker);
  }

  /** Ends the thread in the middle of whatever it does. */
  async kill(): Promise<void> {
    await this.worker.terminate();
  }

  private answer<R>(id: number): Promise<R> {
    return new Promise<R>((resolve, reject) => {
      const stuck = (): void =>
        reject(new Error(`no answer in ${STUCK_MS} ms, while everybody does this:\n  ${lockReport(this.arena)}`));
      const timer = setTimeout(stuck, STUCK_MS);
      const settle = (how: (value: never) => void) => (value: unknown) => {
        clearTimeout(timer);
        how(value as never);
      };
      this.waiting.set(id, { resolve: settle(resolve), reject: settle(reject) });
    });
  }
}
