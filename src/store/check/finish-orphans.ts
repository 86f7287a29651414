/**
 * Does what is left on the orphan list: opens the store in this thread, as `openStore` does it, and closes it again. The
 * structures are sound by then, and nobody else has the device. What cannot be read is left as it is: an opening refuses
 * that, because a later read may succeed.
 */
import type { Device } from '../../device/device.js';
import { type MountPlan, mount, unmount } from '../mount.js';

const CACHE_PAGES = 512;
const COMMIT_PAGES = 256;

const PLAN: Omit<MountPlan, 'cacheBytes' | 'commitBytes'> = {
  path: 'the store under repair',
  minCachePages: CACHE_PAGES,
  inodesMin: 64,
  shape: { threads: 2, exclusions: 4096, openFiles: 1, requests: 1 },
  scheme: 'invalidate-lock',
  readOnly: false,
  leavesUnreadable: true,
  dirtyRatio: 0.5,
  dirtyExpireMs: 30_000,
  policy: 0,
  verify: false,
  random: Math.random,
};

export function finishOrphans(device: Device, blockBytes: number): void {
  const plan = { ...PLAN, cacheBytes: CACHE_PAGES * blockBytes, commitBytes: COMMIT_PAGES * blockBytes };
  unmount(mount(device, null, plan));
}
