/**
 * Recovery: brings a store that was not closed back to its last durable transaction. Whoever opens or checks the store,
 * with the device to himself; on a read-only device the writes go to an overlay in memory (device/overlay-device.ts).
 *
 *   read the head ─ scan whole transactions from the tail ─ write the newest images in place ─ flush ─ move the head
 *
 * 1. Up to the last step the log is what it was, and every step writes the same again when it is repeated: a recovery may
 *    be cut at any point and begun anew.
 * 2. The head that ends it points behind the transaction that was cut short, and the next one gets a number above that
 *    one's: its remains are never taken for a part of a later transaction.
 * 3. A store closed cleanly has an empty log: then nothing is written.
 */
import type { Device } from '../device/device.js';
import { StoreError } from '../errors.js';
import { HEAD_SLOTS } from '../format/journal-head.js';
import type { DeviceEffects } from '../routine/device-effects.js';
import type { Routine } from '../routine/effect.js';
import { LogArea, type LogShape } from './log-area.js';
import { readHeads, writeHead } from './log-head.js';
import { LogScan } from './log-scan.js';
import { replay } from './replay.js';

/** `cause` of the error where the log itself is damaged. */
export const JOURNAL_DAMAGED = 'the journal is damaged';

export interface Recovery {
  /** Transactions replayed, 0 when the log was empty. */
  transactions: number;
  /** Blocks written in place. */
  blocks: number;
}

/** Throws EUCLEAN where the log cannot be trusted, and the device's errors. `isClean`: the superblock says so. */
export function* recover(
  io: DeviceEffects,
  device: Device,
  shape: LogShape,
  isClean: boolean,
  now: number,
): Routine<Recovery> {
  const area = new LogArea(shape);
  const { head, damage } = yield* readHeads(io, device, area);
  if (head === null) throw damagedJournal(`its head is damaged (${damage.join('; ')})`);
  const scan = new LogScan(io, device, area, { position: head.tailPosition, sequence: head.tailSequence });
  try {
    yield* scan.run(Number.POSITIVE_INFINITY, true);
    if (scan.transactions === 0 && isClean && damage.length === 0) return { transactions: 0, blocks: 0 };
    if (yield* scan.isFollowed()) {
      throw damagedJournal(`transaction ${scan.end.sequence} is damaged, and later ones follow it`);
    }
  } finally {
    scan.close();
  }
  const images = scan.live();
  yield* replay(io, device, area, images);
  if (images.length > 0) yield io.flush(device);
  yield* writeHead(io, device, area, {
    ...head,
    generation: head.generation + 1,
    tailSequence: scan.end.sequence + 1,
    tailPosition: scan.end.position,
    writtenMs: now,
  });
  return { transactions: scan.transactions, blocks: images.length };
}

/**
 * Gives a log that cannot be trusted up: both heads are written anew, of an empty log whose next transaction is numbered
 * above all that lies in it. What only the log held is lost; the caller repairs the rest.
 */
export function* discardLog(io: DeviceEffects, device: Device, shape: LogShape, now: number): Routine<void> {
  const area = new LogArea(shape);
  const { head } = yield* readHeads(io, device, area);
  const scan = new LogScan(io, device, area, { position: 0, sequence: 0 });
  let highest = 0;
  try {
    highest = yield* scan.highestSequence();
  } finally {
    scan.close();
  }
  for (let slot = 0; slot < HEAD_SLOTS; slot++) {
    yield* writeHead(io, device, area, {
      generation: (head === null ? 0 : head.generation + HEAD_SLOTS - (head.generation % HEAD_SLOTS)) + slot,
      tailSequence: Math.max(highest, head?.tailSequence ?? 0) + 1,
      tailPosition: 0,
      logBlocks: area.length,
      uuid: shape.uuid,
      writtenMs: now,
    });
  }
}

function damagedJournal(what: string): StoreError {
  const detail = `the journal cannot be replayed: ${what}; 'emmental check --repair' discards it, and mends the rest`;
  return new StoreError('EUCLEAN', { detail, cause: JOURNAL_DAMAGED });
}
