/**
 * The small store that crash workloads begin with: a few files, durable, on a device whose free blocks hold what some other
 * store left there, so that a block that is shown before it was written is never mistaken for zeros.
 *
 * One thread.
 */
import { MemoryDevice } from '../device/memory-device.js';
import { formatDevice } from '../store/format-store.js';
import { unmount } from '../store/mount.js';
import { CrashModel } from './crash-model.js';
import { type CrashOperation, CrashPerformer } from './crash-operation.js';
import { CrashRecovery } from './crash-recovery.js';
import { stamp } from './crash-stamp.js';
import { type BlockContents, type Image, ZEROS } from './power-cut-contents.js';
import { ImageDevice } from './power-cut-device.js';
import { DeviceLog } from './recording-device.js';

export interface CrashBase {
  image: Image;
  /** Its history ends with what the image holds; fork it. */
  model: CrashModel;
  dataChecksums: boolean;
}

/** Stamped as this file, which does not exist. */
const STRANGER = 0xffff;
const FIRST_DATA_MARGIN = 4;

export interface BaseShape {
  blocks: number;
  journalBlocks: number;
  dataChecksums: boolean;
  /** Performed, and then made durable. */
  operations: CrashOperation[];
}

/** A base for one thread; `firstFile` is the first of its files' numbers. */
export function makeBase(contents: BlockContents, shape: BaseShape, firstFile = 1): CrashBase {
  const { blockBytes } = contents;
  const image = formatted(contents, shape);
  fillFree(contents, image, shape);
  const device = new ImageDevice(image, contents);
  const session = new CrashRecovery(contents).mount(device);
  const model = new CrashModel(contents, firstFile);
  const log = DeviceLog.allocate(blockBytes);
  const performer = new CrashPerformer(session, session.task, model, log, false);
  for (const operation of shape.operations) session.run('base', performer.perform(operation));
  unmount(session);
  return { image: device.toImage(), model, dataChecksums: shape.dataChecksums };
}

function formatted(contents: BlockContents, { blocks, journalBlocks, dataChecksums }: BaseShape): Image {
  const { blockBytes } = contents;
  const device = new MemoryDevice(blocks * blockBytes);
  formatDevice(device, {
    blockBytes,
    label: '',
    dataChecksums,
    now: 0,
    uuid: new Uint8Array(16),
    journalBytes: journalBlocks * blockBytes,
  });
  const image = new Int32Array(blocks);
  const block = new Uint8Array(blockBytes);
  for (let i = 0; i < blocks; i++) {
    device.read([block], i * blockBytes);
    image[i] = contents.number(block);
  }
  return image;
}

/** Blocks behind the journal and the root of the names that nobody has written yet. */
function fillFree(contents: BlockContents, image: Image, { journalBlocks }: BaseShape): void {
  const bytes = new Uint8Array(contents.blockBytes);
  for (let block = journalBlocks + FIRST_DATA_MARGIN; block < image.length; block++) {
    if (image[block] !== ZEROS) continue;
    stamp(bytes, STRANGER, block * bytes.length, 0);
    image[block] = contents.number(bytes);
  }
}
