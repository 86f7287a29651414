/**
 * The look at a world after a schedule: what is left behind, what the files hold, whether the image is whole.
 *
 * Runs the engine too, as one more thread, to its end: reads every file as users would, through the cache; makes everything
 * durable; reads it again from the device, and looks behind its end; closes the journal; and has the checker go over the image. A wait in it means that
 * somebody left something held.
 */

import { pinFilled } from '../file/edge.js';
import type { Engine } from '../file/engine.js';
import { read } from '../file/read.js';
import { sizeOf } from '../inode/inode.js';
import { reached } from '../journal/transaction-number.js';
import { describeState, PageFlag, PIN_ONE } from '../pagecache/page.js';
import { EffectKind, IoKind, type Routine } from '../routine/effect.js';
import type { Driver } from '../routine/task.js';
import { checkDevice } from '../store/check.js';
import { recoverStore } from '../store/recover-store.js';
import { syncStore } from '../store/sync-all.js';
import { Header, Journal, Page, StoreState } from '../sync/layout.js';
import { describeHeld, holdsAnything } from '../sync/threads.js';
import { MAX_FILE_PAGES } from '../units.js';
import { type LogicalThread, ThreadState } from './logical-thread.js';
import type { Observer } from './observer.js';
import { PAGE_BYTES } from './stamp.js';
import { ScheduleFailed } from './verdict.js';
import type { Actor, World, WorldFile } from './world.js';

/** After everything. */
const NOW = Number.MAX_SAFE_INTEGER;
const READS_FROM_CACHE = 'a read afterwards';
const READS_FROM_DEVICE = 'a read from the device afterwards';

export function audit(world: World, observer: Observer, driver: Driver, threads: readonly LogicalThread[]): void {
  for (const thread of threads) if (thread.state !== ThreadState.Dead) checkLeftovers(world, thread);
  if (world.arena.state === StoreState.Fenced) {
    checkRepair(world);
    return;
  }
  const auditor = world.actor(world.scenario.threads.length, driver);
  if (world.scenario.logFree !== undefined) checkCrash(world, auditor.engine);
  const hasDead = threads.some(({ state }) => state === ThreadState.Dead);
  for (const file of world.files) readAll(world, observer, auditor, file, READS_FROM_CACHE);
  if (world.device.hasFailed) {
    if (!hasDead) checkClaims(world);
    return;
  }
  world.device.heal();
  const { task, engine } = auditor;
  runAlone(world, auditor, syncStore(task, engine));
  for (const file of world.files) {
    engine.cache.evictRange(task, file.slot, 0, MAX_FILE_PAGES);
    readAll(world, observer, auditor, file, READS_FROM_DEVICE);
    checkTail(world, auditor, file);
  }
  // Who dies while it waits for a page takes its pin along.
  if (!hasDead) checkPages(world);
  checkCounters(world, engine, hasDead);
  runAlone(world, auditor, engine.journal.close(task));
  const { clean, errors } = checkDevice(world.device);
  if (!clean) throw new ScheduleFailed('check', errors.map(({ message }) => message).join('; '));
}

/** What a crash would leave now: a sound store, with every transaction that was called durable. */
function checkCrash({ device, arena }: World, { journal }: Engine): void {
  const { clean, errors } = checkDevice(device);
  if (!clean)
    throw new ScheduleFailed(
      'check',
      `after a crash, had there been one: ${errors.map(({ message }) => message).join('; ')}`,
    );
  const dirtied = arena.words[arena.layout.journal + Journal.Dirtied];
  if (!reached(journal.durable, dirtied)) return;
  const { transaction } = recoverStore(device, 0, true).superblock;
  if (!reached(transaction | 0, dirtied))
    throw new ScheduleFailed('lost', `a crash would give back transaction ${transaction}, and ${dirtied} was durable`);
}

function checkLeftovers({ arena }: World, { name, actor }: LogicalThread): void {
  const { thread } = actor.task;
  if (arena.state === StoreState.Fenced || !holdsAnything(arena, thread)) return;
  throw new ScheduleFailed('left-held', `${name} has ended and holds ${describeHeld(arena, thread)}`);
}

function readAll(world: World, observer: Observer, auditor: Actor, file: WorldFile, by: string): void {
  const { task, engine, hot } = auditor;
  const size = sizeOf(world.arena, file.slot);
  const bytes = new Uint8Array(size);
  let done = 0;
  if (size > 0) {
    done = Math.max(0, hot.readHit(task, file.slot, bytes, 0, size, 0));
    done += runAlone(world, auditor, read(task, engine, file.slot, null, bytes, done, size - done, done));
  }
  observer.saw(file, bytes.subarray(0, done), 0, NOW, NOW, NOW, by);
}

/** Behind the end of a file its last block holds zeros: a file that grows later shows them. */
function checkTail(world: World, auditor: Actor, { slot, name }: WorldFile): void {
  const { task, engine } = auditor;
  const size = sizeOf(world.arena, slot);
  if (size % PAGE_BYTES === 0) return;
  const frame = runAlone(world, auditor, pinFilled(task, engine, slot, Math.floor(size / PAGE_BYTES)));
  const isClean = engine.frames
    .bytes(frame)
    .subarray(size % PAGE_BYTES)
    .every((byte) => byte === 0);
  engine.cache.unpin(frame);
  if (!isClean) throw new ScheduleFailed('check', `${name} has bytes other than zero behind its end on the device`);
}

/** Pages that somebody still has pinned, locked or under writeback. */
function checkPages({ arena, files }: World): void {
  const { words, layout } = arena;
  for (let frame = 1; frame <= layout.frames; frame++) {
    const at = layout.pageRecords + frame * Page.Words;
    const file = files.find(({ slot }) => words[at + Page.Mapping] === slot + 1);
    const state = words[at + Page.State];
    if (file === undefined || (state < PIN_ONE && (state & (PageFlag.Locked | PageFlag.Writeback)) === 0)) continue;
    throw new ScheduleFailed(
      'left-held',
      `page ${words[at + Page.Index]} of ${file.name} is left: ${describeState(state)}`,
    );
  }
}

/** Claims end with the write that they were made for, whether it succeeds or not. */
function checkClaims({ arena }: World): void {
  const claims = arena.words[Header.ExclusionClaims];
  if (claims !== 0) throw new ScheduleFailed('check', `${claims} runs of blocks are claimed after a write has failed`);
}

/** Promises that nobody will keep, and pins that nobody gives back. */
function checkCounters({ arena }: World, engine: Engine, hasDead: boolean): void {
  const { words } = arena;
  if (words[Header.Pins] !== 0) throw new ScheduleFailed('left-held', `${words[Header.Pins]} pins are left`);
  // What a dead thread had promised itself is known to nobody.
  if (hasDead) return;
  for (const [name, word] of [
    ['blocks are reserved', Header.BlocksReserved],
    ['pages are dirty', Header.PagesDirty],
    ['blocks are claimed', Header.ExclusionClaims],
  ] as const) {
    if (words[word] !== 0) throw new ScheduleFailed('check', `${words[word]} ${name} after everything was written`);
  }
  void engine;
}

/** A store that a death has fenced is left as it is: what is on the device must be fit to be repaired. */
function checkRepair({ device }: World): void {
  device.heal();
  const { clean, errors } = checkDevice(device, { repair: true, now: 0 });
  if (!clean)
    throw new ScheduleFailed('check', `not to be repaired: ${errors.map(({ message }) => message).join('; ')}`);
}

/** Runs a routine with nobody else there. */
function runAlone<T>(world: World, { task }: Actor, routine: Routine<T>): T {
  let answer = 0;
  let error: unknown;
  for (;;) {
    const next = error === undefined ? routine.next(answer) : routine.throw(error);
    if (next.done === true) return next.value;
    const { kind, io, device, buffers, positionBytes, lengthBytes, word, expected } = next.value;
    answer = 0;
    error = undefined;
    if (kind === EffectKind.Wait && world.arena.words[word] === expected) {
      throw new ScheduleFailed(
        'left-held',
        `whoever comes afterwards waits for ever: holding ${describeHeld(world.arena, task.thread)}`,
      );
    }
    if (kind !== EffectKind.Io) continue;
    try {
      if (io === IoKind.Read) answer = device!.read(buffers, positionBytes);
      else if (io === IoKind.Write) answer = device!.write(buffers, positionBytes);
      else if (io === IoKind.Flush) device!.flush();
      else device!.discard(positionBytes, lengthBytes);
    } catch (failure) {
      error = failure;
    }
  }
}
