/**
 * A load thread: attaches to the store, waits for the common start, does its task, and detaches.
 *
 * Runs in a worker (workers/load.ts); blocks it freely. It knows the engine through `emmental/worker` only.
 */
import { parentPort } from 'node:worker_threads';
import { attachStore, type StoreHandle, type SyncFile, type SyncStore } from '../../src/worker.js';
import { runJob } from './job-loop.js';
import { runPass } from './pass.js';
import { readsOnly } from './plan.js';
import { runStorm } from './storm.js';
import { areaOf, Control, controlOf, type ThreadArea } from './thread-memory.js';
import { isStorm, type ThreadData, type ThreadMessage, type ThreadTask } from './thread-task.js';

export function runLoadThread({ handle, task, thread, memory }: ThreadData): void {
  const store = attachStore(handle as StoreHandle);
  const control = controlOf(memory);
  const area = areaOf(memory, thread);
  try {
    const file = openFile(store, task);
    try {
      say({ kind: 'ready' });
      Atomics.wait(control, Control.Go, 0);
      say({ kind: 'done', verifyError: runTask(file, task, thread, area, control) });
    } finally {
      file.close();
    }
  } finally {
    store.close();
  }
}

function openFile(store: SyncStore, task: ThreadTask): SyncFile {
  if (task.kind === 'job') return store.open(task.job.filename, readsOnly(task.job) ? 'r' : 'r+');
  if (task.kind === 'layout') return store.open(task.file, 'wx+');
  return store.open(task.file, task.kind === 'punch' || task.kind === 'truncate' ? 'r+' : 'r');
}

/** Returns what was wrong with the first wrong unit, if any was. */
function runTask(
  file: SyncFile,
  task: ThreadTask,
  thread: number,
  area: ThreadArea,
  control: Int32Array,
): string | null {
  if (task.kind === 'job') return runJob(file, task, thread, area, control);
  if (!isStorm(task)) return runPass(file, task, area, control);
  runStorm(file, task, area, control);
  return null;
}

function say(message: ThreadMessage): void {
  parentPort!.postMessage(message);
}
