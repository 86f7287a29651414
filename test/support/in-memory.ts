/** A store on a device in memory, used by one thread through the synchronous interface. */
import type { MemoryDevice } from '#dist/src/device/memory-device.js';
import type { Driver } from '#dist/src/routine/task.js';
import { type CheckReport, checkDevice } from '#dist/src/store/check.js';
import { type FormatOptions, formatDevice } from '#dist/src/store/format-store.js';
import { type MountPlan, mount, unmount } from '#dist/src/store/mount.js';
import type { Session } from '#dist/src/store/session.js';
import { SyncStore } from '#dist/src/store/sync-store.js';

export interface InMemory {
  store: SyncStore;
  session: Session;
  /** Durable and marked clean. */
  unmount(): void;
  /** `unmount`, and what the checker says then. */
  finish(): CheckReport;
}

export interface InMemoryOptions extends Partial<MountPlan> {
  /** Makes a new store first. */
  format?: boolean | Partial<FormatOptions>;
  blockBytes?: number;
  frames?: number;
  driver?: Driver;
}

export function inMemory(device: MemoryDevice, options: InMemoryOptions = {}): InMemory {
  const { format, blockBytes = 4096, frames = 512, driver, ...plan } = options;
  if (format !== undefined && format !== false) {
    const uuid = new Uint8Array(16);
    const given = format === true ? {} : format;
    formatDevice(device, { blockBytes, label: '', dataChecksums: false, now: 0, uuid, ...given });
  }
  const session = mount(
    device,
    null,
    {
      path: 'memory',
      cacheBytes: frames * blockBytes,
      minCachePages: 64,
      inodesMin: 64,
      commitBytes: 512 * blockBytes,
      shape: { threads: 4, exclusions: 4096, openFiles: 64, requests: 1 },
      scheme: 'invalidate-lock',
      readOnly: false,
      dirtyRatio: 0.5,
      dirtyExpireMs: 30_000,
      policy: 0,
      verify: true,
      random: () => 0.5,
      ...plan,
    },
    driver,
  );
  const end = (): void => unmount(session);
  return {
    store: new SyncStore(session),
    session,
    unmount: end,
    finish: () => {
      end();
      return checkDevice(device);
    },
  };
}
