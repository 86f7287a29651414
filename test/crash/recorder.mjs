/** One thread of the recording test: writes blocks that say where they belong, to a device of its own, into a shared log. */
import { workerData } from 'node:worker_threads';
import { MemoryDevice } from '../../dist/src/device/memory-device.js';
import { DeviceLog, RecordingDevice } from '../../dist/src/explore/recording-device.js';

const { log, index, writes } = workerData;
const device = new RecordingDevice(new MemoryDevice(2 ** 30), new DeviceLog(log));
const words = new Uint32Array(1024);
for (let n = 0; n < writes; n++) {
  const block = index * writes + n;
  words.fill(block);
  device.write([new Uint8Array(words.buffer)], block * 4096);
}
