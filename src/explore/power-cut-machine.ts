/**
 * The power-cut machine: runs a workload on a recorded device, makes the images that a cut could leave, recovers each, and
 * holds what it shows against what was promised.
 *
 * 1. Equal images are recovered once; what was seen then is judged again for every moment at which the image can arise.
 * 2. The power may go again while a store recovers: of some images the recovery is recorded as well, and cut in turn. What
 *    was promised stays promised.
 * 3. Everything follows from the workload and the seed; a failure names both, and its image is kept.
 *
 * One thread; the workload's threads are over when their log is cut.
 */

import { judge, type Span } from './crash-judge.js';
import type { CrashModel } from './crash-model.js';
import { CrashRandom } from './crash-random.js';
import { CrashRecovery, type Seen } from './crash-recovery.js';
import { type BlockContents, type Image, keyOf } from './power-cut-contents.js';
import { ImageDevice } from './power-cut-device.js';
import { type CutBounds, type CutImage, PowerCuts } from './power-cut-images.js';
import { DeviceLog, type DeviceRecord, RecordingDevice } from './recording-device.js';

export interface CutFailure {
  /** What was seen, and what should have been. */
  message: string;
  image: Image;
}

export interface CutOptions {
  bounds: CutBounds;
  /** Share of the recovered images whose recovery is cut too, and the bounds of that. */
  recoveries: number;
  recoveryBounds: CutBounds;
}

export const DEFAULT_CUTS: CutOptions = {
  bounds: { subsets: 8, torn: 3 },
  recoveries: 0.05,
  recoveryBounds: { subsets: 2, torn: 1 },
};

/** What one workload left. */
export interface Recorded {
  /** The device before. */
  base: Image;
  records: DeviceRecord[];
  models: readonly CrashModel[];
  /** The first moment to cut at. */
  from: number;
  /** Whether the store is one with data checksums: it shows no block that was cut at a sector. */
  dataChecksums: boolean;
}

/** Seen states kept; a state is a few hundred bytes. */
const SEEN_MAX = 100_000;
const RECOVERY_LOG_BYTES = 8 * 2 ** 20;

export class PowerCutMachine {
  /** Images judged, those among them that were recovered (no equal one was known), and those of cut recoveries. */
  images = 0;
  recovered = 0;
  cutRecoveries = 0;
  private readonly seen = new Map<string, Seen>();
  private readonly recovery: CrashRecovery;
  private readonly log = DeviceLog.allocate(RECOVERY_LOG_BYTES);

  constructor(
    readonly contents: BlockContents,
    private readonly options: CutOptions = DEFAULT_CUTS,
  ) {
    this.recovery = new CrashRecovery(contents);
  }

  /** The first image that breaks a promise, or null. */
  examine(recorded: Recorded, random: CrashRandom): CutFailure | null {
    const { base, records, models, from, dataChecksums } = recorded;
    const { bounds, recoveries } = this.options;
    for (const cut of new PowerCuts(base, records, this.contents, random, bounds).images(from)) {
      const isNew = !this.seen.has(keyOf(cut.image));
      cut.isTorn &&= !dataChecksums;
      const label = `cut at ${cut.from} of ${records.length} records: ${cut.what}`;
      const failure = this.judge(cut.image, models, cut, label);
      if (failure !== null) return failure;
      // Drawn in any case, and used apart, so that a run is the same whatever others have been seen before.
      const drawn = random.unit();
      if (!isNew || drawn >= recoveries) continue;
      const again = this.cutRecovery(cut, models, new CrashRandom(drawn * 2 ** 32));
      if (again !== null) return again;
    }
    return null;
  }

  /** Cuts the recovery of an image. */
  private cutRecovery(cut: CutImage, models: readonly CrashModel[], random: CrashRandom): CutFailure | null {
    const { contents, log } = this;
    const base = cut.image.slice();
    const { from, until, isTorn, what } = cut;
    log.clear();
    this.recovery.mount(new RecordingDevice(new ImageDevice(base, contents), log));
    const cuts = new PowerCuts(base, log.records(), contents, random, this.options.recoveryBounds);
    for (const second of cuts.images()) {
      this.cutRecoveries += 1;
      const label = `cut at ${from}: ${what}; and again at ${second.from} of its recovery: ${second.what}`;
      const failure = this.judge(second.image, models, { from, until, isTorn }, label);
      if (failure !== null) return failure;
    }
    return null;
  }

  private judge(image: Image, models: readonly CrashModel[], span: Span, label: string): CutFailure | null {
    this.images += 1;
    const { error, files } = this.lookAt(image);
    const wrong = error ?? judge(files, models, span);
    return wrong === null ? null : { message: `${label}\n${wrong}`, image: image.slice() };
  }

  private lookAt(image: Image): Seen {
    const key = keyOf(image);
    const known = this.seen.get(key);
    if (known !== undefined) return known;
    const seen = this.recovery.look(new ImageDevice(image, this.contents));
    this.recovered += 1;
    if (this.seen.size >= SEEN_MAX) this.seen.clear();
    this.seen.set(key, seen);
    return seen;
  }
}
