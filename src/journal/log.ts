/**
 * The log of an open store: where the next transaction goes, what of the ring is in use, and appending to it.
 *
 * State is in the arena; an instance is a thread's view. `open`, `append` and `publish` under the Commit mutex, `release`
 * under the Checkpoint mutex.
 *
 * 1. LogUsed blocks from the tail on belong to transactions that the head on the device leads to, or to the one being
 *    appended; nothing else of the ring is ever read.
 * 2. `append` writes a transaction with one write (two, where it wraps around the ring's end), its commit record
 *    included, and flushes nothing.
 *
 * Why the commit record needs no write of its own. A device may keep any part of an unflushed write and lose the rest, in
 * any order, down to sectors. The commit record holds a checksum over all other records, and these hold the checksums of
 * the images; so whatever is missing, replay finds the transaction not whole, as if the commit record were missing (jbd2
 * calls this an asynchronous commit). What jbd2 then has to refuse, ordered data, is kept here by a flush *before* the
 * write: a whole transaction can only be in the log after the flush that its data needed (commit.ts). The next transaction
 * is written after a flush that covers this one. So a transaction that is not whole is the last, or it was damaged.
 */
import type { Device } from '../device/device.js';
import { StoreError } from '../errors.js';
import type { JournalHead } from '../format/journal-head.js';
import type { PageCache } from '../pagecache/page-cache.js';
import type { Routine } from '../routine/effect.js';
import type { Task } from '../routine/task.js';
import type { Arena } from '../sync/arena.js';
import { Journal as Word } from '../sync/layout.js';
import type { CommitBuffer } from './commit-buffer.js';
import { LogArea, type LogShape } from './log-area.js';
import { readHeads, writeHead } from './log-head.js';
import { LogImages } from './log-images.js';
import type { LogPoint } from './log-scan.js';
import { LogWriter } from './log-writer.js';

const WORD = 2 ** 32;

export class Log {
  readonly area: LogArea;
  readonly images: LogImages;
  private readonly writer: LogWriter;
  private readonly words: Int32Array;
  private readonly unsigned: Uint32Array;
  private readonly at: number;

  constructor(
    arena: Arena,
    cache: PageCache,
    private readonly device: Device,
    shape: LogShape,
  ) {
    this.words = arena.words;
    this.unsigned = arena.unsigned;
    this.at = arena.layout.journal;
    this.area = new LogArea(shape);
    this.images = new LogImages(arena, cache, this.area);
    this.writer = new LogWriter(device, this.area);
  }

  get isOpen(): boolean {
    return Atomics.load(this.words, this.at + Word.LogReady) !== 0;
  }

  /** Blocks in use. */
  get used(): number {
    return Atomics.load(this.words, this.at + Word.LogUsed);
  }

  get free(): number {
    return this.area.length - this.used;
  }

  /** The last durable transaction, and the position behind it. */
  durableEnd(): LogPoint {
    const { words, unsigned, at } = this;
    for (;;) {
      const low = Atomics.load(words, at + Word.LogDurable);
      const position = Atomics.load(unsigned, at + Word.LogEndEven + (low & 1));
      // The word is written again only for the number after the next.
      if (Atomics.load(words, at + Word.LogDurable) === low) return { sequence: this.fullNumber(low), position };
    }
  }

  get tail(): LogPoint {
    const { unsigned, at } = this;
    return {
      position: unsigned[at + Word.TailPosition],
      sequence: unsigned[at + Word.TailSequenceHigh] * WORD + unsigned[at + Word.TailSequence],
    };
  }

  /** Takes the log over from its head. It is empty: recovery came before. */
  *open(task: Task): Routine<void> {
    const { words, at } = this;
    const { head } = yield* readHeads(task, this.device, this.area);
    if (head === null) throw new StoreError('EUCLEAN', { detail: 'the journal has no head' });
    this.setTail({ position: head.tailPosition, sequence: head.tailSequence }, head.generation);
    words[at + Word.LogPosition] = head.tailPosition;
    words[at + Word.LogSequence] = (head.tailSequence % WORD) | 0;
    words[at + Word.LogSequenceHigh] = Math.floor(head.tailSequence / WORD);
    const durable = ((head.tailSequence - 1) % WORD) | 0;
    words[at + Word.LogEndEven + (durable & 1)] = head.tailPosition;
    words[at + Word.LogDurable] = durable;
    words[at + Word.LogUsed] = 0;
    Atomics.store(words, at + Word.LogReady, 1);
  }

  /** Number of the next transaction. */
  get sequence(): number {
    return this.unsigned[this.at + Word.LogSequenceHigh] * WORD + this.unsigned[this.at + Word.LogSequence];
  }

  /** Writes the sealed copies as the next transaction; there is room. */
  *append(task: Task, copies: CommitBuffer, revoked: readonly number[]): Routine<void> {
    const { words, at, area } = this;
    const length = area.transactionLength(copies.count, revoked.length);
    const position = words[at + Word.LogPosition];
    const { sequence } = this;
    Atomics.add(words, at + Word.LogUsed, length);
    yield* this.writer.write(task, copies, revoked, sequence, position);
    this.images.note(copies, position, sequence);
    words[at + Word.LogPosition] = area.after(position, length);
  }

  /** What was appended last is durable. */
  publish(): void {
    const { words, unsigned, at } = this;
    const durable = words[at + Word.LogSequence];
    Atomics.store(words, at + Word.LogEndEven + (durable & 1), words[at + Word.LogPosition]);
    Atomics.store(words, at + Word.LogDurable, durable);
    words[at + Word.LogSequence] += 1;
    if (unsigned[at + Word.LogSequence] === 0) words[at + Word.LogSequenceHigh] += 1;
  }

  /** Moves the tail to `end`, which is `length` blocks further, on the device first. What lies before is in place, flushed. */
  *release(task: Task, end: LogPoint, length: number): Routine<void> {
    const { unsigned, words, at } = this;
    const generation = unsigned[at + Word.HeadGenerationHigh] * WORD + unsigned[at + Word.HeadGeneration] + 1;
    const head: JournalHead = {
      generation,
      tailSequence: end.sequence,
      tailPosition: end.position,
      logBlocks: this.area.length,
      uuid: this.area.shape.uuid,
      writtenMs: task.driver.now(),
    };
    yield* writeHead(task, this.device, this.area, head);
    this.setTail(end, generation);
    Atomics.sub(words, at + Word.LogUsed, length);
  }

  /** A durable transaction cannot be read back. */
  damaged(sequence: number): StoreError {
    return new StoreError('EUCLEAN', {
      detail: `transaction ${sequence} of the journal is damaged; run 'emmental check'`,
    });
  }

  private fullNumber(low: number): number {
    const { sequence } = this.tail;
    return sequence + ((low - sequence) | 0);
  }

  private setTail(tail: LogPoint, generation: number): void {
    const { unsigned, at } = this;
    unsigned[at + Word.TailPosition] = tail.position;
    unsigned[at + Word.TailSequence] = tail.sequence % WORD;
    unsigned[at + Word.TailSequenceHigh] = Math.floor(tail.sequence / WORD);
    unsigned[at + Word.HeadGeneration] = generation % WORD;
    unsigned[at + Word.HeadGenerationHigh] = Math.floor(generation / WORD);
  }
}
