/**
 * One real thread of the recorded workload: performs random operations on its own files, over a recording device of its own
 * on the shared log, and posts what it did and when.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { HostDevice } from '../../dist/src/device/host-device.js';
import { CrashModel } from '../../dist/src/explore/crash-model.js';
import { CrashPerformer } from '../../dist/src/explore/crash-operation.js';
import { CrashRandom } from '../../dist/src/explore/crash-random.js';
import { randomOperations } from '../../dist/src/explore/crash-sequences.js';
import { BlockContents } from '../../dist/src/explore/power-cut-contents.js';
import { DeviceLog, RecordingDevice } from '../../dist/src/explore/recording-device.js';
import { runBlocking } from '../../dist/src/routine/blocking-driver.js';
import { Session } from '../../dist/src/store/session.js';

const { handle, log: buffer, seed, prefix, firstFile, operations } = workerData;
const log = new DeviceLog(buffer);
const session = new Session(handle, 'user', new RecordingDevice(HostDevice.fromHandle(handle.device), log));
const model = new CrashModel(new BlockContents(4096), firstFile);
const performer = new CrashPerformer(session, session.task, model, log, false);
const steps = [];
const source = randomOperations(new CrashRandom(seed), prefix);
while (steps.length < operations) {
  const operation = source.next().value;
  if (!model.isPossible(operation)) continue;
  runBlocking(session.task, performer.perform(operation));
  const { begin, end } = model.latest;
  steps.push({ operation, begin, end });
}
session.detach();
parentPort.postMessage(steps);
