/**
 * What service threads do for the opening thread: one operation a number, its arguments and results as numbers and bytes.
 *
 * `perform` runs on a service thread, over that thread's own `SyncStore` and over `SyncFile`s made for the record that the
 * request names; so the asynchronous interface does exactly what the synchronous one does. Numbers: arguments in, results
 * out, in the same ten doubles. Bytes likewise, in the request's area of the transfer buffer.
 */
import type { Slot } from '../units.js';
import { ADVICE } from './arguments.js';
import type { Session } from './session.js';
import { SyncFile } from './sync-file.js';
import type { SyncStore } from './sync-store.js';

export const enum Operation {
  Open,
  Close,
  Read,
  Write,
  Truncate,
  Sync,
  Datasync,
  Fallocate,
  PunchHole,
  ZeroRange,
  CollapseRange,
  InsertRange,
  Advise,
  NextData,
  NextHole,
  Extents,
  Segments,
  Stat,
  Unlink,
  Rename,
  List,
  SyncAll,
  /** Gives back a reference on an inode whose holder died. */
  Release,
}

const ENCODER = new TextEncoder();
const DECODER = new TextDecoder();

export function encodeJson(value: unknown): Uint8Array {
  return ENCODER.encode(JSON.stringify(value));
}

function decodeText(bytes: Uint8Array): string {
  // TextDecoder refuses shared memory.
  return DECODER.decode(bytes.slice());
}

export function decodeJson<T>(bytes: Uint8Array): T {
  return JSON.parse(decodeText(bytes)) as T;
}

/** Extents that one request carries; a million of them take a few dozen requests. */
export const EXTENTS_BATCH = 8192;

/** Segments that one request carries. */
export const SEGMENTS_MAX = 8192;

export class Performer {
  private readonly session: Session;
  /** Files of recent requests, by record: their readahead state lives here. */
  private readonly files = new Map<number, SyncFile>();

  constructor(private readonly store: SyncStore) {
    this.session = store.session;
  }

  /**
   * Runs one operation. `n` holds its arguments and receives its results, `area` is the transfer area with `bytes` bytes of
   * request. Returns the bytes of answer put into `area`.
   */
  perform(operation: Operation, n: Float64Array, area: Uint8Array, bytes: number): number {
    switch (operation) {
      case Operation.Open:
        n[0] = this.store.openRecord(decodeText(area.subarray(0, bytes)), n[0], n[1]);
        return 0;
      case Operation.Stat:
        return put(area, encodeJson(this.store.stat(decodeText(area.subarray(0, bytes)))));
      case Operation.Unlink:
        this.store.unlink(decodeText(area.subarray(0, bytes)));
        return 0;
      case Operation.Rename: {
        const [from, to] = decodeJson<[string, string]>(area.subarray(0, bytes));
        this.store.rename(from, to);
        return 0;
      }
      case Operation.List: {
        const { prefix, after, limit } = decodeJson<{ prefix?: string; after?: string; limit: number }>(
          area.subarray(0, bytes),
        );
        return put(area, encodeJson(this.store.listBatch(prefix, after, limit)));
      }
      case Operation.SyncAll:
        this.store.sync();
        return 0;
      case Operation.Close:
        this.release(this.session.openFiles.clear(n[0]) as Slot);
        return 0;
      case Operation.Release:
        this.release(n[0] as Slot);
        return 0;
      default:
        return this.performOnFile(operation, this.fileOf(n[0]), n, area);
    }
  }

  private performOnFile(operation: Operation, file: SyncFile, n: Float64Array, area: Uint8Array): number {
    switch (operation) {
      case Operation.Read: {
        const count = file.readAt(area, 0, n[2], n[1]);
        n[0] = count;
        return count;
      }
      case Operation.Write:
        n[0] = file.writeFrom(area, 0, n[2], n[1]);
        return 0;
      case Operation.Truncate:
        file.truncate(n[1]);
        return 0;
      case Operation.Sync:
        file.sync();
        return 0;
      case Operation.Datasync:
        file.datasync();
        return 0;
      case Operation.Fallocate:
        file.fallocate(n[1], n[2], { keepSize: n[3] !== 0 });
        return 0;
      case Operation.PunchHole:
        file.punchHole(n[1], n[2]);
        return 0;
      case Operation.ZeroRange:
        file.zeroRange(n[1], n[2], { keepSize: n[3] !== 0 });
        return 0;
      case Operation.CollapseRange:
        file.collapseRange(n[1], n[2]);
        return 0;
      case Operation.InsertRange:
        file.insertRange(n[1], n[2]);
        return 0;
      case Operation.Advise:
        file.advise(ADVICE[n[3]], n[1], n[2]);
        return 0;
      case Operation.NextData:
        n[0] = file.nextData(n[1]);
        return 0;
      case Operation.NextHole:
        n[0] = file.nextHole(n[1]);
        return 0;
      case Operation.Extents:
        return put(area, encodeJson(file.extentsFrom(n[1], EXTENTS_BATCH)));
      case Operation.Segments:
        return put(area, encodeJson(file.segments(n[1], n[2], n[3])));
      default:
        throw new Error(`operation ${operation} is unknown`);
    }
  }

  private fileOf(record: number): SyncFile {
    const { openFiles } = this.session;
    const known = this.files.get(record);
    if (known?.isFor(openFiles.slot(record) as Slot, openFiles.generation(record))) return known;
    const file = new SyncFile(this.session, '', record);
    this.files.set(record, file);
    return file;
  }

  private release(slot: Slot): void {
    const { session } = this;
    if (slot >= 0) session.run('close', session.engine.inodes.release(session.task, slot));
  }
}

function put(area: Uint8Array, bytes: Uint8Array): number {
  area.set(bytes);
  return bytes.byteLength;
}
