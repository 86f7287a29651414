/**
 * What a workload of the power-cut machine consists of, and how a task performs it on a mounted store.
 *
 * An operation names its file each time and leaves nothing open, except that with `keepOpen` every file is held from its
 * first operation on, until `closeAll`, so that one that is unlinked or replaced is deleted while open. The model is told before an operation begins
 * and after it has ended, each at a moment of the log's clock. An operation that the model finds impossible (no such file,
 * a range that reaches the end) is left out.
 *
 * One performer a task. It holds nothing between operations but references.
 */

import { fallocate } from '../file/allocate.js';
import { punchHole, zeroRange } from '../file/punch.js';
import { collapseRange, insertRange } from '../file/shift.js';
import { datasync, ErrorCursor, sync } from '../file/sync.js';
import { truncate } from '../file/truncate.js';
import { write } from '../file/write.js';
import { sizeOf } from '../inode/inode.js';
import type { Routine } from '../routine/effect.js';
import type { Task } from '../routine/task.js';
import { Access } from '../store/arguments.js';
import type { Session } from '../store/session.js';
import { syncStore } from '../store/sync-all.js';
import { MAX_FILE_PAGES, pageAtOrAfter, type Slot } from '../units.js';
import type { CrashModel } from './crash-model.js';
import { stamp } from './crash-stamp.js';
import type { DeviceLog } from './recording-device.js';

export const OPERATION_KINDS = [
  'create',
  'write',
  'append',
  'truncate',
  'punch',
  'zero',
  'fallocate',
  'collapse',
  'insert',
  'rename',
  'unlink',
  'sync',
  'datasync',
  'syncAll',
  // What the store's background thread does on its own: it promises nothing to anybody.
  'writeback',
  'commit',
  // What no recovered store may show: bytes for a file that is unlinked and open, and the end of such files.
  'writeUnlinked',
  'closeAll',
] as const;

export type OperationKind = (typeof OPERATION_KINDS)[number];

export interface CrashOperation {
  kind: OperationKind;
  /** The file; empty for what concerns the store. */
  name: string;
  /** New name of a rename. */
  to?: string;
  /** Of a range; the new size of a truncate. */
  position?: number;
  length?: number;
}

export function describeOperation({ kind, name, to, position, length }: CrashOperation): string {
  return [kind, name, to, position, length].filter((part) => part !== undefined && part !== '').join(' ');
}

/** The file of a stamp that no recovered store may show. */
const NOBODY = 0xfffe;

export class CrashPerformer {
  private readonly held = new Set<Slot>();
  /** Those among them that have lost their names. */
  private unlinked: Slot[] = [];

  constructor(
    private readonly session: Session,
    private readonly task: Task,
    private readonly model: CrashModel,
    private readonly log: DeviceLog,
    private readonly keepOpen: boolean,
  ) {}

  *perform(operation: CrashOperation): Routine<void> {
    if (!this.model.isPossible(operation)) return;
    const bytes = this.model.begin(operation, this.log.tick());
    yield* this.run(operation, bytes);
    this.model.end(this.log.tick());
  }

  private *run(operation: CrashOperation, bytes: Uint8Array): Routine<void> {
    const { session, task } = this;
    const { engine, namespace } = session;
    switch (operation.kind) {
      case 'syncAll':
        return yield* syncStore(task, engine);
      case 'commit':
        yield* engine.inodes.updateDirty(task);
        return yield* engine.journal.commit(task);
      case 'unlink':
        yield* this.holdUnlinked(operation.name);
        return yield* namespace.unlink(task, nameBytes(operation.name));
      case 'rename':
        yield* this.holdUnlinked(operation.to!);
        return yield* namespace.rename(task, nameBytes(operation.name), nameBytes(operation.to!));
      case 'writeUnlinked':
        return yield* this.writeUnlinked(operation);
      case 'closeAll':
        return yield* this.closeAll();
      default:
        return yield* this.runOnFile(operation, bytes);
    }
  }

  private *runOnFile(operation: CrashOperation, bytes: Uint8Array): Routine<void> {
    const { session, task } = this;
    const access = Access.Read | Access.Write | (operation.kind === 'create' ? Access.Create : 0);
    const slot = yield* session.namespace.open(task, nameBytes(operation.name), access);
    try {
      yield* this.change(operation, slot, bytes);
    } finally {
      yield* this.letGo(slot);
    }
  }

  private *letGo(slot: Slot): Routine<void> {
    if (this.keepOpen && !this.held.has(slot)) this.held.add(slot);
    else yield* this.session.engine.inodes.release(this.task, slot);
  }

  /** Holds the file that is about to lose this name, if there is one. */
  private *holdUnlinked(name: string): Routine<void> {
    if (!this.keepOpen || this.model.fileBefore(name) === undefined) return;
    const slot = yield* this.session.namespace.open(this.task, nameBytes(name), Access.Write);
    this.unlinked.push(slot);
    yield* this.letGo(slot);
  }

  /** Behind the end: until the loss of the name is durable, what is written over the file's blocks may show in it. */
  private *writeUnlinked({ length = 0 }: CrashOperation): Routine<void> {
    const { task } = this;
    const { engine } = this.session;
    const slot = this.unlinked.at(-1);
    if (slot === undefined) return;
    const position = pageAtOrAfter(sizeOf(engine.arena, slot), engine.blockBytes) * engine.blockBytes;
    const bytes = new Uint8Array(length);
    stamp(bytes, NOBODY, position, 0);
    yield* write(task, engine, slot, bytes, 0, length, position);
  }

  private *closeAll(): Routine<void> {
    this.unlinked = [];
    for (const slot of this.held) {
      this.held.delete(slot);
      yield* this.session.engine.inodes.release(this.task, slot);
    }
  }

  private *change(operation: CrashOperation, slot: Slot, bytes: Uint8Array): Routine<void> {
    const { task } = this;
    const { engine } = this.session;
    const { position = 0, length = 0 } = operation;
    switch (operation.kind) {
      case 'create':
        return;
      case 'write':
      case 'append': {
        const at = operation.kind === 'append' ? this.model.sizeBefore : position;
        const n = yield* write(task, engine, slot, bytes, 0, bytes.length, at);
        if (n !== bytes.length) throw new Error(`wrote ${n} of ${bytes.length} bytes`);
        return;
      }
      case 'truncate':
        return yield* truncate(task, engine, slot, position);
      case 'punch':
        return yield* punchHole(task, engine, slot, position, length);
      case 'zero':
        return yield* zeroRange(task, engine, slot, position, length, false);
      case 'fallocate':
        return yield* fallocate(task, engine, slot, position, length, false);
      case 'collapse':
        return yield* collapseRange(task, engine, slot, position, length);
      case 'insert':
        return yield* insertRange(task, engine, slot, position, length);
      case 'sync':
        return yield* sync(task, engine, slot, new ErrorCursor(engine.arena, slot));
      case 'datasync':
        return yield* datasync(task, engine, slot, new ErrorCursor(engine.arena, slot));
      case 'writeback': {
        const error = yield* engine.cache.writeRange(task, slot, 0, MAX_FILE_PAGES, { wait: true });
        if (error !== null) throw error;
        return;
      }
    }
  }
}

function nameBytes(name: string): Uint8Array {
  return Buffer.from(name);
}
