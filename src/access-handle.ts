/** Files with the interface of the web's FileSystemSyncAccessHandle: `emmental/access-handle`. */

export {
  type AccessHandleOptions,
  accessHandle,
  type ReadWriteOptions,
  type SyncAccessHandle,
} from './adapters/access-handle/access-handle.js';
export type { AccessHandleMode } from './adapters/access-handle/handle-lock.js';
