/**
 * What a crew does from one tenth of a second to the next, for the report. The starter's thread looks at the counters that
 * the load threads keep anyway, so that they notice nothing.
 *
 * A thread starts counting anew when its ramp is over, so that a count below the last one is all of it. The timer is late
 * where the threads take all processors: each interval says how long it really was.
 */
import { performance } from 'node:perf_hooks';
import type { Store } from '../../src/index.js';
import { Figure, type ThreadArea } from './thread-memory.js';
import { isStorm, type StormTask, type ThreadTask } from './thread-task.js';

const INTERVAL_MS = 100;

export interface Interval {
  /** From the end of the ramp to the end of the interval. */
  endMs: number;
  lengthMs: number;
  reads: number;
  writes: number;
  /** Of the engine, in pages, as `stats()` has them. */
  hits: number;
  misses: number;
  writeHits: number;
  writeMisses: number;
  /** How often each storm struck. */
  strikes: Partial<Record<StormTask['kind'], number>>;
}

type Counters = Pick<Interval, 'hits' | 'misses' | 'writeHits' | 'writeMisses'>;

export class Timeline {
  private readonly intervals: Interval[] = [];
  private readonly reads: number[];
  private readonly writes: number[];
  private readonly strikes: number[];
  private counters: Counters;
  private readonly startMs: number;
  private lastMs: number;
  private readonly timer: NodeJS.Timeout;

  /** Begins with the crew. */
  constructor(
    private readonly store: Store,
    private readonly tasks: ThreadTask[],
    private readonly areas: ThreadArea[],
    rampMs: number,
  ) {
    this.reads = areas.map(() => 0);
    this.writes = areas.map(() => 0);
    this.strikes = areas.map(() => 0);
    this.counters = countersOf(store);
    this.lastMs = performance.now();
    this.startMs = this.lastMs + rampMs;
    this.timer = setInterval(() => this.look(), INTERVAL_MS);
  }

  stop(): void {
    clearInterval(this.timer);
  }

  /** The whole intervals of the first `runtimeMs` behind the ramp. 0: of all the time, but for the last, which nobody filled. */
  intervalsOf(runtimeMs: number): Interval[] {
    const measured = this.intervals.filter(({ endMs, lengthMs }) => endMs - lengthMs >= 0);
    return runtimeMs > 0 ? measured.filter(({ endMs }) => endMs <= runtimeMs) : measured.slice(0, -1);
  }

  private look(): void {
    const nowMs = performance.now();
    const interval: Interval = {
      endMs: nowMs - this.startMs,
      lengthMs: nowMs - this.lastMs,
      reads: 0,
      writes: 0,
      ...this.difference(),
      strikes: {},
    };
    this.lastMs = nowMs;
    for (const [thread, area] of this.areas.entries()) {
      const task = this.tasks[thread];
      if (isStorm(task)) {
        const struck = added(this.strikes, thread, area.figures[Figure.Progress]);
        interval.strikes[task.kind] = (interval.strikes[task.kind] ?? 0) + struck;
      } else {
        interval.reads += added(this.reads, thread, area.reads.count);
        interval.writes += added(this.writes, thread, area.writes.count);
      }
    }
    this.intervals.push(interval);
  }

  private difference(): Counters {
    const before = this.counters;
    this.counters = countersOf(this.store);
    return {
      hits: this.counters.hits - before.hits,
      misses: this.counters.misses - before.misses,
      writeHits: this.counters.writeHits - before.writeHits,
      writeMisses: this.counters.writeMisses - before.writeMisses,
    };
  }
}

function countersOf(store: Store): Counters {
  const { hits, misses, writeHits, writeMisses } = store.stats();
  return { hits, misses, writeHits, writeMisses };
}

function added(last: number[], thread: number, count: number): number {
  const more = count >= last[thread] ? count - last[thread] : count;
  last[thread] = count;
  return more;
}
