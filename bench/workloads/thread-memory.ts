/**
 * The memory that a crew of load threads shares with the thread that started them.
 *
 * First the control words; then an area per thread: its figures, latency histograms and per-second counts, for reads and
 * for writes. An area is written by its thread alone, without atomics; the starter reads it for good after the thread has
 * said that it is done, and before that only to show progress.
 */
import { BUCKETS, Histogram, HistogramSum } from './histogram.js';

/** Words of the control block. */
export const enum Control {
  /** 1 once every thread may start. Written by the starter. */
  Go,
  /** 1 when everybody is to end. Written by the starter. */
  Stop,
  Words = 16,
}

/** Numbers of an area, before its histograms. */
export const enum Figure {
  /** When measuring began and ended, in the thread's own clock; ms. */
  StartMs,
  EndMs,
  /** Bytes of a pass so far, or operations of a storm. */
  Progress,
  ReadBytes,
  ReadShort,
  WriteBytes,
  WriteShort,
  VerifyErrors,
  Words,
}

export const INTERVAL_MS = 1000;

const WORD_BYTES = 4;
const DOUBLE_BYTES = 8;
const DOUBLES = Figure.Words + 2 * HistogramSum.Words;

/** One thread's area. */
export class ThreadArea {
  readonly figures: Float64Array;
  readonly reads: Histogram;
  readonly writes: Histogram;
  /** Operations per interval of INTERVAL_MS; the last one takes what comes after. */
  readonly readSeries: Uint32Array;
  readonly writeSeries: Uint32Array;

  constructor(buffer: SharedArrayBuffer, startBytes: number, intervals: number) {
    const doubles = new Float64Array(buffer, startBytes, DOUBLES);
    const words = new Uint32Array(buffer, startBytes + DOUBLES * DOUBLE_BYTES, 2 * (BUCKETS + intervals));
    this.figures = doubles.subarray(0, Figure.Words);
    const sums = (n: number) => doubles.subarray(Figure.Words + n * HistogramSum.Words).subarray(0, HistogramSum.Words);
    this.reads = new Histogram(words.subarray(0, BUCKETS), sums(0));
    this.writes = new Histogram(words.subarray(BUCKETS, 2 * BUCKETS), sums(1));
    this.readSeries = words.subarray(2 * BUCKETS, 2 * BUCKETS + intervals);
    this.writeSeries = words.subarray(2 * BUCKETS + intervals);
  }

  /** How long each strike of a storm took: a storm reads nothing. */
  get strikes(): Histogram {
    return this.reads;
  }

  /** Forgets what was measured so far: the ramp is over. */
  clear(): void {
    this.figures.fill(0);
    this.reads.clear();
    this.writes.clear();
    this.readSeries.fill(0);
    this.writeSeries.fill(0);
  }
}

/** Structured-cloneable: goes to each thread. */
export interface CrewMemory {
  buffer: SharedArrayBuffer;
  threads: number;
  intervals: number;
}

function areaBytes(intervals: number): number {
  return Math.ceil((DOUBLES * DOUBLE_BYTES + 2 * (BUCKETS + intervals) * WORD_BYTES) / 64) * 64;
}

export function allocateCrewMemory(threads: number, runtimeSeconds: number): CrewMemory {
  const intervals = Math.ceil((runtimeSeconds * 1000) / INTERVAL_MS) + 2;
  const bytes = Control.Words * WORD_BYTES + threads * areaBytes(intervals);
  return { buffer: new SharedArrayBuffer(bytes), threads, intervals };
}

export function controlOf(memory: CrewMemory): Int32Array {
  return new Int32Array(memory.buffer, 0, Control.Words);
}

export function areaOf(memory: CrewMemory, thread: number): ThreadArea {
  const { buffer, intervals } = memory;
  return new ThreadArea(buffer, Control.Words * WORD_BYTES + thread * areaBytes(intervals), intervals);
}
