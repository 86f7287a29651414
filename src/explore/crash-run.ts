/**
 * Runs operations on a recorded device, as one thread or as several in one, and hands over what the machine cuts: always the
 * same from the same operations and seed, byte for byte.
 */
import { runBlocking } from '../routine/blocking-driver.js';
import type { Routine } from '../routine/effect.js';
import { unmount } from '../store/mount.js';
import { Session } from '../store/session.js';
import type { CrashBase } from './crash-base.js';
import { CrashModel } from './crash-model.js';
import { type CrashOperation, CrashPerformer } from './crash-operation.js';
import type { CrashRandom } from './crash-random.js';
import { CrashClock, CrashRecovery, smallPlan } from './crash-recovery.js';
import { CrashThreads } from './crash-threads.js';
import type { BlockContents } from './power-cut-contents.js';
import { ImageDevice } from './power-cut-device.js';
import type { Recorded } from './power-cut-machine.js';
import { DeviceLog, RecordingDevice } from './recording-device.js';

const LOG_BYTES = 64 * 2 ** 20;
const FILES_PER_THREAD = 1000;

export class CrashRunner {
  private readonly clock = new CrashClock();
  private readonly mounts: CrashRecovery;
  private readonly log = DeviceLog.allocate(LOG_BYTES);

  constructor(
    private readonly contents: BlockContents,
    verify: boolean,
  ) {
    this.mounts = new CrashRecovery(contents, smallPlan({ verify }), this.clock);
  }

  /**
   * What is recorded is valid until the next run. An error of the engine is thrown. With `wholeLife` opening and closing
   * the store are recorded too, and what is not held open is closed at the end.
   */
  run(base: CrashBase, operations: readonly CrashOperation[], keepOpen: boolean, wholeLife = false): Recorded {
    const { log, clock } = this;
    const started = clock.nowMs;
    log.clear();
    const session = this.mounts.mount(new RecordingDevice(new ImageDevice(base.image, this.contents), log));
    const model = base.model.fork();
    const from = log.tick();
    const performer = new CrashPerformer(session, session.task, model, log, keepOpen);
    for (const operation of operations) {
      clock.nowMs += 1;
      runBlocking(session.task, performer.perform(operation));
    }
    if (wholeLife && !keepOpen) unmount(session);
    clock.nowMs = started;
    const { image, dataChecksums } = base;
    return { base: image, records: log.records(), models: [model], from: wholeLife ? 0 : from, dataChecksums };
  }

  /**
   * As many threads as there are workloads, interleaved by chance; each keeps to names of its own. The base has no files.
   * All end, or are left where they stand after `steps` steps.
   */
  runThreads(
    base: CrashBase,
    workloads: readonly (readonly CrashOperation[])[],
    random: CrashRandom,
    steps = Number.POSITIVE_INFINITY,
  ): Recorded {
    const { log, contents } = this;
    log.clear();
    const device = new ImageDevice(base.image, contents);
    const owner = this.mounts.mount(new RecordingDevice(device, log));
    const from = log.tick();
    const threads = new CrashThreads(random, log);
    const models: CrashModel[] = [];
    for (const [i, operations] of workloads.entries()) {
      const session = new Session(owner.handle, 'user', device, threads);
      const model = new CrashModel(contents, (i + 1) * FILES_PER_THREAD);
      const performer = new CrashPerformer(session, session.task, model, log, i % 2 === 0);
      models.push(model);
      threads.spawn(session.task, performAll(performer, operations));
    }
    threads.run(steps);
    return { base: base.image, records: log.records(), models, from, dataChecksums: base.dataChecksums };
  }
}

function* performAll(performer: CrashPerformer, operations: readonly CrashOperation[]): Routine<void> {
  for (const operation of operations) yield* performer.perform(operation);
}
