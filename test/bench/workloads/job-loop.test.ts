import { expect, test } from 'vitest';
import { runJob } from '#dist/bench/workloads/job-loop.js';
import type { OptionValues } from '#dist/bench/workloads/option-table.js';
import { runPass } from '#dist/bench/workloads/pass.js';
import { makePlan } from '#dist/bench/workloads/plan.js';
import { runStorm } from '#dist/bench/workloads/storm.js';
import { allocateCrewMemory, areaOf, Control, controlOf, Figure } from '#dist/bench/workloads/thread-memory.js';
import type { StampSettings } from '#dist/bench/workloads/thread-task.js';
import type { SyncFile } from '#dist/src/worker.js';

/** A file in memory that remembers what was done to it. */
class MemoryFile {
  bytes: Buffer;
  readonly reads: number[] = [];
  readonly writes: number[] = [];
  readonly other: string[] = [];
  syncs = 0;
  /** Called before each read is answered. */
  onRead: (position: number) => void = () => {};

  constructor(size: number) {
    this.bytes = Buffer.alloc(size);
  }

  read(buffer: Uint8Array, offset: number, length: number, position: number): { bytesRead: number } {
    this.reads.push(position);
    this.onRead(position);
    const bytesRead = Math.max(0, Math.min(length, this.bytes.length - position));
    buffer.set(this.bytes.subarray(position, position + bytesRead), offset);
    return { bytesRead };
  }

  write(buffer: Uint8Array, offset: number, length: number, position: number): { bytesWritten: number } {
    this.writes.push(position);
    this.bytes.set(buffer.subarray(offset, offset + length), position);
    return { bytesWritten: length };
  }

  sync(): void {
    this.syncs++;
  }

  truncate(size: number): void {
    this.other.push(`truncate ${size}`);
  }

  punchHole(position: number, length: number): void {
    this.other.push(`punch ${position} ${length}`);
  }

  asSyncFile(): SyncFile {
    return this as unknown as SyncFile;
  }
}

const BS = 4096;
const SIZE = 64 * BS;
const VERIFY: StampSettings = { verify: 'crc32c', unitBytes: BS, holesAllowed: false, readsMayTear: false };

function run(file: MemoryFile, values: OptionValues, stamp: StampSettings | null = null, runtimeSeconds = 1) {
  const memory = allocateCrewMemory(1, runtimeSeconds);
  const area = areaOf(memory, 0);
  const [job] = makePlan({ bs: BS, size: SIZE, ...values }, null, ['x']).jobs;
  const task = { kind: 'job' as const, job, index: 0, stamp };
  const verifyError = runJob(file.asSyncFile(), task, 0, area, controlOf(memory));
  return { area, verifyError };
}

function layOut(file: MemoryFile): void {
  const memory = allocateCrewMemory(1, 0);
  const task = { kind: 'layout' as const, file: 'bench', sizeBytes: file.bytes.length, stamp: VERIFY };
  runPass(file.asSyncFile(), task, areaOf(memory, 0), controlOf(memory));
  file.writes.length = 0;
}

test('a sequential job moves size bytes in order, and every operation is counted once', () => {
  const file = new MemoryFile(SIZE);
  const { area } = run(file, { rw: 'read' });
  expect(file.reads).toEqual(Array.from({ length: 64 }, (_, i) => i * BS));
  expect(area.reads.count).toBe(64);
  expect(area.figures[Figure.ReadBytes]).toBe(SIZE);
  expect(area.readSeries.reduce((a, b) => a + b, 0)).toBe(64);
  expect(area.figures[Figure.EndMs]).toBeGreaterThanOrEqual(area.figures[Figure.StartMs]);
});

test('offsets are whole blocks of the range, and repeat with the seed', () => {
  const files = [1, 1, 2].map((randseed) => {
    const file = new MemoryFile(SIZE);
    run(file, { rw: 'randread', number_ios: 50, randseed, offset: 32 * BS });
    return file.reads;
  });
  expect(files[0]).toEqual(files[1]);
  expect(files[0]).not.toEqual(files[2]);
  for (const position of files[0]) {
    expect(position % BS).toBe(0);
    expect(position).toBeGreaterThanOrEqual(32 * BS);
    expect(position).toBeLessThan(SIZE);
  }
});

test('a mixed job mixes; fsync and end_fsync are kept', () => {
  const file = new MemoryFile(SIZE);
  const { area } = run(file, { rw: 'randrw', rwmixread: 70, number_ios: 64, fsync: 5, end_fsync: true });
  expect(file.reads.length + file.writes.length).toBe(64);
  expect(file.reads.length).toBeGreaterThan(32);
  expect(file.syncs).toBe(Math.floor(file.writes.length / 5) + 1);
  expect(area.writes.count).toBe(file.writes.length);
});

test('what the ramp did is forgotten', () => {
  const file = new MemoryFile(SIZE);
  const { area } = run(file, { rw: 'randread', ramp_time: 0.05, runtime: 0.05 });
  expect(area.reads.count).toBeLessThan(file.reads.length);
  expect(area.reads.count).toBeGreaterThan(0);
  const elapsed = area.figures[Figure.EndMs] - area.figures[Figure.StartMs];
  expect(elapsed).toBeGreaterThanOrEqual(50);
});

test('short reads are counted', () => {
  const { area } = run(new MemoryFile(SIZE - BS - 10), { rw: 'read' });
  expect(area.figures[Figure.ReadShort]).toBe(2);
  expect(area.figures[Figure.ReadBytes]).toBe(SIZE - BS - 10);
});

test('verify: what was laid out and written is right, a foreign block is not', () => {
  const file = new MemoryFile(SIZE);
  layOut(file);
  expect(run(file, { rw: 'randrw', number_ios: 200, verify: 'crc32c' }, VERIFY).verifyError).toBeNull();
  file.bytes.copy(file.bytes, 8 * BS, 9 * BS, 10 * BS);
  const { verifyError, area } = run(file, { rw: 'read', verify: 'crc32c' }, VERIFY);
  expect(verifyError).toBe(`bytes at ${8 * BS}: stamped for position ${9 * BS}`);
  expect(area.figures[Figure.VerifyErrors]).toBe(1);
});

test('verify: a read that looks torn is read again where reads may tear, and is wrong where they may not', () => {
  for (const readsMayTear of [true, false]) {
    const file = new MemoryFile(SIZE);
    layOut(file);
    file.bytes[100] ^= 1;
    // The writer finishes before the third look.
    file.onRead = (position) => {
      if (position === 0 && file.reads.filter((read) => read === 0).length === 3) file.bytes[100] ^= 1;
    };
    const { verifyError } = run(file, { rw: 'read', number_ios: 1, verify: 'crc32c' }, { ...VERIFY, readsMayTear });
    expect(verifyError === null).toBe(readsMayTear);
  }
});

/** What a storm of 200 a second does to a file in 200 ms. */
function storm(kind: 'punch' | 'truncate'): string[] {
  const file = new MemoryFile(SIZE);
  const memory = allocateCrewMemory(1, 1);
  const control = controlOf(memory);
  const task = { kind, file: 'f', sizeBytes: SIZE, bs: BS, perSecond: 200, seed: 1 };
  const stopAtMs = performance.now() + 200;
  const record = file.other.push.bind(file.other);
  file.other.push = (...items: string[]) => {
    if (performance.now() > stopAtMs) Atomics.store(control, Control.Stop, 1);
    return record(...items);
  };
  runStorm(file.asSyncFile(), task, areaOf(memory, 0), control);
  return file.other;
}

test.each(['punch', 'truncate'] as const)('a storm of %s keeps its rate', (kind) => {
  const each = kind === 'truncate' ? 2 : 1;
  let done: string[] = [];
  // It is never faster; a busy machine may make it slower, but not every time.
  for (let turn = 0; turn < 20 && done.length <= 10 * each; turn++) {
    done = storm(kind);
    expect(done.length / each).toBeLessThan(50);
  }
  expect(done.length / each).toBeGreaterThan(10);
  if (kind === 'truncate') expect(done[1]).toBe(`truncate ${SIZE}`);
});
