/**
 * The loop of a job's thread: draw an offset, read or write, note the time; until the deadline, the limit or the stop word.
 *
 * The clock is read once per operation (some 40 to 80 ns: bench/micro measures it), and that reading is the end of one
 * operation and the start of the next. With verify it is read twice, so that stamping and checking are not counted.
 */
import { performance } from 'node:perf_hooks';
import type { SyncFile } from '../../src/worker.js';
import type { Histogram } from './histogram.js';
import { makeOffsets, type Offsets } from './offsets.js';
import type { Job } from './plan.js';
import { Random } from './random.js';
import { fillPattern, Stamp } from './stamp.js';
import { Control, Figure, INTERVAL_MS, type ThreadArea } from './thread-memory.js';
import type { JobTask } from './thread-task.js';

/** A writer that is descheduled in the middle of its copy leaves the unit torn for that long at most. */
const TEAR_TIMEOUT_MS = 2000;

export function runJob(
  file: SyncFile,
  task: JobTask,
  thread: number,
  area: ThreadArea,
  control: Int32Array,
): string | null {
  const loop = new JobLoop(file, task, thread, area);
  loop.run(control);
  return loop.verifyError;
}

class JobLoop {
  verifyError: string | null = null;
  private readonly job: Job;
  private readonly offsets: Offsets;
  private readonly random: Random;
  private readonly stamp: Stamp | null;
  private readonly readsMayTear: boolean;
  private readonly buffer: Uint8Array;
  private readonly startBytes: number;
  /** Reads per hundred operations. */
  private readonly readShare: number;
  private writes = 0;
  private operations = 0;
  /** When the running operation began. */
  private beforeMs = 0;

  constructor(
    private readonly file: SyncFile,
    task: JobTask,
    thread: number,
    private readonly area: ThreadArea,
  ) {
    const { job, index, stamp } = task;
    this.job = job;
    this.random = new Random(job.randseed, thread);
    this.startBytes = job.offset + index * job.offset_increment;
    const blocks = Math.floor((job.size - this.startBytes) / job.bs);
    this.offsets = makeOffsets(job.rw.startsWith('rand'), job.random_distribution, blocks, this.random);
    this.stamp =
      stamp === null ? null : new Stamp(stamp.verify, stamp.unitBytes, thread + 1, job.filename, stamp.holesAllowed);
    this.readsMayTear = stamp?.readsMayTear ?? false;
    this.buffer = new Uint8Array(job.bs);
    fillPattern(this.buffer, this.random);
    this.readShare = job.rw.endsWith('read') ? 100 : job.rw.endsWith('write') ? 0 : job.rwmixread;
  }

  run(control: Int32Array): void {
    const { job, area } = this;
    this.beforeMs = performance.now();
    if (job.ramp_time > 0) {
      this.runUntil(this.beforeMs + job.ramp_time * 1000, control);
      area.clear();
      this.operations = 0;
    }
    area.figures[Figure.StartMs] = this.beforeMs;
    this.runUntil(job.runtime > 0 ? this.beforeMs + job.runtime * 1000 : Number.POSITIVE_INFINITY, control);
    area.figures[Figure.EndMs] = this.beforeMs;
    if (job.end_fsync) this.file.sync();
  }

  private runUntil(deadlineMs: number, control: Int32Array): void {
    const { job } = this;
    const startMs = this.beforeMs;
    const bySize = job.time_based ? Number.POSITIVE_INFINITY : Math.floor(job.size / job.bs);
    const limit = job.number_ios > 0 ? Math.min(job.number_ios, bySize) : bySize;
    const lastInterval = this.area.readSeries.length - 1;
    let interval = 0;
    let intervalEndMs = startMs + INTERVAL_MS;
    while (this.operations < limit && this.beforeMs < deadlineMs && Atomics.load(control, Control.Stop) === 0) {
      const position = this.startBytes + this.offsets.next() * job.bs;
      const isRead = this.readShare === 100 || (this.readShare > 0 && this.random.below(100) < this.readShare);
      if (isRead) this.read(position);
      else this.write(position);
      while (this.beforeMs >= intervalEndMs && interval < lastInterval) {
        interval++;
        intervalEndMs += INTERVAL_MS;
      }
      if (isRead) this.area.readSeries[interval]++;
      else this.area.writeSeries[interval]++;
      this.operations++;
    }
  }

  private read(position: number): void {
    const { buffer, area } = this;
    const { bytesRead } = this.file.read(buffer, 0, buffer.length, position);
    this.note(area.reads);
    area.figures[Figure.ReadBytes] += bytesRead;
    if (bytesRead < buffer.length) area.figures[Figure.ReadShort]++;
    if (this.stamp !== null) {
      this.check(position, bytesRead);
      this.beforeMs = performance.now();
    }
  }

  private write(position: number): void {
    const { buffer, area, stamp, job } = this;
    this.writes++;
    if (stamp !== null) {
      stamp.write(buffer, position, this.writes);
      this.beforeMs = performance.now();
    }
    const { bytesWritten } = this.file.write(buffer, 0, buffer.length, position);
    this.note(area.writes);
    area.figures[Figure.WriteBytes] += bytesWritten;
    if (bytesWritten < buffer.length) area.figures[Figure.WriteShort]++;
    if (job.fsync > 0 && this.writes % job.fsync === 0) {
      this.file.sync();
      this.beforeMs = performance.now();
    }
  }

  private note(histogram: Histogram): void {
    const nowMs = performance.now();
    histogram.record((nowMs - this.beforeMs) * 1e6);
    this.beforeMs = nowMs;
  }

  private check(position: number, bytesRead: number): void {
    let wrong = this.stamp!.check(this.buffer.subarray(0, bytesRead), position);
    const giveUpMs = performance.now() + TEAR_TIMEOUT_MS;
    while (wrong?.mayBeTorn && this.readsMayTear && performance.now() < giveUpMs) {
      const again = this.file.read(this.buffer, 0, this.buffer.length, position).bytesRead;
      wrong = this.stamp!.check(this.buffer.subarray(0, again), position);
    }
    if (wrong === null) return;
    this.verifyError ??= wrong.reason;
    this.area.figures[Figure.VerifyErrors]++;
  }
}
