/** Attaching a thread to a store that another thread of the process has open. */
import { invalidArgType } from '../errors.js';
import { isStoreHandle, Session, type StoreHandle } from './session.js';
import { SyncStore } from './sync-store.js';

/**
 * Attaches the calling thread. The handle is `store.handle`, passed through `workerData` or `postMessage`. Throws EBADF
 * when the store is closed, EBUSY when as many threads are attached as it has room for.
 */
export function attachStore(handle: StoreHandle): SyncStore {
  if (!isStoreHandle(handle)) throw invalidArgType('handle', 'the handle of an open store', handle);
  return new SyncStore(new Session(handle, 'user'));
}
