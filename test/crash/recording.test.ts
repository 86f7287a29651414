/** The recording device, by hand and with real threads: what is logged is what was asked for, in an order that can have been. */
import { Worker } from 'node:worker_threads';
import { describe, expect, it } from 'vitest';
import { MemoryDevice } from '#dist/src/device/memory-device.js';
import { DeviceLog, RecordingDevice, RecordKind } from '#dist/src/explore/recording-device.js';
import { bundledThread } from '../support/bundled-thread.js';
import { pattern } from '../support/file-world.js';

const BLOCK = 4096;
const MIB = 2 ** 20;

describe('the recording device', () => {
  it('logs writes, flushes and discards in order, with their bytes and moments', () => {
    const log = DeviceLog.allocate(MIB);
    const device = new MemoryDevice(64 * BLOCK);
    const recording = new RecordingDevice(device, log);
    const [first, second] = [pattern(1, BLOCK), pattern(2, 2 * BLOCK)];
    recording.write([first, second], 8 * BLOCK);
    const between = log.tick();
    recording.flush();
    recording.discard(16 * BLOCK, 4 * BLOCK);
    const records = log.records();
    expect(
      records.map(({ kind, positionBytes, lengthBytes }) => [kind, positionBytes / BLOCK, lengthBytes / BLOCK]),
    ).toEqual([
      [RecordKind.Write, 8, 3],
      [RecordKind.Flush, 0, 0],
      [RecordKind.Discard, 16, 4],
    ]);
    expect(Buffer.compare(records[0].bytes, Buffer.concat([first, second]))).toBe(0);
    const moments = records.flatMap(({ begin, end }) => [begin, end]);
    expect(moments).toEqual([...moments].sort((a, b) => a - b));
    expect(records[0].end).toBeLessThan(between);
    expect(records[1].begin).toBeGreaterThan(between);
    const back = new Uint8Array(3 * BLOCK);
    recording.read([back], 8 * BLOCK);
    expect(Buffer.compare(back, Buffer.concat([first, second]))).toBe(0);
  });

  it('leaves a write that failed without an end', () => {
    const log = DeviceLog.allocate(MIB);
    const device = new MemoryDevice(8 * BLOCK, { onWrite: () => BLOCK });
    expect(() => new RecordingDevice(device, log).write([pattern(1, 2 * BLOCK)], 0)).toThrow();
    expect(log.records()).toMatchObject([{ kind: RecordKind.Write, end: Number.POSITIVE_INFINITY }]);
  });

  it('takes the bytes as they were when the write began', () => {
    const log = DeviceLog.allocate(MIB);
    const source = pattern(3, BLOCK);
    const copy = source.slice();
    const device = new MemoryDevice(8 * BLOCK, {
      onWrite: () => {
        source.fill(0);
        return undefined;
      },
    });
    new RecordingDevice(device, log).write([source], 0);
    const back = new Uint8Array(BLOCK);
    device.read([back], 0);
    expect(Buffer.compare(back, copy)).toBe(0);
    expect(Buffer.compare(log.records()[0].bytes, copy)).toBe(0);
  });

  it('says so when the log is full', () => {
    const log = DeviceLog.allocate(2 * BLOCK);
    const recording = new RecordingDevice(new MemoryDevice(64 * BLOCK), log);
    recording.write([pattern(1, BLOCK)], 0);
    expect(() => recording.write([pattern(1, BLOCK)], 0)).toThrow(/log of the device is full/);
  });

  it('takes records of several threads at once, none lost and none mixed up', async () => {
    const THREADS = 4;
    const WRITES = 500;
    const log = DeviceLog.allocate(16 * MIB);
    const workers = Array.from({ length: THREADS }, (_, index) => {
      const workerData = { log: log.buffer, index, writes: WRITES };
      return new Worker(bundledThread('recorder'), { workerData });
    });
    await Promise.all(
      workers.map((worker) => new Promise((resolve, reject) => worker.on('exit', resolve).on('error', reject))),
    );
    const records = log.records();
    expect(records.length).toBe(THREADS * WRITES);
    const moments = new Set(records.flatMap(({ begin, end }) => [begin, end]));
    expect(moments.size).toBe(2 * records.length);
    expect(log.now).toBe(2 * records.length);
    for (const { bytes, positionBytes, begin, end } of records) {
      expect(begin).toBeLessThan(end);
      const block = positionBytes / BLOCK;
      expect(bytes.length).toBe(BLOCK);
      expect(new Uint32Array(bytes.slice().buffer).every((word) => word === block)).toBe(true);
    }
    expect(new Set(records.map(({ positionBytes }) => positionBytes)).size).toBe(records.length);
  });
});
