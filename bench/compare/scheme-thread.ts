/**
 * One thread of a round: what it does to the one file of the store, over and over until it is told to stop, and how long each took.
 *
 * Runs in a worker (workers/scheme.ts), which it blocks for the length of the round. Rounds of one thread follow each other.
 */
import { attachStore, type StoreHandle, type SyncFile, type SyncStore } from '../../src/worker.js';
import { Histogram } from '../workloads/histogram.js';
import { Random } from '../workloads/random.js';

/** The file that rounds work on. */
export const FILE = 'rounds';
export const UNIT_BYTES = 4096;
/** What a punch takes out, and what a storm writes before it. */
export const PUNCH_BYTES = 64 * 1024;

export type Work =
  /** Reads of units, at random. */
  | 'read'
  /** Reads and writes of units, at random, half and half. */
  | 'mixed'
  /** Reads of units that were put out of the cache before. */
  | 'cold'
  /** Punches at `perSecond`, each after a write of the same range. */
  | 'punch';

/** In the bytes [from, to) of the file. */
export interface Round {
  work: Work;
  from: number;
  to: number;
  /** Of a punch; 0 for as many as there can be. */
  perSecond: number;
}

export interface SchemeThreadData {
  handle: unknown;
  /** Word 0: 1 when the round is to end. */
  control: Int32Array;
  seed: number;
}

export interface RoundMessage {
  round: Round;
}

export interface RoundResult {
  elapsedMs: number;
  read: HistogramData;
  write: HistogramData;
  punch: HistogramData;
}

export interface HistogramData {
  counts: Uint32Array;
  sums: Float64Array;
}

export class SchemeThread {
  readonly store: SyncStore;
  readonly file: SyncFile;
  readonly control: Int32Array;
  readonly random: Random;
  readonly buffer = new Uint8Array(UNIT_BYTES);
  readonly large = new Uint8Array(PUNCH_BYTES).fill(1);

  constructor({ handle, control, seed }: SchemeThreadData) {
    this.store = attachStore(handle as StoreHandle);
    this.file = this.store.open(FILE, 'r+');
    // Rounds jump about: nobody is to read ahead of them.
    this.file.advise('random');
    this.control = control;
    this.random = new Random(seed);
  }
}

export function runRound(thread: SchemeThread, { round }: RoundMessage): RoundResult {
  const result = { read: new Histogram(), write: new Histogram(), punch: new Histogram() };
  const startMs = performance.now();
  if (round.work === 'cold') readCold(thread, round, result.read);
  else if (round.work === 'punch') punch(thread, round, result.punch);
  else transfer(thread, round, result.read, result.write);
  return { elapsedMs: performance.now() - startMs, ...result };
}

function isOver({ control }: SchemeThread): boolean {
  return Atomics.load(control, 0) !== 0;
}

function transfer(thread: SchemeThread, { work, from, to }: Round, reads: Histogram, writes: Histogram): void {
  const { file, buffer, random } = thread;
  const units = (to - from) / UNIT_BYTES;
  // One look at the clock is the end of one operation and the start of the next.
  let beforeMs = performance.now();
  while (!isOver(thread)) {
    const position = from + random.below(units) * UNIT_BYTES;
    const isWrite = work === 'mixed' && (random.next() & 1) === 1;
    if (isWrite) file.write(buffer, 0, UNIT_BYTES, position);
    else file.read(buffer, 0, UNIT_BYTES, position);
    const afterMs = performance.now();
    (isWrite ? writes : reads).record((afterMs - beforeMs) * 1e6);
    beforeMs = afterMs;
  }
}

function readCold(thread: SchemeThread, { from, to }: Round, reads: Histogram): void {
  const { file, buffer, random } = thread;
  const units = (to - from) / UNIT_BYTES;
  while (!isOver(thread)) {
    const position = from + random.below(units) * UNIT_BYTES;
    file.advise('dontneed', position, UNIT_BYTES);
    const beforeMs = performance.now();
    file.read(buffer, 0, UNIT_BYTES, position);
    reads.record((performance.now() - beforeMs) * 1e6);
  }
}

function punch(thread: SchemeThread, { from, to, perSecond }: Round, punches: Histogram): void {
  const { file, large, random, control } = thread;
  const ranges = (to - from) / PUNCH_BYTES;
  const intervalMs = perSecond === 0 ? 0 : 1000 / perSecond;
  let nextMs = performance.now();
  while (!isOver(thread)) {
    const position = from + random.below(ranges) * PUNCH_BYTES;
    file.write(large, 0, PUNCH_BYTES, position);
    const beforeMs = performance.now();
    file.punchHole(position, PUNCH_BYTES);
    const afterMs = performance.now();
    punches.record((afterMs - beforeMs) * 1e6);
    nextMs = Math.max(nextMs + intervalMs, afterMs - intervalMs);
    if (nextMs > afterMs) Atomics.wait(control, 0, 0, nextMs - afterMs);
  }
}
