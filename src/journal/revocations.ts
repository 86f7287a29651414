/**
 * The blocks that the running transaction revokes: metadata blocks that it freed. Their images in the log, from this or
 * earlier transactions, must not be replayed: once the transaction is durable the blocks may hold anybody's data.
 *
 * The list is in shared memory, under the JournalState leaf mutex; `take` while no handle is open. That it has room is the
 * journal's promise to handles: each revokes at most as many blocks as it has credits.
 */
import { assert } from '../assert.js';
import type { Task } from '../routine/task.js';
import type { Arena } from '../sync/arena.js';
import { GlobalLock, REVOKED_MAX, Journal as Word } from '../sync/layout.js';
import { lockLeaf, unlockLeaf } from '../sync/leaf.js';

const NONE: readonly number[] = [];

export class Revocations {
  private readonly words: Int32Array;
  private readonly unsigned: Uint32Array;
  private readonly list: number;
  private readonly countAt: number;
  private readonly lock: number;
  private readonly forgottenAt: number;

  constructor(arena: Arena) {
    this.words = arena.words;
    this.unsigned = arena.unsigned;
    this.list = arena.layout.revokedBlocks;
    this.countAt = arena.layout.journal + Word.Revoked;
    this.forgottenAt = arena.layout.journal + Word.Forgotten;
    this.lock = arena.layout.locks + GlobalLock.JournalState;
  }

  get count(): number {
    return this.words[this.countAt];
  }

  add(task: Task, block: number): void {
    lockLeaf(task, this.lock);
    const count = this.words[this.countAt];
    Atomics.add(this.words, this.forgottenAt, 1);
    if (count < REVOKED_MAX) {
      this.unsigned[this.list + count] = block;
      this.words[this.countAt] = count + 1;
    }
    unlockLeaf(task, this.lock);
    assert(count < REVOKED_MAX, 'a transaction revokes more blocks than were promised to it');
  }

  /** Empties the list. */
  take(): readonly number[] {
    if (this.count === 0) return NONE;
    const taken = Array.from(this.unsigned.subarray(this.list, this.list + this.count));
    this.words[this.countAt] = 0;
    return taken;
  }
}
