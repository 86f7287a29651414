/**
 * The orphan list: inodes that the next opening has to do with after a crash. Those without a name, which it frees, and
 * those with unfinished work in their record, which it finishes (extent-work.ts).
 *
 * Any thread may call, inside a journal handle, with a reference on the inode.
 *
 *  1. An inode is on the list while it is deleted, or while its record holds work.
 *  2. The list is linked forwards in the records, backwards in core (Inode.OrphanPrevious). An inode on it stays in core:
 *     a deleted one because somebody has it open, one with work because the work holds a reference.
 *  3. A place for work is claimed in core first, by whoever has no handle open, and recorded when it is needed. What
 *     is recorded the flags say too (InodeFlag.Recorded): work in a record that nobody took over is damage, and is wiped.
 *
 * Locks: the InodeTable mutex.
 */
import { assert } from '../assert.js';
import {
  clearInodeRecord,
  InodeAt,
  isWorkSound,
  loadWork,
  RecordFlag,
  storeWork,
  WORKS,
  type Work,
  WorkKind,
} from '../format/inode-record.js';
import type { Journal } from '../journal/journal.js';
import type { Frames } from '../pagecache/frames.js';
import type { Routine } from '../routine/effect.js';
import type { Task } from '../routine/task.js';
import type { Arena } from '../sync/arena.js';
import { GlobalLock, Header, Inode, InodeFlag } from '../sync/layout.js';
import { lockMutex, unlockMutex } from '../sync/mutex.js';
import type { Slot } from '../units.js';
import { slotAt } from './inode.js';
import type { InodeRecords } from './inode-records.js';
import type { InodeSlots } from './inode-slots.js';

/** Blocks that a change of the orphan list may dirty: the record, and its neighbour's. */
export const CREDITS_ORPHAN = 2;
/** Blocks that freeing a record may dirty: it also leaves the orphan list. */
export const CREDITS_FREE_RECORD = CREDITS_ORPHAN;

/** How long to let others get on whose work takes all places. */
const PLACE_WAIT_MS = 1;
const ALL_RECORDED = InodeFlag.Recorded * (2 ** WORKS - 1);
const NO_WORK: Work = { kind: WorkKind.None, first: 0, end: 0, resume: 0 };

export class OrphanList {
  private readonly mutex: number;

  constructor(
    private readonly arena: Arena,
    private readonly frames: Frames,
    private readonly journal: Journal,
    private readonly records: InodeRecords,
    private readonly slots: InodeSlots,
  ) {
    this.mutex = arena.layout.locks + GlobalLock.InodeTable;
  }

  /** The inode has no name any more. CREDITS_ORPHAN. */
  *addDeleted(task: Task, slot: Slot): Routine<void> {
    yield* this.change(task, slot, function* (list, view, record) {
      const { unsigned, words } = list.arena;
      const at = slotAt(list.arena, slot);
      if (!list.hasWork(slot)) list.link(task, slot, view, record);
      view.setUint32(record + InodeAt.Flags, RecordFlag.Used | RecordFlag.Deleted, true);
      view.setUint32(record + InodeAt.Links, 0, true);
      unsigned[at + Inode.Links] = 0;
      Atomics.or(words, at + Inode.Flags, InodeFlag.Deleted);
    });
  }

  /** A deleted inode's record goes to the free list. Its tree is empty. CREDITS_FREE_RECORD. */
  *free(task: Task, slot: Slot): Routine<void> {
    yield* this.change(task, slot, function* (list, view, record) {
      const { unsigned } = list.arena;
      const at = slotAt(list.arena, slot);
      yield* list.unlink(task, slot, view, record);
      clearInodeRecord(view, record);
      // Kept, so that the next inode of this number has another one.
      view.setUint32(record + InodeAt.Generation, unsigned[at + Inode.Generation], true);
      view.setUint32(record + InodeAt.Next, unsigned[Header.InodeFreeHead], true);
      const ino = unsigned[at + Inode.Ino];
      list.slots.leave(task, slot);
      unsigned[Header.InodeFreeHead] = ino;
    });
  }

  /** Outside of handles: a place for work of the inode, to be given back with `unclaim`. Waits while there is none. */
  *claim(task: Task, slot: Slot): Routine<number> {
    const flags = slotAt(this.arena, slot) + Inode.Flags;
    for (;;) {
      for (let place = 0; place < WORKS; place++) {
        const bit = InodeFlag.Work << place;
        if ((Atomics.or(this.arena.words, flags, bit) & bit) === 0) return place;
      }
      yield task.pause(PLACE_WAIT_MS);
    }
  }

  unclaim(slot: Slot, place: number): void {
    Atomics.and(this.arena.words, slotAt(this.arena, slot) + Inode.Flags, ~(InodeFlag.Work << place));
  }

  /** Records work at a claimed place, or how far it got: a crash from now on leaves it to the next opening. CREDITS_ORPHAN. */
  *record(task: Task, slot: Slot, place: number, work: Work): Routine<void> {
    yield* this.change(task, slot, function* (list, view, record) {
      const isListed = list.hasWork(slot) || isDeleted(view, record);
      if (!list.isRecorded(slot, place)) {
        Atomics.add(list.arena.words, slotAt(list.arena, slot) + Inode.Refs, 1);
        list.setRecorded(slot, place);
      }
      for (let other = 0; other < WORKS; other++) {
        if (!list.isRecorded(slot, other)) storeWork(view, record, other, NO_WORK);
      }
      storeWork(view, record, place, work);
      if (!isListed) list.link(task, slot, view, record);
    });
  }

  /** Recorded work is done. CREDITS_ORPHAN. */
  *erase(task: Task, slot: Slot, place: number): Routine<void> {
    yield* this.change(task, slot, function* (list, view, record) {
      assert(list.isRecorded(slot, place), `slot ${slot}: work ${place} was not recorded`);
      Atomics.and(list.arena.words, slotAt(list.arena, slot) + Inode.Flags, ~(InodeFlag.Recorded << place));
      storeWork(view, record, place, NO_WORK);
      if (!list.hasWork(slot) && !isDeleted(view, record)) yield* list.unlink(task, slot, view, record);
      // Its own reference; the caller has another one.
      Atomics.sub(list.arena.words, slotAt(list.arena, slot) + Inode.Refs, 1);
    });
  }

  /** Takes an inode with neither sound work nor the mark of a deleted one off the list: damage, or nothing left to do. */
  *drop(task: Task, slot: Slot): Routine<void> {
    yield* this.change(task, slot, (list, view, record) => list.unlink(task, slot, view, record));
  }

  /** What a crash left in the inode's record, at the places that it then claims. Nobody else uses the inode. */
  *takeOver(task: Task, slot: Slot): Routine<Map<number, Work>> {
    const works = new Map<number, Work>();
    const at = slotAt(this.arena, slot);
    const frame = yield* this.records.frameOf(task, slot);
    const view = this.frames.view(frame);
    for (let place = 0; place < WORKS; place++) {
      const work = loadWork(view, this.arena.unsigned[at + Inode.RecordOffset], place);
      if (!isWorkSound(work)) continue;
      works.set(place, work);
      Atomics.or(this.arena.words, at + Inode.Flags, InodeFlag.Work << place);
      this.setRecorded(slot, place);
      Atomics.add(this.arena.words, at + Inode.Refs, 1);
    }
    this.records.put(frame);
    return works;
  }

  private *change(
    task: Task,
    slot: Slot,
    body: (list: this, view: DataView, record: number) => Routine<void>,
  ): Routine<void> {
    const frame = yield* this.records.frameOf(task, slot);
    try {
      yield* lockMutex(task, this.mutex);
      try {
        const record = this.arena.unsigned[slotAt(this.arena, slot) + Inode.RecordOffset];
        yield* body(this, this.frames.view(frame), record);
        this.journal.dirty(task, frame);
      } finally {
        unlockMutex(task, this.mutex);
      }
    } finally {
      this.records.put(frame);
    }
  }

  private link(task: Task, slot: Slot, view: DataView, record: number): void {
    const { unsigned, words } = this.arena;
    const at = slotAt(this.arena, slot);
    const head = unsigned[Header.OrphanHead];
    view.setUint32(record + InodeAt.Next, head, true);
    words[at + Inode.OrphanPrevious] = 0;
    this.setPrevious(task, head, slot);
    unsigned[Header.OrphanHead] = unsigned[at + Inode.Ino];
  }

  private *unlink(task: Task, slot: Slot, view: DataView, record: number): Routine<void> {
    const { unsigned, words } = this.arena;
    const next = view.getUint32(record + InodeAt.Next, true);
    const previous = words[slotAt(this.arena, slot) + Inode.OrphanPrevious] as Slot;
    if (previous === 0) {
      unsigned[Header.OrphanHead] = next;
    } else {
      const frame = yield* this.records.frameOf(task, previous);
      const at = unsigned[slotAt(this.arena, previous) + Inode.RecordOffset];
      this.frames.view(frame).setUint32(at + InodeAt.Next, next, true);
      this.journal.dirty(task, frame);
      this.records.put(frame);
    }
    this.setPrevious(task, next, previous);
    view.setUint32(record + InodeAt.Next, 0, true);
  }

  private hasWork(slot: Slot): boolean {
    return (Atomics.load(this.arena.words, slotAt(this.arena, slot) + Inode.Flags) & ALL_RECORDED) !== 0;
  }

  private isRecorded(slot: Slot, place: number): boolean {
    const flags = Atomics.load(this.arena.words, slotAt(this.arena, slot) + Inode.Flags);
    return (flags & (InodeFlag.Recorded << place)) !== 0;
  }

  private setRecorded(slot: Slot, place: number): void {
    Atomics.or(this.arena.words, slotAt(this.arena, slot) + Inode.Flags, InodeFlag.Recorded << place);
  }

  /** One that is not in core was left by a crash: it comes in core only as the first of the list. */
  private setPrevious(task: Task, ino: number, previous: Slot): void {
    const slot = ino === 0 ? 0 : this.slots.peek(task, ino);
    if (slot !== 0) this.arena.words[slotAt(this.arena, slot) + Inode.OrphanPrevious] = previous;
  }
}

function isDeleted(view: DataView, record: number): boolean {
  return (view.getUint32(record + InodeAt.Flags, true) & RecordFlag.Deleted) !== 0;
}
