/**
 * Reading and writing the journal's head (format/journal-head.ts). Whoever moves the log's tail: recovery, which has the
 * device alone, or a checkpoint, under the Checkpoint mutex.
 */

import { borrowAligned, returnAligned } from '../device/aligned-memory.js';
import type { Device } from '../device/device.js';
import { HEAD_SLOTS, type JournalHead, readJournalHead, writeJournalHead } from '../format/journal-head.js';
import type { DeviceEffects } from '../routine/device-effects.js';
import type { Routine } from '../routine/effect.js';
import type { LogArea } from './log-area.js';

export interface Heads {
  /** The one that counts, or null where neither slot holds one. */
  head: JournalHead | null;
  /** What is wrong with slots that hold none, a line each. */
  damage: string[];
}

export function* readHeads(io: DeviceEffects, device: Device, area: LogArea): Routine<Heads> {
  const { blockBytes, shape } = area;
  const bytes = borrowAligned(blockBytes);
  const heads: Heads = { head: null, damage: [] };
  try {
    for (let slot = 0; slot < HEAD_SLOTS; slot++) {
      const done = yield io.read(device, [bytes], area.headBytesAt(slot));
      const found = done < blockBytes ? 'past the end of the device' : readJournalHead(bytes, shape.uuid, area.length);
      if (typeof found === 'string') heads.damage.push(`block ${shape.start + slot}: ${found}`);
      else if (heads.head === null || found.generation > heads.head.generation) heads.head = found;
    }
  } finally {
    returnAligned(bytes);
  }
  return heads;
}

/** Writes the head to the slot of its generation, durably. What went to the device before is durable first. */
export function* writeHead(io: DeviceEffects, device: Device, area: LogArea, head: JournalHead): Routine<void> {
  const bytes = borrowAligned(area.blockBytes);
  try {
    writeJournalHead(bytes, head);
    yield io.write(device, [bytes], area.headBytesAt(head.generation % HEAD_SLOTS));
  } finally {
    returnAligned(bytes);
  }
  yield io.flush(device);
}
