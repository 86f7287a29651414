/**
 * Runs a sequence of operations on a recorded device, in one thread, and hands over what the machine cuts: always the same
 * from the same sequence, byte for byte.
 */
import { runBlocking } from '../routine/blocking-driver.js';
import type { CrashBase } from './crash-base.js';
import { type CrashOperation, CrashPerformer } from './crash-operation.js';
import { CrashClock, CrashRecovery, smallPlan } from './crash-recovery.js';
import type { BlockContents } from './power-cut-contents.js';
import { ImageDevice } from './power-cut-device.js';
import type { Recorded } from './power-cut-machine.js';
import { DeviceLog, RecordingDevice } from './recording-device.js';

const LOG_BYTES = 64 * 2 ** 20;

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

  /** What is recorded is valid until the next run. An error of the engine is thrown. */
  run(base: CrashBase, operations: readonly CrashOperation[], keepOpen: boolean): Recorded {
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
    clock.nowMs = started;
    return { base: base.image, records: log.records(), models: [model], from };
  }
}
