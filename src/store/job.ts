/**
 * Runs users' jobs: `store.run(moduleUrl, data)` on a thread of the store's job pool.
 *
 * A thread attaches at its first job and stays attached: the cache of views, the slot and its open files' table entry are
 * worth keeping. When the thread ends, the registry notices as for any attached thread.
 */
import { invalidArgType } from '../errors.js';
import { attachStore } from './attach.js';
import type { StoreHandle } from './session.js';
import type { SyncStore } from './sync-store.js';

export interface Job {
  handle: StoreHandle;
  moduleUrl: string;
  data: unknown;
}

let attached: SyncStore | undefined;

export async function runJob({ handle, moduleUrl, data }: Job): Promise<unknown> {
  const loaded = (await import(moduleUrl)) as { default?: unknown };
  if (typeof loaded.default !== 'function') {
    throw invalidArgType(
      'moduleUrl',
      `the URL of a module whose default export is a function ('${moduleUrl}')`,
      loaded.default,
    );
  }
  attached ??= attachStore(handle);
  return await loaded.default(attached, data);
}
