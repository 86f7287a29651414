/**
 * Advisory locks between open files: lanes of a file, each held shared by several of its open files or exclusive by one.
 *
 * They bind only those who ask. A lock belongs to the open file, not to its thread: two open files of one thread exclude each
 * other, and what closes an open file, the death of its thread included, gives its locks back. So there is no count that a
 * death could leave wrong: whether a lane is taken is read from the records of open files, of which only its own thread writes
 * each.
 *
 * 1. Who wants a lane says so in its own record first, and looks at the records of the others second. Of two that exclude
 *    each other at least one sees the other, since these accesses are sequentially consistent; it takes its word back.
 * 2. Both may see each other, and then neither gets the lane. Nobody waits here: callers try again.
 * 3. The locks of a thread that is gone are free: who is refused looks for dead threads, at most once in a while for all.
 *    So nobody depends on the opening thread, which may itself be waiting for a lock.
 * 4. A record counts while its Slot is that of the file. Locks is cleared before Slot is stored, and a record is below
 *    OpenFilesUsed before it can hold a lock.
 */
import { invalidArgType, outOfRange } from '../errors.js';
import type { Driver } from '../routine/task.js';
import type { Arena } from '../sync/arena.js';
import { OpenFile } from '../sync/layout.js';
import { reapIfDue } from '../sync/threads.js';
import type { OpenFiles } from './open-files.js';

export type LockMode = 'shared' | 'exclusive';

export const LANES = 8;

/** Bits of OpenFile.Locks. */
const sharedBit = (lane: number): number => 1 << lane;
const exclusiveBit = (lane: number): number => 1 << (lane + LANES);

export class FileLocks {
  constructor(
    private readonly arena: Arena,
    private readonly openFiles: OpenFiles,
    private readonly driver: Driver,
  ) {}

  /** Takes the lane, or takes it in another mode; what was held stays held where that fails. */
  tryLock(record: number, lane: number, mode: LockMode): boolean {
    const { words } = this.arena;
    const at = this.openFiles.at(record) + OpenFile.Locks;
    const before = words[at];
    if (mode === 'shared') {
      if ((before & exclusiveBit(lane)) !== 0) {
        Atomics.store(words, at, (before | sharedBit(lane)) & ~exclusiveBit(lane));
        return true;
      }
      Atomics.store(words, at, before | sharedBit(lane));
      if (!this.othersHold(record, exclusiveBit(lane))) return true;
    } else {
      Atomics.store(words, at, before | exclusiveBit(lane));
      if (!this.othersHold(record, sharedBit(lane) | exclusiveBit(lane))) return true;
    }
    Atomics.store(words, at, before);
    return false;
  }

  unlock(record: number, lane: number): void {
    const { words } = this.arena;
    const at = this.openFiles.at(record) + OpenFile.Locks;
    Atomics.store(words, at, words[at] & ~(sharedBit(lane) | exclusiveBit(lane)));
  }

  /** Whether another open file of the same file holds the lane, or tries to. */
  isLocked(record: number, lane: number): boolean {
    return this.othersHold(record, sharedBit(lane) | exclusiveBit(lane));
  }

  private othersHold(record: number, bits: number): boolean {
    const { openFiles, arena } = this;
    const { words } = arena;
    const slot = words[openFiles.at(record) + OpenFile.Slot];
    const used = openFiles.used;
    for (let other = 0; other < used; other++) {
      if (other === record) continue;
      const at = openFiles.at(other);
      if (Atomics.load(words, at + OpenFile.Slot) !== slot || (Atomics.load(words, at + OpenFile.Locks) & bits) === 0) {
        continue;
      }
      reapIfDue(arena, this.driver);
      if (!openFiles.isLost(at)) return true;
    }
    return false;
  }
}

export function checkLane(lane: unknown): number {
  if (typeof lane !== 'number') throw invalidArgType('lane', 'of type number', lane);
  if (!Number.isInteger(lane) || lane < 0 || lane >= LANES) throw outOfRange('lane', `>= 0 && < ${LANES}`, lane);
  return lane;
}

export function checkLockMode(mode: unknown): LockMode {
  if (mode === 'shared' || mode === 'exclusive') return mode;
  throw invalidArgType('mode', "'shared' or 'exclusive'", mode);
}
