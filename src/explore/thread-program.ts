/**
 * Runs one thread's operations of a scenario: the engine's own routines, with the observer told when each begins and ends
 * and what it has seen.
 *
 * A thread yields once between two operations, so that the end of one and the beginning of the next are two steps. Errors
 * that a race may bring honestly (a page that is no longer inside the file) end the operation; all others fail the schedule.
 */
import { StoreError } from '../errors.js';
import { advise, readAhead } from '../file/advise.js';
import { fallocate } from '../file/allocate.js';
import { pin, releasePin } from '../file/pin.js';
import { punchHole, zeroRange } from '../file/punch.js';
import { read } from '../file/read.js';
import { collapseRange, insertRange } from '../file/shift.js';
import { sync } from '../file/sync.js';
import { truncate } from '../file/truncate.js';
import { write } from '../file/write.js';
import { slotAt } from '../inode/inode.js';
import { ReadaheadState } from '../pagecache/readahead.js';
import type { Routine } from '../routine/effect.js';
import { Page } from '../sync/layout.js';
import { MAX_FILE_PAGES } from '../units.js';
import type { Observer } from './observer.js';
import type { Change, ChangeKind } from './oracle.js';
import type { ScenarioOperation, ScenarioThread } from './scenario.js';
import { PAGE_BYTES, stampBytes, WORDS_PER_PAGE } from './stamp.js';
import { type Actor, cursorOf, type World, type WorldFile } from './world.js';

/** What an operation may be told where another thread was faster. */
const HONEST = new Set(['ENXIO', 'EINVAL']);
/** What an operation is told once a thread has died holding something. */
const FENCED = new Set(['EOWNERDEAD', 'ENOTRECOVERABLE']);

export interface Clock {
  /** Steps so far. */
  readonly step: number;
}

type Of<K extends ScenarioOperation['kind']> = Extract<ScenarioOperation, { kind: K }>;

export class ThreadProgram {
  /** The inode of the file at hand. */
  inode = 0;
  /** A fault of the device that the scenario asks for may come up as EIO. */
  private readonly mayFail: boolean;

  constructor(
    private readonly world: World,
    private readonly observer: Observer,
    private readonly clock: Clock,
    private readonly actor: Actor,
    private readonly thread: ScenarioThread,
  ) {
    this.mayFail = (world.scenario.faults ?? []).length > 0;
  }

  *run(): Routine<void> {
    const { task } = this.actor;
    for (const operation of this.thread.operations) {
      this.inode = slotAt(this.world.arena, this.world.fileNamed(operation.file).slot);
      yield task.pause(0);
      try {
        yield* this.perform(operation);
      } catch (error) {
        if (!(error instanceof StoreError)) throw error;
        if (FENCED.has(error.code)) return;
        if (!HONEST.has(error.code) && !(this.mayFail && error.code === 'EIO')) throw error;
      }
    }
  }

  private perform(operation: ScenarioOperation): Routine<void> {
    const file = this.world.fileNamed(operation.file);
    switch (operation.kind) {
      case 'read':
        return this.read(operation, file);
      case 'readahead':
      case 'willneed':
      case 'dontneed':
        return this.fillAhead(operation, file);
      case 'fault':
        return this.fault(operation, file);
      case 'mkwrite':
        return this.mkwrite(operation, file);
      case 'write':
        return this.write(operation, file);
      case 'writeback':
      case 'sync':
      case 'commit':
      case 'checkpoint':
        return this.sync(operation, file);
      default:
        return this.invalidate(operation, file);
    }
  }

  private *read({ at, length, faulting }: Of<'read'>, file: WorldFile): Routine<void> {
    const { actor, clock } = this;
    const { task, engine, hot } = actor;
    const start = clock.step;
    const bytes = new Uint8Array(length * PAGE_BYTES);
    if (faulting !== undefined) engine.faultIn = () => this.faultIn(faulting);
    let n = faulting === undefined ? hot.readHit(task, file.slot, bytes, 0, bytes.length, at * PAGE_BYTES) : -1;
    const done = Math.max(n, 0);
    try {
      if (n < bytes.length && !(n >= 0 && hot.readsWhole)) {
        const position = at * PAGE_BYTES + done;
        n = done + (yield* read(task, engine, file.slot, null, bytes, done, bytes.length - done, position));
      }
    } finally {
      engine.faultIn = null;
    }
    this.observer.saw(file, bytes.subarray(0, n), wordOf(at), bytes.length, start, clock.step, this.name('read'));
  }

  private *fillAhead(operation: Of<'readahead' | 'willneed' | 'dontneed'>, { slot }: WorldFile): Routine<void> {
    const { task, engine } = this.actor;
    const { kind, at, length } = operation;
    if (kind === 'readahead') {
      yield* readAhead(task, engine, slot, at, length, at + length);
      return;
    }
    const state = new ReadaheadState(new Int32Array(8), 0, 64);
    yield* advise(task, engine, slot, state, kind, at * PAGE_BYTES, length * PAGE_BYTES);
  }

  private *fault({ at }: Of<'fault'>, file: WorldFile): Routine<void> {
    const { task, engine } = this.actor;
    const start = this.clock.step;
    const by = this.name('fault');
    const page = Math.floor(at);
    const pinned = yield* pin(task, engine, file.slot, page * PAGE_BYTES, false);
    this.sawPage(file, pinned.bytes, page, start, by);
    yield task.pause(0);
    this.touchFrame(pinned.frame);
    this.observer.held(file, pinned.bytes, page, by);
    yield* releasePin(task, engine, pinned);
  }

  private *mkwrite({ at, length }: Of<'mkwrite'>, file: WorldFile): Routine<void> {
    const { task, engine } = this.actor;
    const start = this.clock.step;
    const page = Math.floor(at);
    const from = wordOf(at);
    const to = from + wordOf(length);
    const by = this.name('mkwrite');
    const pinned = yield* pin(task, engine, file.slot, page * PAGE_BYTES, true);
    this.sawPage(file, pinned.bytes, page, start, by);
    const change = this.begin(file, 'store', from, to, 'mkwrite');
    yield task.pause(0);
    this.touchFrame(pinned.frame);
    const bytes = stampBytes(file.number, from, to, change.generation);
    pinned.bytes.set(bytes, (from - page * WORDS_PER_PAGE) * 4);
    yield task.pause(0);
    this.touchFrame(pinned.frame);
    this.observer.held(file, pinned.bytes, page, by);
    yield* releasePin(task, engine, pinned);
    change.end = this.clock.step;
  }

  private *write({ at, length, faulting }: Of<'write'>, file: WorldFile): Routine<void> {
    const { task, engine, hot } = this.actor;
    const from = wordOf(at);
    const to = from + wordOf(length);
    const change = this.begin(file, 'write', from, to, 'write');
    const bytes = stampBytes(file.number, from, to, change.generation);
    if (faulting !== undefined) engine.faultIn = () => this.faultIn(faulting);
    let written = 0;
    try {
      written = faulting === undefined ? hot.writeHit(task, file.slot, bytes, 0, bytes.length, from * 4) : -1;
      if (written < 0) written = yield* write(task, engine, file.slot, bytes, 0, bytes.length, from * 4);
    } catch (error) {
      written = Math.max(written, 0);
      throw error;
    } finally {
      engine.faultIn = null;
      // Of a write that was cut short, the rest has not happened.
      change.to = from + Math.max(written, 0) / 4;
      change.end = this.clock.step;
    }
  }

  /** The user's bytes lie in a mapping of the store, which is faulted in with whatever the write holds. */
  private *faultIn({ file, at }: { file: string; at: number }): Routine<void> {
    const { task, engine } = this.actor;
    const pinned = yield* pin(task, engine, this.world.fileNamed(file).slot, at * PAGE_BYTES, false);
    yield* releasePin(task, engine, pinned);
  }

  private *sync({ kind }: Of<'writeback' | 'sync' | 'commit' | 'checkpoint'>, { slot }: WorldFile): Routine<void> {
    const { task, engine } = this.actor;
    if (kind === 'commit') yield* engine.journal.commit(task);
    else if (kind === 'checkpoint') yield* engine.journal.checkpoint(task);
    else if (kind === 'sync') yield* sync(task, engine, slot, cursorOf(this.world, slot));
    else yield* engine.cache.writeRange(task, slot, 0, MAX_FILE_PAGES, { wait: true });
  }

  private *invalidate(
    operation: Of<'punch' | 'zero' | 'truncate' | 'collapse' | 'insert' | 'allocate'>,
    file: WorldFile,
  ): Routine<void> {
    const { task, engine } = this.actor;
    const { slot } = file;
    const at = (operation.kind === 'truncate' ? operation.to : operation.at) * PAGE_BYTES;
    const length = (operation.kind === 'truncate' ? 0 : operation.length) * PAGE_BYTES;
    const from = at / 4;
    const to = from + length / 4;
    switch (operation.kind) {
      case 'punch':
        return yield* this.changing(file, 'zero', from, to, 'punch', punchHole(task, engine, slot, at, length));
      case 'zero':
        return yield* this.changing(file, 'zero', from, to, 'zero', zeroRange(task, engine, slot, at, length, true));
      case 'truncate':
        return yield* this.changing(file, 'resize', from, from, 'truncate', truncate(task, engine, slot, at));
      case 'collapse':
        return yield* this.changing(
          file,
          'collapse',
          from,
          to,
          'collapse',
          collapseRange(task, engine, slot, at, length),
        );
      case 'insert':
        return yield* this.changing(file, 'insert', from, to, 'insert', insertRange(task, engine, slot, at, length));
      case 'allocate':
        return yield* fallocate(task, engine, slot, at, length, true);
    }
  }

  /** An operation that was refused has changed nothing. */
  private *changing(
    file: WorldFile,
    kind: ChangeKind,
    from: number,
    to: number,
    name: string,
    routine: Routine<void>,
  ): Routine<void> {
    const change = this.begin(file, kind, from, to, name);
    try {
      yield* routine;
    } catch (error) {
      if (error instanceof StoreError && HONEST.has(error.code)) this.observer.withdraw(file, change);
      throw error;
    }
    change.end = this.clock.step;
  }

  private begin(file: WorldFile, kind: ChangeKind, from: number, to: number, name: string): Change {
    return this.observer.begin(file, kind, from, to, this.clock.step, this.name(name));
  }

  /** Of a pinned page, the part inside the file. */
  private sawPage(file: WorldFile, bytes: Uint8Array, page: number, start: number, by: string): void {
    const { observer, clock } = this;
    const inside = (observer.largest(file, start) - page * WORDS_PER_PAGE) * 4;
    const seen = bytes.subarray(0, Math.max(0, Math.min(PAGE_BYTES, inside)));
    observer.saw(file, seen, page * WORDS_PER_PAGE, seen.length, start, clock.step, by, true);
  }

  private touchFrame(frame: number): void {
    this.world.footprint.write(this.world.arena.layout.pageRecords + frame * Page.Words + Page.State);
  }

  private name(operation: string): string {
    return `${this.thread.name}'s ${operation}`;
  }
}

function wordOf(pages: number): number {
  return Math.round(pages * WORDS_PER_PAGE);
}
