/**
 * The table of open files: which thread holds which in-core inode, with what access.
 *
 * A record is claimed by compare-exchange on its Thread word, which publishes nothing: the other words are written by the
 * claimer alone, and read by others only after the record's number has reached them (a service request), or after its
 * thread has died. The reference on the inode is taken before Slot is stored and given back after Slot is cleared, so
 * that a record with a slot always stands for one reference.
 */
import { StoreError } from '../errors.js';
import { ErrorCursor } from '../file/sync.js';
import type { Arena } from '../sync/arena.js';
import { Header, OpenFile, Thread, ThreadState } from '../sync/layout.js';
import type { Slot } from '../units.js';

export class OpenFiles {
  constructor(private readonly arena: Arena) {}

  at(record: number): number {
    return this.arena.layout.openFileRecords + record * OpenFile.Words;
  }

  /** Claims a record for `thread`. Throws ENOMEM when as many files are open as the store has room for. */
  claim(thread: number): number {
    const { words, layout } = this.arena;
    const { openFiles } = layout;
    const first = (thread * 61) % openFiles;
    for (let i = 0; i < openFiles; i++) {
      const record = (first + i) % openFiles;
      const at = this.at(record) + OpenFile.Thread;
      if (Atomics.load(words, at) === 0 && Atomics.compareExchange(words, at, 0, thread + 1) === 0) {
        this.raiseUsed(record + 1);
        return record;
      }
    }
    throw new StoreError('ENOMEM', { syscall: 'open', detail: `${openFiles} files are open` });
  }

  set(record: number, slot: Slot, access: number): void {
    const { words } = this.arena;
    const at = this.at(record);
    const thread = words[at + OpenFile.Thread] - 1;
    // A `fill` of shared memory takes many times as long.
    for (let word = at + OpenFile.Readahead; word < at + OpenFile.Words; word++) words[word] = 0;
    words[at + OpenFile.Locks] = 0;
    words[at + OpenFile.Access] = access;
    words[at + OpenFile.ThreadGeneration] = words[this.threadAt(thread) + Thread.Generation];
    words[at + OpenFile.Generation] += 1;
    words[at + OpenFile.ErrorSequence] = new ErrorCursor(this.arena, slot).sequence;
    Atomics.store(words, at + OpenFile.Slot, slot + 1);
  }

  slot(record: number): number {
    return Atomics.load(this.arena.words, this.at(record) + OpenFile.Slot) - 1;
  }

  access(record: number): number {
    return this.arena.words[this.at(record) + OpenFile.Access];
  }

  /** Tells the file that the record stands for now from those before it. */
  generation(record: number): number {
    return this.arena.words[this.at(record) + OpenFile.Generation];
  }

  /** Forgets the record; returns its slot, whose reference is now the caller's, or -1. */
  clear(record: number): number {
    const { words } = this.arena;
    const at = this.at(record);
    const slot = Atomics.exchange(words, at + OpenFile.Slot, 0) - 1;
    Atomics.store(words, at + OpenFile.Thread, 0);
    return slot;
  }

  /** Clears the records of threads that are gone; their slots, a reference each, are now the caller's. */
  takeLost(): Slot[] {
    return this.take((at) => this.arena.words[at + OpenFile.Slot] !== 0 && this.isLost(at));
  }

  /** Whether the thread of the record at this word is gone. */
  isLost(at: number): boolean {
    const { words } = this.arena;
    const owner = Atomics.load(words, at + OpenFile.Thread);
    const thread = this.threadAt(owner - 1);
    return (
      owner === 0 ||
      Atomics.load(words, thread + Thread.State) !== ThreadState.Attached ||
      words[thread + Thread.Generation] !== words[at + OpenFile.ThreadGeneration]
    );
  }

  /** Clears all records: the store is closing. */
  takeAll(): Slot[] {
    return this.take(() => true);
  }

  private take(which: (at: number) => boolean): Slot[] {
    const { words, layout } = this.arena;
    const slots: Slot[] = [];
    for (let record = 0; record < layout.openFiles; record++) {
      const at = this.at(record);
      const owner = Atomics.load(words, at + OpenFile.Thread);
      if (owner === 0 || !which(at)) continue;
      const slot = this.clear(record);
      if (slot >= 0) slots.push(slot as Slot);
    }
    return slots;
  }

  /** All records from here on have never been claimed. */
  get used(): number {
    return Atomics.load(this.arena.words, Header.OpenFilesUsed);
  }

  private raiseUsed(to: number): void {
    const { words } = this.arena;
    for (let seen = this.used; seen < to; seen = this.used) {
      Atomics.compareExchange(words, Header.OpenFilesUsed, seen, to);
    }
  }

  private threadAt(thread: number): number {
    return this.arena.layout.threadRecords + thread * Thread.Words;
  }
}
