/**
 * Windows, or parts of them, that readers want read ahead by service threads: a bounded ring in the arena.
 *
 * Any thread puts, service threads take, both under the leaf mutex GlobalLock.Requests. An entry holds no
 * reference on its inode: a file may be closed and removed while it waits. A full ring refuses: readahead is a hint. The background thread is woken for
 * every entry; where it is behind, a request thread with nothing else to do is woken too.
 */
import { slotAt } from '../inode/inode.js';
import type { Task } from '../routine/task.js';
import type { Arena } from '../sync/arena.js';
import { GlobalLock, Header, Inode, READAHEAD_ENTRIES, ReadaheadEntry } from '../sync/layout.js';
import { lockLeaf, unlockLeaf } from '../sync/leaf.js';
import type { Slot } from '../units.js';

export class ReadaheadWindow {
  slot = 0 as Slot;
  /** The inode that the slot held then. */
  ino = 0;
  generation = 0;
  first = 0;
  count = 0;
  marker = 0;
}

export class ReadaheadQueue {
  private readonly lock: number;

  constructor(private readonly arena: Arena) {
    this.lock = arena.layout.locks + GlobalLock.Requests;
  }

  /** The caller has a reference on the slot. */
  put(task: Task, slot: Slot, first: number, count: number, marker: number): boolean {
    const { words, unsigned } = this.arena;
    lockLeaf(task, this.lock);
    const queued = (words[Header.ReadaheadPut] - words[Header.ReadaheadTaken]) | 0;
    const full = queued >= READAHEAD_ENTRIES;
    if (!full) {
      const at = this.at(words[Header.ReadaheadPut]);
      const inode = slotAt(this.arena, slot);
      words[at + ReadaheadEntry.Slot] = slot;
      unsigned[at + ReadaheadEntry.Ino] = unsigned[inode + Inode.Ino];
      unsigned[at + ReadaheadEntry.Generation] = unsigned[inode + Inode.Generation];
      unsigned[at + ReadaheadEntry.First] = first;
      unsigned[at + ReadaheadEntry.Count] = count;
      unsigned[at + ReadaheadEntry.Marker] = marker;
      Atomics.add(words, Header.ReadaheadPut, 1);
    }
    unlockLeaf(task, this.lock);
    if (!full) {
      Atomics.add(words, Header.WritebackWork, 1);
      task.driver.wake(Header.WritebackWork, 1);
      if (queued > 0) {
        Atomics.add(words, Header.ServiceWork, 1);
        task.driver.wake(Header.ServiceWork, 1);
      }
    }
    return !full;
  }

  /** The oldest window into `window`; false when there is none. */
  take(task: Task, window: ReadaheadWindow): boolean {
    const { words, unsigned } = this.arena;
    if (Atomics.load(words, Header.ReadaheadPut) === Atomics.load(words, Header.ReadaheadTaken)) return false;
    lockLeaf(task, this.lock);
    const some = words[Header.ReadaheadPut] !== words[Header.ReadaheadTaken];
    if (some) {
      const at = this.at(words[Header.ReadaheadTaken]);
      window.slot = words[at + ReadaheadEntry.Slot] as Slot;
      window.ino = unsigned[at + ReadaheadEntry.Ino];
      window.generation = unsigned[at + ReadaheadEntry.Generation];
      window.first = unsigned[at + ReadaheadEntry.First];
      window.count = unsigned[at + ReadaheadEntry.Count];
      window.marker = unsigned[at + ReadaheadEntry.Marker];
      Atomics.add(words, Header.ReadaheadTaken, 1);
    }
    unlockLeaf(task, this.lock);
    return some;
  }

  private at(sequence: number): number {
    return this.arena.layout.readaheadRecords + ((sequence >>> 0) % READAHEAD_ENTRIES) * ReadaheadEntry.Words;
  }
}
