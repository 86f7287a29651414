/**
 * What service threads do. Each is one long task of the store's Piscina pool (workers/service.ts) and blocks at will.
 *
 * Two roles. `requests`: serves the opening thread's requests, first come first served, and reads ahead and writes back
 * while there are none. `background`: readahead, dirty pages over the background limit or too old, the commit every
 * `commitIntervalMs`, checkpoints of a log that fills, and trimming; callers' requests cannot occupy it, so that a caller who waits
 * for frames or for the journal is never waiting for its own kind. Nobody who holds a lock waits for either (a holder
 * does at once, itself, what it needs done), so neither role can take part in a cycle.
 *
 * A service thread ends when Header.ServiceStop is set, after the request at hand.
 */
import { errorToData } from '../errors.js';
import { readAhead } from '../file/advise.js';
import { isFarBehind } from '../pagecache/dirty-limit.js';
import { Header, Request, StoreState } from '../sync/layout.js';
import { encodeJson, type Operation, Performer } from './operations.js';
import { ReadaheadWindow } from './readahead-queue.js';
import { Session, type StoreHandle } from './session.js';
import { SyncStore } from './sync-store.js';

export type ServiceRole = 'requests' | 'background';

export interface ServiceTask {
  handle: StoreHandle;
  role: ServiceRole;
}

const IDLE_MS = 1000;
/** Between two rounds of trimming. */
const TRIM_INTERVAL_MS = 5000;
/** Pages that a request thread writes back before it looks for requests again. */
const HELP_PAGES = 256;

/** The body of one service thread; returns when the store stops its service. */
export function serve({ handle, role }: ServiceTask): void {
  const session = new Session(handle, 'service');
  try {
    if (role === 'requests') serveRequests(session);
    else serveBackground(session);
  } finally {
    if (session.arena.state !== StoreState.Fenced) session.detach();
  }
}

function stopping(session: Session): boolean {
  return Atomics.load(session.arena.words, Header.ServiceStop) !== 0 || session.arena.state === StoreState.Fenced;
}

function serveRequests(session: Session): void {
  const { words } = session.arena;
  const performer = new Performer(new SyncStore(session));
  const window = new ReadaheadWindow();
  let next = 0;
  for (;;) {
    const seen = Atomics.load(words, Header.ServiceWork);
    const request = session.ring.claim(session.task.thread, next);
    if (request < 0) {
      if (stopping(session)) return;
      if (readOneWindow(session, window) || helpWritingBack(session)) continue;
      Atomics.wait(words, Header.ServiceWork, seen, IDLE_MS);
      continue;
    }
    next = request + 1;
    serveRequest(session, performer, request);
  }
}

function serveRequest(session: Session, performer: Performer, request: number): void {
  const { arena, ring } = session;
  const { words } = arena;
  const at = ring.at(request);
  const numbersAt = ring.numbersAt(request);
  const numbers = arena.doubles.subarray(numbersAt, numbersAt + 10);
  const area = ring.area(request);
  try {
    words[at + Request.Bytes] = performer.perform(
      words[at + Request.Operation] as Operation,
      numbers,
      area,
      words[at + Request.Bytes],
    );
  } catch (error) {
    const data = encodeJson(errorToData(error));
    area.set(data);
    words[at + Request.Bytes] = data.byteLength;
    words[at + Request.Failed] = 1;
  }
  ring.complete(request);
}

function serveBackground(session: Session): void {
  const { words } = session.arena;
  const window = new ReadaheadWindow();
  let committedAt = session.task.driver.now();
  let trimmedAt = committedAt;
  let trims = false;
  let seen = Atomics.load(words, Header.WritebackWork);
  while (!stopping(session)) {
    while (readOneWindow(session, window));
    const written = writeBackSome(session);
    const now = session.task.driver.now();
    if (now - committedAt >= session.handle.commitIntervalMs || session.engine.journal.isWanted) {
      committedAt = now;
      commitQuietly(session);
    }
    if (session.engine.journal.wantsCheckpoint) checkpointQuietly(session);
    if (now - trimmedAt >= TRIM_INTERVAL_MS) {
      trimmedAt = now;
      trims = true;
      session.engine.allocator.beginTrim();
    }
    trims = trims && trimQuietly(session);
    if (written === 0 && !trims) Atomics.wait(words, Header.WritebackWork, seen, IDLE_MS);
    seen = Atomics.load(words, Header.WritebackWork);
  }
}

function readOneWindow(session: Session, window: ReadaheadWindow): boolean {
  const { task, engine } = session;
  if (!session.readahead.take(task, window)) return false;
  const { slot, ino, generation, first, count, marker } = window;
  if (!engine.inodes.beginReadahead(task, slot, ino, generation)) return true;
  try {
    session.run('readahead', readAhead(task, engine, slot, first, count, marker));
  } finally {
    engine.inodes.endReadahead(task, slot);
  }
  return true;
}

/** Where writers outrun the background thread, a second write on its way keeps the device busy between two of its own. */
function helpWritingBack(session: Session): boolean {
  const { task, engine } = session;
  if (session.readOnly || !isFarBehind(engine.cache)) return false;
  try {
    return session.run('writeback', engine.cache.writeSome(task, HELP_PAGES)) > 0;
  } catch {
    return false;
  }
}

/** Errors stay with the pages' inode and reach the next sync of that file. */
function writeBackSome(session: Session): number {
  const { task, engine } = session;
  if (session.readOnly) return 0;
  try {
    return session.run('writeback', engine.cache.backgroundPass(task));
  } catch {
    return 0;
  }
}

function commitQuietly(session: Session): void {
  const { task, engine } = session;
  if (session.readOnly) return;
  try {
    session.run('commit', engine.inodes.updateDirty(task));
    session.run('commit', engine.journal.commit(task));
  } catch {
    // The journal has latched the error: the next sync of anybody throws it.
  }
}

/** Discards some of what was freed in small pieces. False: that is all for now. */
function trimQuietly(session: Session): boolean {
  const { task, engine } = session;
  if (session.readOnly || engine.journal.failed) return false;
  try {
    return session.run('trim', engine.allocator.trimSome(task));
  } catch {
    return false;
  }
}

function checkpointQuietly(session: Session): void {
  const { task, engine } = session;
  if (session.readOnly || engine.journal.failed) return;
  try {
    session.run('checkpoint', engine.journal.checkpoint(task));
  } catch {
    // As above.
  }
}
