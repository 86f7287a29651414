/**
 * Real threads on a recorded device: each writes and syncs its own files, all of them commit together, and the log of what the
 * device was asked for is cut like any other. The threads' choices follow from the seed, how they interleave does not.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { expect, it } from 'vitest';
import { openHostDevice } from '#dist/src/device/host-device.js';
import { makeBase } from '#dist/src/explore/crash-base.js';
import { CrashModel, type RecordedOperation } from '#dist/src/explore/crash-model.js';
import { CrashRandom } from '#dist/src/explore/crash-random.js';
import { smallPlan } from '#dist/src/explore/crash-recovery.js';
import { BlockContents, type Image } from '#dist/src/explore/power-cut-contents.js';
import { PowerCutMachine } from '#dist/src/explore/power-cut-machine.js';
import { DeviceLog, RecordingDevice } from '#dist/src/explore/recording-device.js';
import { mount, unmount } from '#dist/src/store/mount.js';
import type { StoreHandle } from '#dist/src/store/session.js';
import { bundledThread } from '../support/bundled-thread.js';
import { temporaryDirectory } from '../support/temporary.js';

const SEED = Number(process.env.EMMENTAL_CUT_SEED ?? Math.floor(Math.random() * 2 ** 31));
const THREADS = 3;
const OPERATIONS = 60;
const LOG_BYTES = 64 * 2 ** 20;
const path = join(temporaryDirectory(true), 'recorded.img');

it('keeps the promises of real threads, cut at every write', async () => {
  const contents = new BlockContents(4096);
  const base = makeBase(contents, { blocks: 448, journalBlocks: 96, operations: [], dataChecksums: false });
  writeFileSync(path, bytesOf(base.image, contents));
  const log = DeviceLog.allocate(LOG_BYTES);
  const host = openHostDevice(path, { io: 'buffered' });
  const models: CrashModel[] = [];
  let from = 0;
  try {
    const owner = mount(new RecordingDevice(host, log), host.share(), smallPlan({ verify: true }));
    from = log.tick();
    const done = Array.from({ length: THREADS }, (_, thread) => work(owner.handle, log, thread));
    for (const [thread, steps] of (await Promise.all(done)).entries()) {
      const model = new CrashModel(contents, firstFileOf(thread));
      model.replay(steps);
      models.push(model);
    }
    unmount(owner);
  } finally {
    host.close();
  }
  const machine = new PowerCutMachine(contents);
  const records = log.records();
  const failure = machine.examine(
    { base: base.image, records, models, from, dataChecksums: false },
    new CrashRandom(SEED),
  );
  if (failure !== null) expect.fail(`seed ${SEED}: ${failure.message}`);
  expect(records.length).toBeGreaterThan(THREADS);
  expect(machine.images).toBeGreaterThan(records.length);
});

function work(handle: StoreHandle, log: DeviceLog, thread: number): Promise<RecordedOperation[]> {
  const workerData = {
    handle,
    log: log.buffer,
    seed: SEED + thread,
    prefix: `t${thread}-`,
    firstFile: firstFileOf(thread),
    operations: OPERATIONS,
  };
  const worker = new Worker(bundledThread('record-thread'), { workerData });
  return new Promise((resolve, reject) => {
    worker.once('message', resolve);
    worker.once('error', reject);
  });
}

function firstFileOf(thread: number): number {
  return (thread + 1) * 1000;
}

function bytesOf(image: Image, contents: BlockContents): Uint8Array {
  const bytes = new Uint8Array(image.length * contents.blockBytes);
  image.forEach((number, block) => {
    bytes.set(contents.bytes(number), block * contents.blockBytes);
  });
  return bytes;
}
