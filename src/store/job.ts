/**
 * Runs users' jobs: `store.run(moduleUrl, data)` on a thread of the store's job pool.
 *
 * A thread attaches at its first job and stays attached: the cache of views, the slot and its open files' table entry are
 * worth keeping. When the thread ends, the registry notices as for any attached thread.
 */
import { type ErrorData, errorToData, invalidArgType } from '../errors.js';
import { attachStore } from './attach.js';
import type { StoreHandle } from './session.js';
import type { SyncStore } from './sync-store.js';

export interface Job {
  handle: StoreHandle;
  moduleUrl: string;
  data: unknown;
}

/** How a job ended. A thrown error's `code` does not survive the way between threads, so such errors travel as data. */
export interface JobResult {
  value?: unknown;
  error?: ErrorData;
}

let attached: SyncStore | undefined;

export async function runJob(job: Job): Promise<JobResult> {
  try {
    return { value: await call(job) };
  } catch (error) {
    if (error instanceof Error && 'code' in error) return { error: errorToData(error) };
    throw error;
  }
}

async function call({ handle, moduleUrl, data }: Job): Promise<unknown> {
  const loaded = (await import(moduleUrl)) as { default?: unknown };
  if (typeof loaded.default !== 'function') {
    throw invalidArgType(
      'moduleUrl',
      `the URL of a module whose default export is a function ('${moduleUrl}')`,
      loaded.default,
    );
  }
  // A job may have closed what it was given.
  if (attached === undefined || attached.closed) attached = attachStore(handle);
  return await loaded.default(attached, data);
}
