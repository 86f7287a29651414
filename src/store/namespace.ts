/**
 * Names and inodes together: open, create, stat, unlink, rename, list.
 *
 * Any thread may call, holding no lock and no handle. The Names rwsem is taken here: shared to look a name up, and held
 * until its inode is referenced, so that no unlink can free the inode in between; exclusive to change names. Each change is
 * one transaction (a crash shows all of it or nothing). What must be read first (the inode of a name) is read before the
 * handle is opened, because reading may evict, and evicting writes back.
 *
 * Locks: Names → journal handle → the inode table's and the name tree's own (metadata pages).
 */
import { StoreError } from '../errors.js';
import type { Engine } from '../file/engine.js';
import { blocksOf, inoOf, mtimeOf, sizeOf, touchChanged } from '../inode/inode.js';
import { CREDITS_CREATE, CREDITS_ORPHAN, CREDITS_UPDATE } from '../inode/inode-table.js';
import {
  NAME_INSERT_CREDITS,
  NAME_REMOVE_CREDITS,
  NAME_REPLACE_CREDITS,
  type NameEntry,
  type Names,
} from '../inode/names.js';
import type { Routine } from '../routine/effect.js';
import type { Task } from '../routine/task.js';
import { GlobalLock } from '../sync/layout.js';
import {
  acquireExclusive,
  acquireShared,
  releaseExclusive,
  releaseShared,
  tryAcquireExclusive,
} from '../sync/rwsem.js';
import type { Slot } from '../units.js';
import { Access } from './arguments.js';
import type { ListEntry } from './stat.js';

/** Blocks that a creation may take: of the inode table, and of the name tree for every level that splits. */
const CREATE_BLOCKS = 12;
const CREATE_CREDITS = CREDITS_CREATE + NAME_INSERT_CREDITS + CREDITS_ORPHAN + CREDITS_UPDATE;

export class Namespace {
  private readonly lock: number;

  constructor(
    private readonly engine: Engine,
    private readonly names: Names,
  ) {
    this.lock = engine.arena.layout.locks + GlobalLock.Names;
  }

  private *inodeOf(task: Task, ino: number): Routine<Slot> {
    return this.engine.inodes.tryFind(task, ino) || (yield* this.engine.inodes.find(task, ino));
  }

  /** A referenced inode for a name, or 0. */
  *find(task: Task, name: Uint8Array): Routine<Slot> {
    const at = this.lock;
    yield* acquireShared(task, at);
    try {
      const ino = yield* this.names.lookup(task, name);
      return ino === 0 ? (0 as Slot) : yield* this.inodeOf(task, ino);
    } finally {
      releaseShared(task, at);
    }
  }

  /** A referenced inode, created where `access` says so. ENOENT, EEXIST, EROFS, ENOSPC. Truncation is the caller's. */
  *open(task: Task, name: Uint8Array, access: number): Routine<Slot> {
    // Who wants a new file and no other rarely finds one: creating it looks the name up as well.
    if ((access & Access.Exclusive) !== 0) {
      const created = yield* this.createReserved(task, name);
      if (created !== 0) return created;
    }
    for (;;) {
      const slot = yield* this.find(task, name);
      if (slot !== 0) {
        if ((access & Access.Exclusive) === 0) return slot;
        yield* this.engine.inodes.release(task, slot);
        throw new StoreError('EEXIST', { syscall: 'open' });
      }
      if ((access & Access.Create) === 0) throw new StoreError('ENOENT', { syscall: 'open' });
      const created = yield* this.createReserved(task, name);
      if (created !== 0) return created;
    }
  }

  /** Whether there is such a name, at this moment. */
  private *isTaken(task: Task, name: Uint8Array): Routine<boolean> {
    yield* acquireShared(task, this.lock);
    try {
      return (yield* this.names.lookup(task, name)) !== 0;
    } finally {
      releaseShared(task, this.lock);
    }
  }

  /** `createName`, unless the blocks it may take were kept back for what data already promised will need. ENOSPC. */
  private *createReserved(task: Task, name: Uint8Array): Routine<Slot> {
    const { allocator } = this.engine;
    if (!(yield* allocator.reserveMetadata(task, CREATE_BLOCKS))) {
      if (yield* this.isTaken(task, name)) return 0 as Slot;
      throw new StoreError('ENOSPC', { syscall: 'open' });
    }
    try {
      return yield* this.createName(task, name);
    } finally {
      allocator.unreserve(task, CREATE_BLOCKS);
    }
  }

  /** A new file, or 0 when somebody else has created it meanwhile. */
  private *createName(task: Task, name: Uint8Array): Routine<Slot> {
    const { names } = this;
    const { journal, inodes } = this.engine;
    const at = this.lock;
    const claimed = yield* inodes.claimSlot(task);
    let slot = 0 as Slot;
    let entered = false;
    if (task.yieldsAtLocks || !tryAcquireExclusive(task, at)) yield* acquireExclusive(task, at);
    try {
      if ((yield* names.search(task, name)) !== 0) return 0 as Slot;
      if (task.yieldsAtLocks || !journal.tryBegin(task, CREATE_CREDITS)) yield* journal.begin(task, CREATE_CREDITS);
      try {
        slot = yield* inodes.create(task, claimed);
        try {
          yield* names.insertSought(task, name, inoOf(this.engine.arena, slot));
          entered = true;
        } catch (error) {
          yield* inodes.markDeleted(task, slot);
          throw error;
        }
      } finally {
        journal.end(task);
      }
    } finally {
      names.endSearch();
      releaseExclusive(task, at);
      if (slot === 0) inodes.unclaimSlot(task, claimed);
      else if (!entered) yield* inodes.release(task, slot);
    }
    return slot;
  }

  /** Removes a name. The file's blocks are freed when nobody has it open any more. ENOENT. */
  *unlink(task: Task, name: Uint8Array): Routine<void> {
    const { names } = this;
    const { journal, inodes } = this.engine;
    const at = this.lock;
    let slot = 0 as Slot;
    yield* acquireExclusive(task, at);
    try {
      const ino = yield* names.lookup(task, name);
      if (ino === 0) throw new StoreError('ENOENT', { syscall: 'unlink' });
      slot = yield* this.inodeOf(task, ino);
      yield* journal.begin(task, NAME_REMOVE_CREDITS + CREDITS_ORPHAN + CREDITS_UPDATE);
      try {
        // Its record first: what is in the transaction cannot become unreadable half-way.
        yield* inodes.update(task, slot);
        yield* names.remove(task, name);
        touchChanged(task, slot);
        yield* inodes.markDeleted(task, slot);
      } finally {
        journal.end(task);
      }
    } finally {
      releaseExclusive(task, at);
      if (slot !== 0) yield* inodes.release(task, slot);
    }
  }

  /** Gives a file another name; a file that had that name is unlinked, in the same transaction. ENOENT. */
  *rename(task: Task, from: Uint8Array, to: Uint8Array): Routine<void> {
    const { names } = this;
    const { journal, inodes } = this.engine;
    const at = this.lock;
    let slot = 0 as Slot;
    let replaced = 0 as Slot;
    yield* acquireExclusive(task, at);
    try {
      const ino = yield* names.lookup(task, from);
      if (ino === 0) throw new StoreError('ENOENT', { syscall: 'rename' });
      const oldIno = yield* names.lookup(task, to);
      if (oldIno === ino) return;
      slot = yield* this.inodeOf(task, ino);
      if (oldIno !== 0) replaced = yield* this.inodeOf(task, oldIno);
      yield* journal.begin(
        task,
        NAME_REMOVE_CREDITS + NAME_INSERT_CREDITS + NAME_REPLACE_CREDITS + CREDITS_ORPHAN + 2 * CREDITS_UPDATE,
      );
      try {
        // Records first, as in `unlink`; then the insertion, which may fail for want of space with nothing changed.
        yield* inodes.update(task, slot);
        if (replaced !== 0) yield* inodes.update(task, replaced);
        if (replaced === 0) yield* names.insert(task, to, ino);
        else yield* names.replace(task, to, ino);
        yield* this.removeOrUndo(task, from, to, oldIno);
        if (replaced !== 0) yield* inodes.markDeleted(task, replaced);
        touchChanged(task, slot);
        yield* inodes.update(task, slot);
      } finally {
        journal.end(task);
      }
    } finally {
      releaseExclusive(task, at);
      if (replaced !== 0) yield* inodes.release(task, replaced);
      if (slot !== 0) yield* inodes.release(task, slot);
    }
  }

  /** Removes `from`; where a node beside it cannot be read, takes `to` back to what it stood for, and throws that. */
  private *removeOrUndo(task: Task, from: Uint8Array, to: Uint8Array, oldIno: number): Routine<void> {
    const { names } = this;
    try {
      yield* names.remove(task, from);
    } catch (error) {
      // Nothing of the removal's credits was spent. Its leaf was just changed, and with it what undoing needs: no reads.
      if (oldIno === 0) yield* names.remove(task, to);
      else yield* names.replace(task, to, oldIno);
      throw error;
    }
  }

  /** Up to `limit` entries that start with `prefix` and come after `after`, with their files' figures. */
  *list(task: Task, prefix: Uint8Array, after: Uint8Array, limit: number): Routine<ListEntry[]> {
    const { engine, names } = this;
    const { arena, inodes } = engine;
    const found: NameEntry[] = [];
    const entries: ListEntry[] = [];
    const at = this.lock;
    yield* acquireShared(task, at);
    try {
      yield* names.list(task, prefix, after, limit, found);
      for (const { name, ino } of found) {
        const slot = yield* this.inodeOf(task, ino);
        entries.push({
          name,
          ino,
          size: sizeOf(arena, slot),
          allocatedBytes: blocksOf(arena, slot) * engine.blockBytes,
          mtimeMs: mtimeOf(arena, slot),
        });
        // Under the Names lock the file cannot lose its name, so this is never the last reference of a deleted one.
        inodes.put(task, slot);
      }
      return entries;
    } finally {
      releaseShared(task, at);
    }
  }
}
