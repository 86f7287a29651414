/**
 * SQLite's five states of a database's lock, on three advisory locks of its file (the protocol of SQLite's os_unix.c).
 *
 * 1. SHARED: the shared lane, shared; taken under the pending lane, so that a waiting writer lets no new reader in.
 * 2. RESERVED: its lane, exclusive, besides. PENDING: likewise. EXCLUSIVE: the shared lane, exclusive, besides PENDING.
 * 3. Who fails to become EXCLUSIVE keeps PENDING: the readers end, and it tries again.
 *
 * The thread's death gives all of it back; the next reader then finds the journal hot, and rolls back.
 */
import type { SyncFile } from '../../worker.js';

export const enum LockLevel {
  None,
  Shared,
  Reserved,
  Pending,
  Exclusive,
}

const enum Lane {
  Pending,
  Reserved,
  Shared,
}

export class DatabaseLock {
  private level = LockLevel.None;

  constructor(private readonly file: SyncFile) {}

  /** False: busy. */
  raise(to: LockLevel): boolean {
    const { file } = this;
    if (to <= this.level) return true;
    if (to === LockLevel.Shared) {
      if (!file.tryLock(Lane.Pending, 'shared')) return false;
      const isShared = file.tryLock(Lane.Shared, 'shared');
      file.unlock(Lane.Pending);
      if (isShared) this.level = LockLevel.Shared;
      return isShared;
    }
    if (to === LockLevel.Reserved) {
      if (!file.tryLock(Lane.Reserved, 'exclusive')) return false;
      this.level = LockLevel.Reserved;
      return true;
    }
    if (this.level < LockLevel.Pending) {
      if (!file.tryLock(Lane.Pending, 'exclusive')) return false;
      this.level = LockLevel.Pending;
    }
    if (to === LockLevel.Pending) return true;
    if (!file.tryLock(Lane.Shared, 'exclusive')) return false;
    this.level = LockLevel.Exclusive;
    return true;
  }

  /** To SHARED or to nothing. */
  lower(to: LockLevel): void {
    const { file } = this;
    if (to >= this.level) return;
    if (to === LockLevel.Shared) file.tryLock(Lane.Shared, 'shared');
    else file.unlock(Lane.Shared);
    file.unlock(Lane.Reserved);
    file.unlock(Lane.Pending);
    this.level = to;
  }

  /** Whether anybody means to write. */
  isReserved(): boolean {
    return this.level >= LockLevel.Reserved || this.file.isLocked(Lane.Reserved);
  }
}
