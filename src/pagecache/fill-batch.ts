/**
 * The pages of one fill, in ascending order, and how far it got. Made once per thread and used again by its next fill, since
 * the arrays cost more than the rest of filling one page; a fill that begins while another one of the same thread is under way
 * (the extent map's, for its own blocks) makes one of its own.
 */
import type { Frame } from '../units.js';

/** Pages of the batch that a thread keeps. */
const BATCH_ROOM = 256;

export class FillBatch {
  readonly frames: Int32Array;
  readonly indices: Uint32Array;
  readonly created: Uint8Array;
  /** Frames in hand, and those that became pages. */
  readonly spare: Int32Array;
  readonly fresh: Int32Array;
  /** Pages that this fill is about. */
  size = 0;
  /** Pages below it are up to date, unlocked and unpinned. */
  done = 0;
  total = 0;

  constructor(readonly room: number) {
    this.frames = new Int32Array(room);
    this.indices = new Uint32Array(room);
    this.created = new Uint8Array(room);
    this.spare = new Int32Array(room);
    this.fresh = new Int32Array(room);
  }

  push(frame: Frame, index: number, created: boolean): void {
    this.frames[this.total] = frame;
    this.indices[this.total] = index;
    this.created[this.total++] = created ? 1 : 0;
  }
}

/** Where a thread's batch lies between two fills. */
export interface BatchOwner {
  spareBatch: FillBatch | null;
}

export function takeBatch(cache: BatchOwner, size: number): FillBatch {
  const spare = cache.spareBatch;
  const batch = spare !== null && size <= BATCH_ROOM ? spare : new FillBatch(Math.max(size, BATCH_ROOM));
  if (batch === spare) cache.spareBatch = null;
  batch.size = size;
  batch.done = 0;
  batch.total = 0;
  return batch;
}

export function keepBatch(cache: BatchOwner, batch: FillBatch): void {
  if (batch.room === BATCH_ROOM) cache.spareBatch = batch;
}
