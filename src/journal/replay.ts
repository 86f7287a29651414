/**
 * Writing images of the log where they belong: what recovery and every checkpoint do.
 *
 * Images come in order of their blocks. A batch of them is read, in order of the log, into memory in order of blocks, and
 * written from there, neighbours together. Nothing is flushed. It can be cut at any point and done again: the images stay
 * in the log until the head moves past them.
 */
import { borrowAligned, returnAligned } from '../device/aligned-memory.js';
import type { Device } from '../device/device.js';
import { corrupt } from '../errors.js';
import { imageChecksum, transactionSeed, unescapeImage } from '../format/journal-record.js';
import type { DeviceEffects } from '../routine/device-effects.js';
import type { Routine } from '../routine/effect.js';
import { MIB } from '../units.js';
import type { LogArea } from './log-area.js';
import type { LogImage } from './log-scan.js';

const BATCH_BYTES = 4 * MIB;

/** Writes the images in place; EUCLEAN where the log does not hold what its records say. */
export function* replay(io: DeviceEffects, device: Device, area: LogArea, images: readonly LogImage[]): Routine<void> {
  const { blockBytes } = area;
  const batchBlocks = Math.min(images.length, Math.floor(BATCH_BYTES / blockBytes));
  if (batchBlocks === 0) return;
  const memory = borrowAligned(batchBlocks * blockBytes);
  try {
    for (let from = 0; from < images.length; from += batchBlocks) {
      const batch = images.slice(from, from + batchBlocks);
      yield* readBatch(io, device, area, batch, memory);
      restore(area, batch, memory);
      yield* writeBatch(io, device, area, batch, memory);
    }
  } finally {
    returnAligned(memory);
  }
}

function* readBatch(
  io: DeviceEffects,
  device: Device,
  area: LogArea,
  batch: readonly LogImage[],
  memory: Uint8Array,
): Routine<void> {
  const { blockBytes } = area;
  const order = Array.from(batch, (_, i) => i).sort((a, b) => batch[a].position - batch[b].position);
  for (let from = 0; from < order.length; ) {
    const first = batch[order[from]].position;
    const buffers: Uint8Array[] = [];
    let to = from;
    while (to < order.length && batch[order[to]].position === first + to - from) {
      buffers.push(slotOf(memory, order[to], blockBytes));
      to += 1;
    }
    yield io.read(device, buffers, area.bytesAt(first));
    from = to;
  }
}

function restore(area: LogArea, batch: readonly LogImage[], memory: Uint8Array): void {
  const { blockBytes, shape } = area;
  for (let i = 0; i < batch.length; i++) {
    const { block, sequence, checksum, flags, position } = batch[i];
    const bytes = slotOf(memory, i, blockBytes);
    if (imageChecksum(bytes, transactionSeed(shape.uuid, sequence)) !== checksum) {
      throw corrupt('journal', area.bytesAt(position) / blockBytes, `the image of block ${block} is damaged`);
    }
    unescapeImage(new DataView(bytes.buffer, bytes.byteOffset, blockBytes), flags);
  }
}

function* writeBatch(
  io: DeviceEffects,
  device: Device,
  area: LogArea,
  batch: readonly LogImage[],
  memory: Uint8Array,
): Routine<void> {
  const { blockBytes } = area;
  for (let from = 0; from < batch.length; ) {
    const first = batch[from].block;
    let to = from + 1;
    while (to < batch.length && batch[to].block === first + to - from) to += 1;
    yield io.write(device, [memory.subarray(from * blockBytes, to * blockBytes)], first * blockBytes);
    from = to;
  }
}

function slotOf(memory: Uint8Array, slot: number, blockBytes: number): Uint8Array {
  return memory.subarray(slot * blockBytes, (slot + 1) * blockBytes);
}
