/**
 * Threads that disturb a job: they punch holes, cut the tail off and put it back, or announce reads (WILLNEED), so many times
 * a second. One that cannot keep up does what it can, and does not catch up later.
 */
import { performance } from 'node:perf_hooks';
import type { SyncFile } from '../../src/worker.js';
import { Random } from './random.js';
import { Control, Figure, type ThreadArea } from './thread-memory.js';
import type { StormTask } from './thread-task.js';

const WILLNEED_BYTES = 2 * 1024 * 1024;
/** A truncation cuts at most that share off. */
const TAIL_SHARE = 1 / 8;
const STREAM = 0x5707;

export function runStorm(file: SyncFile, task: StormTask, area: ThreadArea, control: Int32Array): void {
  const random = new Random(task.seed, STREAM + task.kind.length);
  const intervalMs = 1000 / task.perSecond;
  area.figures[Figure.StartMs] = performance.now();
  let nextMs = area.figures[Figure.StartMs];
  while (Atomics.load(control, Control.Stop) === 0) {
    const beforeMs = performance.now();
    strike(file, task, random);
    const nowMs = performance.now();
    area.strikes.record((nowMs - beforeMs) * 1e6);
    area.figures[Figure.Progress]++;
    nextMs = Math.max(nextMs + intervalMs, nowMs - intervalMs);
    if (nextMs > nowMs) Atomics.wait(control, Control.Stop, 0, nextMs - nowMs);
  }
  area.figures[Figure.EndMs] = performance.now();
}

function strike(file: SyncFile, { kind, sizeBytes, bs }: StormTask, random: Random): void {
  const blocks = Math.floor(sizeBytes / bs);
  const position = random.below(blocks) * bs;
  if (kind === 'punch') {
    file.punchHole(position, bs);
  } else if (kind === 'willneed') {
    file.advise('willneed', position, WILLNEED_BYTES);
  } else {
    file.truncate(sizeBytes - random.below(Math.max(1, Math.floor(blocks * TAIL_SHARE))) * bs);
    file.truncate(sizeBytes);
  }
}
