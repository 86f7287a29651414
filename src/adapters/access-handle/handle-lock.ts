/**
 * The lock that an access handle takes on its file, by the handle's mode, on two advisory locks of the file.
 *
 *   readwrite          both lanes, exclusive
 *   read-only          the readers' lane, shared, while nobody is in the writers' lane
 *   readwrite-unsafe   the writers' lane, shared, while nobody is in the readers' lane
 *
 * 1. Handles of a file are one `readwrite`, or any number of the same other mode.
 * 2. Who shares a lane enters it first and looks at the other lane second: of a reader and a writer that come at once at
 *    least one sees the other. Both may, and then both are refused, as two may that want `readwrite` at once.
 *
 * The lock goes with the open file: its closing and the death of its thread give it back.
 */
import type { SyncFile } from '../../worker.js';

export type AccessHandleMode = 'readwrite' | 'read-only' | 'readwrite-unsafe';

const enum Lane {
  Readers = 6,
  Writers = 7,
}

/** False: handles of another mode are open, or one that stays alone. */
export function takeLock(file: SyncFile, mode: AccessHandleMode): boolean {
  if (mode === 'read-only') return share(file, Lane.Readers, Lane.Writers);
  if (mode === 'readwrite-unsafe') return share(file, Lane.Writers, Lane.Readers);
  if (!file.tryLock(Lane.Readers, 'exclusive')) return false;
  if (file.tryLock(Lane.Writers, 'exclusive')) return true;
  file.unlock(Lane.Readers);
  return false;
}

function share(file: SyncFile, lane: Lane, other: Lane): boolean {
  if (!file.tryLock(lane, 'shared')) return false;
  if (!file.isLocked(other)) return true;
  file.unlock(lane);
  return false;
}
