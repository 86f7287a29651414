/** Emmental: a multithreaded, embeddable storage engine. The interface of the thread that opens a store. */

export type { StoreErrorCode } from './errors.js';
export { StoreError } from './errors.js';
export type { Hold, LockTypeName } from './locking/lock-types.js';
export type { LockColumn, OperationName, Scheme, SchemeName, SchemeTable } from './locking/scheme.js';
export { schemes } from './locking/schemes.js';
export type { Advice } from './store/arguments.js';
export type { CheckError, CheckReport } from './store/check.js';
export { type CreateOptions, checkStore, createStore } from './store/create-store.js';
export { hugePagesEnvironment } from './store/environment.js';
export type { File } from './store/file.js';
export { monitorSocketPath, type Snapshot } from './store/monitor.js';
export { type OpenOptions, openStore } from './store/open-store.js';
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
export type { LockStats, StoreStats } from './store/stats.js';
export type { RunOptions, Store } from './store/store.js';
export type { CommitEvent, FillEvent, InvalidationEvent, LockWaitEvent } from './sync/channels.js';
export type { DurationBins, LockTimeBins } from './sync/lock-times.js';
