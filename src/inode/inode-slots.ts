/**
 * The in-core slots: which inode each holds, who uses it, and which one to give up when they run short.
 *
 * Any thread may call; no routine here but the wait. A slot is one of
 *   free      Ino 0, no references, in no chain.
 *   claimed   Ino 0, Busy, one reference, in no chain: in the hands of the task that took it.
 *   busy      in its chain, Busy: one task reads its record, evicts it or frees it. Finders add a reference and wait.
 *   in core   in its chain, not Busy.
 *
 *  1. Chains, Ino, and references rising from 0 change under the InodeHash leaf mutex. References fall by
 *     compare-exchange; the last one of a deleted inode falls only with Busy set.
 *  2. A slot with references other than its Busy owner's is not taken from them.
 *  3. An inode number comes off its slot, under the inode table's mutex, before it goes on the free list: who takes it from
 *     there finds no slot under it.
 *  4. Who has a slot busy in its chain counts as holding a lock (threads.ts), so that its death does not strand those who wait.
 */
import { assert } from '../assert.js';
import type { Routine } from '../routine/effect.js';
import type { Task } from '../routine/task.js';
import type { Arena } from '../sync/arena.js';
import { GlobalLock, Header, Inode, InodeFlag } from '../sync/layout.js';
import { lockLeaf, unlockLeaf } from '../sync/leaf.js';
import { LockMode } from '../sync/lockdep.js';
import { popHeld, pushHeld } from '../sync/threads.js';
import type { Slot } from '../units.js';
import { FIRST_FILE_SLOT, slotAt } from './inode.js';

const NONE = 0 as Slot;
const EVERYBODY = 0x7fff_ffff;
/** Slots that the clock passes to find one without dirty pages, once it has found any. */
const CLEAN_SEARCH = 32;

export class InodeSlots {
  private readonly lock: number;

  constructor(private readonly arena: Arena) {
    this.lock = arena.layout.locks + GlobalLock.InodeHash;
  }

  /** The slot of that inode with one more reference, busy or not; or none. */
  find(task: Task, ino: number): Slot {
    lockLeaf(task, this.lock);
    const slot = this.walk(ino);
    if (slot !== NONE) Atomics.add(this.arena.words, slotAt(this.arena, slot) + Inode.Refs, 1);
    unlockLeaf(task, this.lock);
    return slot;
  }

  /** The slot of that inode, without a reference. For callers who know that it has one, and none is lost. */
  peek(task: Task, ino: number): Slot {
    lockLeaf(task, this.lock);
    const slot = this.walk(ino);
    unlockLeaf(task, this.lock);
    return slot;
  }

  /** A reference on a slot that is in core, whatever inode it holds; false for a free, claimed or busy one. */
  hold(task: Task, slot: Slot): boolean {
    const at = slotAt(this.arena, slot);
    const { words } = this.arena;
    lockLeaf(task, this.lock);
    const isInCore = words[at + Inode.Ino] !== 0 && !this.isBusy(slot);
    if (isInCore) Atomics.add(words, at + Inode.Refs, 1);
    unlockLeaf(task, this.lock);
    return isInCore;
  }

  /** A reference on a slot that still holds that inode, in core and not deleted. */
  holdAs(task: Task, slot: Slot, ino: number, generation: number): boolean {
    const at = slotAt(this.arena, slot);
    const { words, unsigned } = this.arena;
    lockLeaf(task, this.lock);
    const isIt =
      unsigned[at + Inode.Ino] === ino &&
      unsigned[at + Inode.Generation] === generation &&
      (Atomics.load(words, at + Inode.Flags) & (InodeFlag.Busy | InodeFlag.Deleted)) === 0;
    if (isIt) Atomics.add(words, at + Inode.Refs, 1);
    unlockLeaf(task, this.lock);
    return isIt;
  }

  /** Enters a claimed slot for `ino`, busy; or, where another one is in already, gives that one with one more reference. */
  enter(task: Task, claimed: Slot, ino: number): Slot {
    const { words, unsigned } = this.arena;
    const at = slotAt(this.arena, claimed);
    pushHeld(task, at + Inode.IRwsem, LockMode.Exclusive);
    lockLeaf(task, this.lock);
    const present = this.walk(ino);
    if (present === NONE) {
      const bucket = this.bucketOf(ino);
      unsigned[at + Inode.Ino] = ino;
      words[at + Inode.HashNext] = words[bucket];
      words[bucket] = claimed;
    } else {
      Atomics.add(words, slotAt(this.arena, present) + Inode.Refs, 1);
    }
    unlockLeaf(task, this.lock);
    if (present === NONE) return claimed;
    popHeld(task, at + Inode.IRwsem);
    return present;
  }

  /** The busy slot is in core: whoever waits for it may go on. */
  ready(task: Task, slot: Slot): void {
    const flags = slotAt(this.arena, slot) + Inode.Flags;
    const old = Atomics.and(this.arena.words, flags, ~(InodeFlag.Busy | InodeFlag.Waited));
    if ((old & InodeFlag.Waited) !== 0) task.driver.wake(flags, EVERYBODY);
    popHeld(task, slotAt(this.arena, slot) + Inode.IRwsem);
  }

  /** The busy slot's inode number is about to be free for another inode: out of its chain, busy still. */
  leave(task: Task, slot: Slot): void {
    this.take(task, slot, false);
  }

  /** The busy slot holds no inode any more: free, once those who waited have let go of it. */
  discard(task: Task, slot: Slot): void {
    if (this.arena.words[slotAt(this.arena, slot) + Inode.Ino] !== 0) this.leave(task, slot);
    this.ready(task, slot);
    this.drop(slot);
  }

  /** Takes the inode out of a busy slot, which stays claimed; false when others have found it meanwhile. */
  takeOut(task: Task, slot: Slot): boolean {
    if (!this.take(task, slot, true)) return false;
    popHeld(task, slotAt(this.arena, slot) + Inode.IRwsem);
    return true;
  }

  /** Out of its chain; with `alone` only if nobody else references it. */
  private take(task: Task, slot: Slot, alone: boolean): boolean {
    const { words, unsigned } = this.arena;
    const at = slotAt(this.arena, slot);
    lockLeaf(task, this.lock);
    const isMine = !alone || Atomics.load(words, at + Inode.Refs) === 1;
    if (isMine) {
      const bucket = this.bucketOf(unsigned[at + Inode.Ino]);
      if (words[bucket] === slot) words[bucket] = words[at + Inode.HashNext];
      else {
        let before = slotAt(this.arena, words[bucket] as Slot);
        while (words[before + Inode.HashNext] !== slot)
          before = slotAt(this.arena, words[before + Inode.HashNext] as Slot);
        words[before + Inode.HashNext] = words[at + Inode.HashNext];
      }
      words[at + Inode.Ino] = 0;
      words[at + Inode.HashNext] = 0;
      Atomics.and(words, at + Inode.Flags, InodeFlag.Busy | InodeFlag.Waited);
    }
    unlockLeaf(task, this.lock);
    return isMine;
  }

  /**
   * The clock: a slot to use, or to evict first. Claimed if it came free at once (its Ino is 0), else busy; none when every
   * slot is in use. With `atOnce`, only one that comes free at once.
   */
  pick(task: Task, atOnce: boolean): Slot {
    const { words, layout } = this.arena;
    const files = layout.inodes - FIRST_FILE_SLOT;
    lockLeaf(task, this.lock);
    let hand = Math.max(words[Header.InodeClock], FIRST_FILE_SLOT);
    let dirty = NONE;
    let chosen = NONE;
    let stop = 2 * files;
    for (let n = 0; n < stop; n++) {
      const slot = hand as Slot;
      hand = hand + 1 < layout.inodes ? hand + 1 : FIRST_FILE_SLOT;
      if (!this.isIdle(slot, n < files)) continue;
      const at = slotAt(this.arena, slot);
      const isDirty = words[at + Inode.PagesDirty] !== 0 || (words[at + Inode.Flags] & InodeFlag.Dirty) !== 0;
      if (!isDirty && (words[at + Inode.Pages] === 0 || !atOnce)) {
        chosen = slot;
        break;
      }
      if (!atOnce && dirty === NONE) {
        dirty = slot;
        stop = Math.min(stop, n + CLEAN_SEARCH);
      }
    }
    if (chosen === NONE) chosen = dirty;
    words[Header.InodeClock] = hand;
    if (chosen !== NONE) {
      const at = slotAt(this.arena, chosen);
      Atomics.or(words, at + Inode.Flags, InodeFlag.Busy);
      Atomics.store(words, at + Inode.Refs, 1);
    }
    unlockLeaf(task, this.lock);
    if (chosen !== NONE) this.claimIfUnused(task, chosen);
    return chosen;
  }

  /** A slot that was just made busy: claimed when nothing of its inode is cached. */
  private claimIfUnused(task: Task, slot: Slot): void {
    const { words } = this.arena;
    const at = slotAt(this.arena, slot);
    if (words[at + Inode.Ino] === 0) return;
    pushHeld(task, at + Inode.IRwsem, LockMode.Exclusive);
    const isDirty = (Atomics.load(words, at + Inode.Flags) & InodeFlag.Dirty) !== 0;
    if (!isDirty && Atomics.load(words, at + Inode.Pages) === 0) this.takeOut(task, slot);
  }

  /** No references, not busy, not waiting to be freed. A slot used since the clock last passed is spared in the first round. */
  private isIdle(slot: Slot, spare: boolean): boolean {
    const { words } = this.arena;
    const at = slotAt(this.arena, slot);
    // Plain loads, as a sweep passes thousands: references rise from 0 under this lock, and flags follow references.
    if (words[at + Inode.Refs] !== 0) return false;
    const flags = words[at + Inode.Flags];
    if ((flags & (InodeFlag.Busy | InodeFlag.Deleted)) !== 0) return false;
    if (!spare || (flags & InodeFlag.Referenced) === 0) return true;
    Atomics.and(words, at + Inode.Flags, ~InodeFlag.Referenced);
    return false;
  }

  /** A claimed slot goes back unused. */
  unclaim(slot: Slot): void {
    const at = slotAt(this.arena, slot);
    Atomics.and(this.arena.words, at + Inode.Flags, ~InodeFlag.Busy);
    this.drop(slot);
  }

  /** Drops a reference, unless it is the last one of a deleted inode. */
  put(slot: Slot): boolean {
    const { words } = this.arena;
    const at = slotAt(this.arena, slot);
    for (;;) {
      const refs = Atomics.load(words, at + Inode.Refs);
      assert(refs > 0, `a reference on slot ${slot} is dropped that nobody has`);
      if (refs === 1) {
        // Who marks it deleted has a reference of its own, so the flag does not change while this one is the last.
        if ((Atomics.load(words, at + Inode.Flags) & InodeFlag.Deleted) !== 0) return false;
        Atomics.or(words, at + Inode.Flags, InodeFlag.Referenced);
      }
      if (Atomics.compareExchange(words, at + Inode.Refs, refs, refs - 1) === refs) return true;
    }
  }

  /** One reference less, whatever the inode. */
  drop(slot: Slot): void {
    Atomics.sub(this.arena.words, slotAt(this.arena, slot) + Inode.Refs, 1);
  }

  /** Makes the slot busy if the caller's reference is the only one. */
  makeBusy(task: Task, slot: Slot): boolean {
    const { words } = this.arena;
    const at = slotAt(this.arena, slot);
    pushHeld(task, at + Inode.IRwsem, LockMode.Exclusive);
    lockLeaf(task, this.lock);
    const isAlone = Atomics.load(words, at + Inode.Refs) === 1;
    if (isAlone) Atomics.or(words, at + Inode.Flags, InodeFlag.Busy);
    unlockLeaf(task, this.lock);
    if (!isAlone) popHeld(task, at + Inode.IRwsem);
    return isAlone;
  }

  isBusy(slot: Slot): boolean {
    return (Atomics.load(this.arena.words, slotAt(this.arena, slot) + Inode.Flags) & InodeFlag.Busy) !== 0;
  }

  /** Sleeps until the slot is not busy. Afterwards it may hold another inode, or none. */
  *waitReady(task: Task, slot: Slot): Routine<void> {
    const { words } = this.arena;
    const at = slotAt(this.arena, slot) + Inode.Flags;
    for (let flags = Atomics.load(words, at); (flags & InodeFlag.Busy) !== 0; flags = Atomics.load(words, at)) {
      const waited = flags | InodeFlag.Waited;
      if (flags !== waited && Atomics.compareExchange(words, at, flags, waited) !== flags) continue;
      yield task.wait(at, waited);
    }
  }

  private bucketOf(ino: number): number {
    const { layout } = this.arena;
    return layout.inodeBuckets + (ino & layout.inodeBucketMask);
  }

  private walk(ino: number): Slot {
    const { words, unsigned } = this.arena;
    let slot = words[this.bucketOf(ino)] as Slot;
    while (slot !== NONE && unsigned[slotAt(this.arena, slot) + Inode.Ino] !== ino) {
      slot = words[slotAt(this.arena, slot) + Inode.HashNext] as Slot;
    }
    return slot;
  }
}
