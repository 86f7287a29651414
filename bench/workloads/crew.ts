/**
 * A crew: load threads that start together and are measured together.
 *
 * Every thread attaches and opens its file first; then all are let go at once. The crew is done when every thread that is no
 * storm is; an error in one, or the user's interruption, stops all.
 */
import { Worker } from 'node:worker_threads';
import { allocateCrewMemory, areaOf, Control, controlOf, type ThreadArea } from './thread-memory.js';
import { isStorm, type ThreadData, type ThreadMessage, type ThreadTask } from './thread-task.js';

const TICK_MS = 250;
/** A thread that has not ended so long after it was told to is ended by force. */
const STOP_TIMEOUT_MS = 30_000;

export interface CrewOptions {
  /** How long the measured part may take at most, for the per-second series. */
  runtimeSeconds: number;
  interruption: AbortSignal;
  /** Called when all threads are there, right before they start. */
  onStart?: ((areas: ThreadArea[]) => void) | undefined;
  /** Called every TICK_MS with the areas, that the threads are still writing. */
  onTick?: ((areas: ThreadArea[]) => void) | undefined;
}

export interface CrewResult {
  areas: ThreadArea[];
  /** Of each thread, the first wrong unit it saw. */
  verifyErrors: (string | null)[];
}

/** One worker, with promises for what it says. */
class Member {
  verifyError: string | null = null;
  readonly ready: Promise<void>;
  readonly done: Promise<void>;
  readonly exited: Promise<void>;
  private readonly worker: Worker;

  constructor(data: ThreadData) {
    this.worker = new Worker(new URL('../../workers/load.js', import.meta.url), { workerData: data });
    let isDone = false;
    const failed = new Promise<never>((_resolve, reject) => {
      this.worker.once('error', reject);
      this.worker.once('exit', () => {
        if (!isDone) reject(new Error('a load thread ended before its task was done'));
      });
    });
    const said = (kind: ThreadMessage['kind']) =>
      new Promise<void>((resolve) => {
        this.worker.on('message', (message: ThreadMessage) => {
          if (message.kind !== kind) return;
          if (message.kind === 'done') {
            isDone = true;
            this.verifyError = message.verifyError;
          }
          resolve();
        });
      });
    this.ready = Promise.race([said('ready'), failed]);
    this.done = Promise.race([said('done'), failed]);
    this.exited = new Promise((resolve) => this.worker.once('exit', () => resolve()));
    // Each failure is told once, by whoever waits first.
    for (const promise of [failed, this.ready, this.done]) promise.catch(() => undefined);
  }

  terminate(): Promise<unknown> {
    return this.worker.terminate();
  }
}

export async function runCrew(handle: unknown, tasks: ThreadTask[], options: CrewOptions): Promise<CrewResult> {
  const { interruption, onStart, onTick, runtimeSeconds } = options;
  interruption.throwIfAborted();
  const memory = allocateCrewMemory(tasks.length, runtimeSeconds);
  const control = controlOf(memory);
  const areas = tasks.map((_task, thread) => areaOf(memory, thread));
  const members = tasks.map((task, thread) => new Member({ handle, task, thread, memory }));
  const set = (word: Control) => {
    Atomics.store(control, word, 1);
    Atomics.notify(control, word);
  };
  const interrupted = onceAborted(interruption);
  const ticker = setInterval(() => onTick?.(areas), TICK_MS);
  try {
    await Promise.race([Promise.all(members.map((member) => member.ready)), interrupted.promise]);
    onStart?.(areas);
    set(Control.Go);
    const working = members.filter((_member, thread) => !isStorm(tasks[thread]));
    // A storm that fails is noticed here too; one that is done before the others is not waited for.
    const failures = members.map((member) => member.done.then(() => new Promise<never>(() => undefined)));
    await Promise.race([Promise.all(working.map((member) => member.done)), interrupted.promise, ...failures]);
    set(Control.Stop);
    await Promise.all(members.map((member) => member.done));
  } finally {
    clearInterval(ticker);
    interrupted.forget();
    set(Control.Stop);
    set(Control.Go);
    const force = setTimeout(() => members.forEach((member) => void member.terminate()), STOP_TIMEOUT_MS);
    await Promise.all(members.map((member) => member.exited));
    clearTimeout(force);
  }
  return { areas, verifyErrors: members.map((member) => member.verifyError) };
}

/** A promise that rejects when `signal` is aborted, and a way to take the listener off again. */
function onceAborted(signal: AbortSignal): { promise: Promise<never>; forget(): void } {
  let onAbort = () => {};
  const promise = new Promise<never>((_resolve, reject) => {
    onAbort = () => reject(signal.reason as Error);
    signal.addEventListener('abort', onAbort, { once: true });
  });
  promise.catch(() => undefined);
  return { promise, forget: () => signal.removeEventListener('abort', onAbort) };
}
