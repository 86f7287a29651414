/**
 * Requests of blocking threads to the thread that owns a device's NBD connections, through shared memory.
 *
 * A slot is one request: some words, and SLOT_BYTES of data. States, and who moves them on:
 *
 *   Free ──caller (compare-exchange)──▶ Filling ──caller──▶ Ready ──service──▶ Running ──service──▶ Done ──caller──▶ Free
 *
 * Storing Ready publishes the request, and its caller then adds to Work, on which the service sleeps; storing Done publishes
 * the answer and wakes the caller, who sleeps on the slot's state. Who frees a slot adds to Freed and wakes who waits for one.
 *
 * 1. A caller that finds no free slot finishes its own oldest request first, and only then, holding none, waits for others'.
 *    So nobody waits for a slot while holding one, and whoever holds one depends on the service alone.
 * 2. Data and words of a slot belong to the caller but between Ready and Done.
 * 3. A service that ends says so (Ended) and wakes everybody; from then on every request fails with EIO.
 *
 * Any thread; the service's side belongs to one.
 */
import { Buffer } from 'node:buffer';
import { StoreError, type StoreErrorCode } from '../errors.js';

export const enum NbdOperation {
  Read,
  Write,
  Flush,
  Discard,
}

export const enum SlotState {
  Free,
  Filling,
  Ready,
  Running,
  Done,
}

const enum RingWord {
  Work,
  Freed,
  /** The service has ended. */
  Ended,
  /** The device has been closed. */
  Closed,
  /** Index in CODES + 1 of the first failed write or flush. */
  Latch,
  /** Fewer words would put slots on the same cache line. */
  Words = 16,
}

const enum SlotWord {
  State,
  Operation,
  Length,
  /** Index in CODES + 1; the message is in the data, Length bytes of it. */
  Error,
  /** A double: bytes from the export's start. */
  Position,
  Words = 16,
}

const CODES: StoreErrorCode[] = ['EIO', 'ENOSPC', 'EROFS', 'EINVAL', 'ENOMEM', 'EACCES'];
const SLOTS = 64;
const SLOT_BYTES = 256 * 1024;
const SLICE_MS = 200;

export interface NbdRingHandle {
  control: SharedArrayBuffer;
  data: SharedArrayBuffer;
}

export interface NbdRequest {
  operation: NbdOperation;
  positionBytes: number;
  lengthBytes: number;
}

/** What a caller does with a piece of a transfer: fills the slot's data before, takes them after. */
export type PieceAction = (data: Buffer, offset: number, length: number) => void;

export class NbdRing {
  readonly slots = SLOTS;
  private readonly words: Int32Array<SharedArrayBuffer>;
  private readonly doubles: Float64Array<SharedArrayBuffer>;
  private readonly areas: Buffer[];
  private next = 0;

  constructor(private readonly handle: NbdRingHandle) {
    this.words = new Int32Array(handle.control);
    this.doubles = new Float64Array(handle.control);
    this.areas = Array.from({ length: SLOTS }, (_, i) => Buffer.from(handle.data, i * SLOT_BYTES, SLOT_BYTES));
  }

  /** The largest payload of a request. */
  static readonly pieceBytes = SLOT_BYTES;

  static allocate(): NbdRingHandle {
    return {
      control: new SharedArrayBuffer(4 * (RingWord.Words + SLOTS * SlotWord.Words)),
      data: new SharedArrayBuffer(SLOTS * SLOT_BYTES),
    };
  }

  share(): NbdRingHandle {
    return this.handle;
  }

  /**
   * Transfers `length` bytes in pieces, as many at once as there are slots, and returns when all have ended. Throws the
   * first failure, after the last has ended.
   */
  transfer(
    operation: NbdOperation,
    positionBytes: number,
    length: number,
    before: PieceAction,
    after: PieceAction,
  ): void {
    const running: { slot: number; at: number; count: number }[] = [];
    let failure: StoreError | null = null;
    const finishOldest = (): void => {
      const { slot, at, count } = running.shift() as { slot: number; at: number; count: number };
      failure = this.await(slot, () => after(this.areas[slot], at, count)) ?? failure;
    };
    for (let at = 0; at < length && failure === null; ) {
      const count = Math.min(SLOT_BYTES, length - at);
      let slot = this.take();
      while (slot < 0) {
        if (running.length > 0) finishOldest();
        else this.waitForFree();
        slot = this.take();
      }
      before(this.areas[slot], at, count);
      this.submit(slot, operation, positionBytes + at, count);
      running.push({ slot, at, count });
      at += count;
    }
    while (running.length > 0) finishOldest();
    if (failure !== null) throw failure;
  }

  /** A request without data. */
  order(operation: NbdOperation, positionBytes: number, length: number): void {
    let slot = this.take();
    while (slot < 0) {
      this.waitForFree();
      slot = this.take();
    }
    this.submit(slot, operation, positionBytes, length);
    const failure = this.await(slot, () => {});
    if (failure !== null) throw failure;
  }

  get isClosed(): boolean {
    return Atomics.load(this.words, RingWord.Closed) !== 0;
  }

  /** True for the first caller. */
  close(): boolean {
    const isFirst = Atomics.exchange(this.words, RingWord.Closed, 1) === 0;
    this.wakeService();
    return isFirst;
  }

  /** The code of the first failed write or flush of any thread, or null. */
  get latched(): StoreErrorCode | null {
    const index = Atomics.load(this.words, RingWord.Latch);
    return index === 0 ? null : CODES[index - 1];
  }

  latch(code: StoreErrorCode): void {
    Atomics.compareExchange(this.words, RingWord.Latch, 0, 1 + Math.max(0, CODES.indexOf(code)));
  }

  private take(): number {
    for (let i = 0; i < SLOTS; i++) {
      const slot = (this.next + i) % SLOTS;
      const at = this.at(slot) + SlotWord.State;
      if (Atomics.compareExchange(this.words, at, SlotState.Free, SlotState.Filling) !== SlotState.Free) continue;
      this.next = slot + 1;
      return slot;
    }
    return -1;
  }

  private waitForFree(): void {
    const seen = Atomics.load(this.words, RingWord.Freed);
    for (let slot = 0; slot < SLOTS; slot++) {
      if (Atomics.load(this.words, this.at(slot) + SlotWord.State) === SlotState.Free) return;
    }
    Atomics.wait(this.words, RingWord.Freed, seen, SLICE_MS);
  }

  private submit(slot: number, operation: NbdOperation, positionBytes: number, length: number): void {
    const at = this.at(slot);
    this.words[at + SlotWord.Operation] = operation;
    this.words[at + SlotWord.Length] = length;
    this.words[at + SlotWord.Error] = 0;
    this.doubles[(at + SlotWord.Position) / 2] = positionBytes;
    Atomics.store(this.words, at + SlotWord.State, SlotState.Ready);
    this.wakeService();
  }

  private wakeService(): void {
    Atomics.add(this.words, RingWord.Work, 1);
    Atomics.notify(this.words, RingWord.Work);
  }

  /** Waits for a request's end, looks at what it brought, and frees the slot. */
  private await(slot: number, use: () => void): StoreError | null {
    const at = this.at(slot);
    const state = at + SlotWord.State;
    for (let now = Atomics.load(this.words, state); now !== SlotState.Done; now = Atomics.load(this.words, state)) {
      // The service ends with every slot done, so what is not is a request that it never saw.
      if (Atomics.load(this.words, RingWord.Ended) !== 0 && now === SlotState.Ready) {
        this.words[at + SlotWord.Error] = 1;
        this.words[at + SlotWord.Length] = 0;
        Atomics.store(this.words, state, SlotState.Done);
        continue;
      }
      Atomics.wait(this.words, state, now, SLICE_MS);
    }
    let failure: StoreError | null = null;
    const error = this.words[at + SlotWord.Error];
    if (error === 0) {
      use();
    } else {
      const detail = this.areas[slot].toString('utf8', 0, this.words[at + SlotWord.Length]);
      failure = new StoreError(CODES[error - 1], { detail: detail === '' ? 'the connections are closed' : detail });
    }
    Atomics.store(this.words, state, SlotState.Free);
    Atomics.add(this.words, RingWord.Freed, 1);
    Atomics.notify(this.words, RingWord.Freed, 1);
    return failure;
  }

  // The service's side.

  /** How much work has been announced; read before looking for it. */
  get work(): number {
    return Atomics.load(this.words, RingWord.Work);
  }

  /** Resolves when there may be more work than `seen`, and now and then. */
  async sleep(seen: number): Promise<void> {
    const sleep = Atomics.waitAsync(this.words, RingWord.Work, seen, SLICE_MS);
    if (sleep.async) await sleep.value;
  }

  /** Takes a request that is ready; null if the slot holds none. */
  accept(slot: number): NbdRequest | null {
    const at = this.at(slot);
    const state = at + SlotWord.State;
    const found = Atomics.compareExchange(this.words, state, SlotState.Ready, SlotState.Running);
    if (found !== SlotState.Ready) return null;
    return {
      operation: this.words[at + SlotWord.Operation],
      positionBytes: this.doubles[(at + SlotWord.Position) / 2],
      lengthBytes: this.words[at + SlotWord.Length],
    };
  }

  area(slot: number): Buffer {
    return this.areas[slot];
  }

  complete(slot: number, error: StoreError | null): void {
    const at = this.at(slot);
    if (error !== null) {
      this.words[at + SlotWord.Error] = 1 + Math.max(0, CODES.indexOf(error.code));
      this.words[at + SlotWord.Length] = this.areas[slot].write(error.message, 0);
    }
    Atomics.store(this.words, at + SlotWord.State, SlotState.Done);
    Atomics.notify(this.words, at + SlotWord.State);
  }

  end(): void {
    Atomics.store(this.words, RingWord.Ended, 1);
    for (let slot = 0; slot < SLOTS; slot++) Atomics.notify(this.words, this.at(slot) + SlotWord.State);
  }

  private at(slot: number): number {
    return RingWord.Words + slot * SlotWord.Words;
  }
}
