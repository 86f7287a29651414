/** The synchronous interface, for any thread: `emmental/worker`. */

export type { StoreErrorCode } from './errors.js';
export { StoreError } from './errors.js';
export { attachStore } from './store/attach.js';
export type { LockMode } from './store/file-locks.js';
export type { PinnedPage } from './store/pinned-page.js';
export type { StoreHandle } from './store/session.js';
export type {
  FileExtent,
  FileSegment,
  FileStat,
  ListEntry,
  ListOptions,
  SegmentKind,
  StoreStatFs,
} from './store/stat.js';
export type { SyncFile } from './store/sync-file.js';
export type { SyncStore } from './store/sync-store.js';
