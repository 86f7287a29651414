/**
 * The reclaim queues and the free list: doubly linked lists of frames through their descriptors.
 *
 * All under the leaf mutex GlobalLock.Reclaim, which the callers take; but a frame on the free list, or taken from it,
 * belongs to whoever took it. An attached page is on one queue from soon after its insertion (page lock still held) until
 * it is frozen or detached.
 */
import type { Arena } from '../sync/arena.js';
import { Header, Page } from '../sync/layout.js';
import type { Frame } from '../units.js';

export const enum QueueName {
  None,
  /** Pages that came in not long ago. */
  Small,
  /** Pages that were used again, or came back. */
  Main,
}

export class Queues {
  private readonly words: Int32Array;
  private readonly records: number;
  private readonly frames: number;

  constructor(arena: Arena) {
    this.words = arena.words;
    this.records = arena.layout.pageRecords;
    this.frames = arena.layout.frames;
  }

  get smallCount(): number {
    return this.words[Header.SmallCount];
  }

  get mainCount(): number {
    return this.words[Header.MainCount];
  }

  /** The oldest of the queue, or 0. */
  tail(queue: QueueName): Frame {
    return this.words[baseOf(queue) + TAIL] as Frame;
  }

  pushHead(queue: QueueName, frame: Frame): void {
    const { words, records } = this;
    const base = baseOf(queue);
    const page = records + frame * Page.Words;
    const head = words[base];
    words[page + Page.QueuePrev] = 0;
    words[page + Page.QueueNext] = head;
    words[page + Page.Queue] = queue;
    if (head !== 0) words[records + head * Page.Words + Page.QueuePrev] = frame;
    else words[base + TAIL] = frame;
    words[base] = frame;
    words[base + COUNT]++;
  }

  remove(frame: Frame): void {
    const { words, records } = this;
    const page = records + frame * Page.Words;
    const queue = words[page + Page.Queue] as QueueName;
    if (queue === QueueName.None) return;
    const base = baseOf(queue);
    const previous = words[page + Page.QueuePrev];
    const next = words[page + Page.QueueNext];
    if (previous !== 0) words[records + previous * Page.Words + Page.QueueNext] = next;
    else words[base] = next;
    if (next !== 0) words[records + next * Page.Words + Page.QueuePrev] = previous;
    else words[base + TAIL] = previous;
    words[page + Page.Queue] = QueueName.None;
    words[base + COUNT]--;
  }

  pushFree(frame: Frame): void {
    const { words } = this;
    words[this.records + frame * Page.Words + Page.QueueNext] = words[Header.FreeHead];
    words[Header.FreeHead] = frame;
    words[Header.FramesFree]++;
  }

  /** A free frame, or 0. Frames never used come in ascending order, so that neighbours are filled together. */
  popFree(): Frame {
    const { words } = this;
    if (words[Header.FreeHead] === 0) this.takeDetached();
    const frame = words[Header.FreeHead] as Frame;
    if (frame !== 0) {
      words[Header.FreeHead] = words[this.records + frame * Page.Words + Page.QueueNext];
      words[Header.FramesFree]--;
    }
    return frame;
  }

  /** A frame that was never used, or 0. Nobody can have pinned it. */
  takeUnused(): Frame {
    const { words } = this;
    if (words[Header.FramesUsed] === this.frames) return 0 as Frame;
    return ++words[Header.FramesUsed] as Frame;
  }

  /** Moves the frames whose last pin has gone to the free list. */
  private takeDetached(): void {
    const { words, records } = this;
    let frame = Atomics.exchange(words, Header.DetachedHead, 0);
    while (frame !== 0) {
      const next = words[records + frame * Page.Words + Page.QueueNext];
      this.pushFree(frame as Frame);
      frame = next;
    }
  }
}

const TAIL = Header.SmallTail - Header.SmallHead;
const COUNT = Header.SmallCount - Header.SmallHead;

function baseOf(queue: QueueName): number {
  return queue === QueueName.Small ? Header.SmallHead : Header.MainHead;
}
