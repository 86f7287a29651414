/** Files with the interface of the web's FileSystemSyncAccessHandle: `emmental/access-handle`. */

export {
  type AccessHandleMode,
  type AccessHandleOptions,
  accessHandle,
  type ReadWriteOptions,
  type SyncAccessHandle,
} from './adapters/access-handle/access-handle.js';
