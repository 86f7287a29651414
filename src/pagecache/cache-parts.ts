/**
 * What the parts of the page cache know of each other. `PageCache` is the one implementation at large; the modules beside
 * it take this view of it, so that they need not know the whole.
 */
import type { Device } from '../device/device.js';
import type { Arena } from '../sync/arena.js';
import type { Slot } from '../units.js';
import type { BatchOwner } from './fill-batch.js';
import type { Frames } from './frames.js';
import type { Lookup } from './lookup.js';
import type { Mappings } from './mapping.js';
import type { MappingOperations } from './mapping-operations.js';
import type { PageLock } from './page-lock.js';
import type { Reclaim } from './reclaim.js';

/** When dirty pages are written back, and when writers wait for it. */
export interface DirtyLimits {
  /** Share of the cache's pages that may be dirty before writers are made to wait; background writeback starts at half. */
  dirtyRatio: number;
  /** Age at which a dirty page is written back anyway. */
  dirtyExpireMs: number;
}

export interface CacheParts extends BatchOwner {
  readonly arena: Arena;
  readonly frames: Frames;
  readonly device: Device;
  readonly limits: DirtyLimits;
  readonly lookup: Lookup;
  readonly locks: PageLock;
  readonly mappings: Mappings;
  readonly reclaim: Reclaim;
  operationsOf(mapping: Slot): MappingOperations;
}
