/**
 * Threads that share a small page cache (test/support/worker.mjs): every word of a page says which page it is and of which
 * generation, and every reader checks that.
 *
 * The extents of the test's files are a shared table: per page a block (0 for a hole) and a generation, which each punch
 * raises. Blocks come from a stack, so that one just freed is the next one used: the worst for anything stale.
 */
import { Frames } from '../../dist/src/pagecache/frames.js';
import { PageFlag } from '../../dist/src/pagecache/page.js';
import { PageCache } from '../../dist/src/pagecache/page-cache.js';
import { GlobalLock, Inode } from '../../dist/src/sync/layout.js';
import { lockLeaf, unlockLeaf } from '../../dist/src/sync/leaf.js';
import { acquireExclusive, acquireShared, releaseExclusive, releaseShared } from '../../dist/src/sync/rwsem.js';

export const BLOCK_BYTES = 4096;
export const FILES = 4;
export const FILE_PAGES = 64;
export const BLOCKS = FILES * FILE_PAGES + 8;
/** Words of the table: blocks in use per page, generations, what was written last, the stack of free blocks. */
export const TABLE = { blocks: 0, generations: 256, written: 512, reserved: 768, free: 770, words: 1200 };
const WORDS = BLOCK_BYTES / 4;
/** Words of a page that a reader looks at. */
const PROBES = [0, 1, 2, 3, 500, 501, 502, 503, WORDS - 4, WORDS - 3, WORDS - 2, WORDS - 1];

/** A device in shared memory, so that all threads have the same. */
export class SharedDevice {
  constructor(buffer) {
    this.bytes = new Uint8Array(buffer);
    this.sizeBytes = buffer.byteLength;
    this.readOnly = false;
    this.io = 'direct';
    this.canDiscard = false;
  }
  read(buffers, position) {
    let at = position;
    for (const buffer of buffers) {
      buffer.set(this.bytes.subarray(at, at + buffer.length));
      at += buffer.length;
    }
    return at - position;
  }
  write(buffers, position) {
    let at = position;
    for (const buffer of buffers) {
      this.bytes.set(buffer, at);
      at += buffer.length;
    }
    return at - position;
  }
  flush() {}
  discard() {}
}

const key = (mapping, index) => (mapping - 1) * FILE_PAGES + index;

/** Extents as a table in shared memory. */
export class TableMapping {
  constructor(table, arena) {
    this.verifies = false;
    this.movesOnWrite = false;
    this.table = table;
    this.lock = arena.layout.locks + GlobalLock.Exclusions;
  }
  /** Runs of pages whose blocks follow each other. */
  *map(_task, mapping, index, max, run) {
    const { table } = this;
    const at = key(mapping, index);
    const block = Atomics.load(table, TABLE.blocks + at);
    run.block = block;
    run.kind = block === 0 ? 0 : 1;
    run.length = 1;
    while (run.length < max) {
      const next = Atomics.load(table, TABLE.blocks + at + run.length);
      if (next !== (block === 0 ? 0 : block + run.length)) break;
      run.length++;
    }
  }
  *mapWrite(task, _mapping, _index, _max, run) {
    const { table } = this;
    lockLeaf(task, this.lock);
    const top = --table[TABLE.free];
    run.block = table[TABLE.free + 1 + top];
    unlockLeaf(task, this.lock);
    run.kind = 0;
    run.length = 1;
  }
  *completeWrite(task, mapping, index, run, failed) {
    if (failed) throw new Error('no write fails here');
    if (run.reserved !== 1) throw new Error(`page ${mapping}:${index} was written without a reservation`);
    Atomics.sub(this.table, TABLE.reserved, 1);
    const old = Atomics.exchange(this.table, TABLE.blocks + key(mapping, index), run.block);
    if (old !== 0) throw new Error(`page ${mapping}:${index} has two blocks`);
    yield task.pause(0);
  }
  unreserve(_task, _mapping, pages) {
    Atomics.sub(this.table, TABLE.reserved, pages);
  }
  *verify() {}

  checksum() {
    return 0;
  }
  /** Under the file's locks, exclusive. */
  punch(task, mapping, first, end) {
    const { table } = this;
    for (let index = first; index < end; index++) {
      const block = Atomics.exchange(table, TABLE.blocks + key(mapping, index), 0);
      Atomics.store(table, TABLE.written + key(mapping, index), 0);
      Atomics.add(table, TABLE.generations + key(mapping, index), 1);
      if (block === 0) continue;
      lockLeaf(task, this.lock);
      table[TABLE.free + 1 + table[TABLE.free]++] = block;
      unlockLeaf(task, this.lock);
    }
  }
}

/** What one thread works with. */
class World {
  constructor(task, arena, data) {
    this.task = task;
    this.arena = arena;
    this.table = new Int32Array(data.table);
    this.frames = new Frames(data.buffers, BLOCK_BYTES, arena.layout.frames);
    this.cache = new PageCache(arena, this.frames, new SharedDevice(data.device), {
      dirtyRatio: 0.4,
      dirtyExpireMs: 50,
    });
    this.mapping = new TableMapping(this.table, arena);
    this.cache.operations = { files: this.mapping, metadata: this.mapping };
    task.driver.unpin = (frame) => this.cache.unpin(frame);
    this.faults = [];
    this.state = data.seed * 2654435761;
    this.counts = { hits: 0, misses: 0, writes: 0, punches: 0, pinned: 0, detached: 0 };
  }
  random(below) {
    this.state = (Math.imul(this.state ^ (this.state >>> 15), 0x2c1b3c6d) + 0x9e3779b9) | 0;
    return ((this.state ^ (this.state >>> 13)) >>> 0) % below;
  }
  lockAt(mapping, lock) {
    return this.arena.layout.inodeRecords + mapping * Inode.Words + lock;
  }
  wordsOf(frame) {
    return new Uint32Array(this.frames.segment(frame).buffer, this.frames.offset(frame), WORDS);
  }
  /** A page is all zeros or says (mapping, index, generation, count) over and over; a writer may be at it meanwhile. */
  check(frame, mapping, index, oldest, what) {
    const words = this.wordsOf(frame);
    for (const at of PROBES) {
      const value = words[at];
      if (value === 0) continue;
      const part = at & 3;
      const wrong =
        part === 0 ? value !== mapping : part === 1 ? value !== index + 1 : part === 2 ? value < oldest + 1 : false;
      if (!wrong) continue;
      this.faults.push(
        `${what} of ${mapping}:${index} (generation ${oldest}) found ${words.slice(at & ~3, (at & ~3) + 4)}`,
      );
      return;
    }
  }
}

/** Looks for many pages without a lock, and fills the last that was not there. */
function* read(world) {
  let missed = -1;
  for (let i = 0; i < 60; i++) {
    const at = world.random(FILES * FILE_PAGES);
    if (!hit(world, 1 + Math.floor(at / FILE_PAGES), at % FILE_PAGES)) missed = at;
  }
  if (missed >= 0) yield* miss(world, 1 + Math.floor(missed / FILE_PAGES), missed % FILE_PAGES);
}

function hit(world, mapping, index) {
  const { cache, task, table } = world;
  const oldest = Atomics.load(table, TABLE.generations + key(mapping, index));
  const frame = cache.findHit(task.record, mapping, index);
  if (frame !== 0) {
    const state = cache.stateOf(frame);
    if ((state & PageFlag.Uptodate) !== 0) {
      cache.touch(frame, state);
      world.check(frame, mapping, index, oldest, 'hit');
      world.counts.hits++;
      cache.unpinHit(task.record, frame);
      return true;
    }
    cache.unpinHit(task.record, frame);
  }
  return false;
}

function* miss(world, mapping, index) {
  const { cache, task } = world;
  world.counts.misses++;
  const fillLock = world.lockAt(mapping, Inode.InvalidateLock);
  const pages = Math.min(FILE_PAGES - index, 1 + world.random(4));
  yield* acquireShared(task, fillLock);
  let busy;
  try {
    busy = yield* cache.fill(task, mapping, index, pages, { required: 1 });
  } finally {
    releaseShared(task, fillLock);
  }
  if (busy === 0) return;
  yield* cache.waitUnlocked(task, busy);
  cache.unpin(busy);
}

/** Keeps a page pinned for a while: it may be punched meanwhile, and must stay what it was. */
function* pin(world) {
  const { cache, task } = world;
  const mapping = 1 + world.random(FILES);
  const index = world.random(FILE_PAGES);
  const frame = cache.find(mapping, index);
  if (frame === 0) return;
  if (cache.isUptodate(frame)) {
    world.counts.pinned++;
    world.check(frame, mapping, index, 0, 'pin');
    yield task.pause(world.random(3));
    world.check(frame, mapping, index, 0, 'long pin');
    // Detaching clears the mapping, whenever it comes; nothing else about a pinned page may change.
    const tag = cache.mappingOf(frame);
    if (tag === 0) world.counts.detached++;
    if ((tag !== 0 && tag !== mapping + 1) || cache.indexOf(frame) !== index) {
      world.faults.push('a pinned page changed its identity');
    }
  }
  cache.unpin(frame);
}

function* write(world) {
  const { cache, task, table } = world;
  const mapping = 1 + world.random(FILES);
  const index = world.random(FILE_PAGES);
  yield* cache.balanceDirty(task);
  const lock = world.lockAt(mapping, Inode.IRwsem);
  yield* acquireExclusive(task, lock);
  try {
    const frame = yield* cache.findOrCreate(task, mapping, index);
    if (!cache.created) yield* cache.lockPage(task, frame);
    try {
      if (!cache.isUptodate(frame)) yield* cache.fillLocked(task, mapping, frame, index);
      world.check(frame, mapping, index, table[TABLE.generations + key(mapping, index)], 'write');
      const count = (Atomics.load(table, TABLE.written + key(mapping, index)) + 1) & 0xffff;
      Atomics.store(table, TABLE.written + key(mapping, index), count);
      const stamp = [mapping, index + 1, 1 + table[TABLE.generations + key(mapping, index)], count];
      world.wordsOf(frame).set(Uint32Array.from({ length: WORDS }, (_, i) => stamp[i & 3]));
      if (!cache.isReserved(frame) && cache.blockOf(frame) === 0) {
        Atomics.add(table, TABLE.reserved, 1);
        cache.setReserved(frame);
      }
      cache.markDirty(task, mapping, frame);
      world.counts.writes++;
    } finally {
      cache.unlockPage(task, frame);
      cache.unpin(frame);
    }
  } finally {
    releaseExclusive(task, lock);
  }
}

function* punch(world) {
  const { cache, task, mapping: extents } = world;
  const mapping = 1 + world.random(FILES);
  const whole = world.random(8) === 0;
  const first = whole ? 0 : world.random(FILE_PAGES);
  const end = whole ? FILE_PAGES : Math.min(FILE_PAGES, first + 1 + world.random(8));
  const outer = world.lockAt(mapping, Inode.IRwsem);
  const inner = world.lockAt(mapping, Inode.InvalidateLock);
  yield* acquireExclusive(task, outer);
  try {
    yield* acquireExclusive(task, inner);
    try {
      yield* cache.drop(task, mapping, first, whole ? 0xffff_ffff : end);
      if (whole && cache.pagesOf(mapping) !== 0) world.faults.push('a dropped mapping has pages');
      extents.punch(task, mapping, first, end);
      world.counts.punches++;
    } finally {
      releaseExclusive(task, inner);
    }
  } finally {
    releaseExclusive(task, outer);
  }
}

/** Does everything at random until the time is over; answers what went wrong and how much was done. */
export function* everything(task, arena, data) {
  const world = new World(task, arena, data);
  const { cache } = world;
  const end = performance.now() + data.durationMs;
  while (performance.now() < end && world.faults.length === 0) {
    for (let i = 0; i < 32; i++) {
      const dice = world.random(100);
      if (dice < 60) yield* read(world);
      else if (dice < 80) yield* write(world);
      else if (dice < 88) yield* pin(world);
      else if (dice < 94) yield* punch(world);
      else if (dice < 97) yield* cache.writeSome(task, 8);
      else yield* cache.writeRange(task, 1 + world.random(FILES), 0, FILE_PAGES, { wait: dice === 99 });
    }
  }
  if (task.words[task.record + 0] !== 2) world.faults.push('the thread record changed hands');
  task.lockdep?.assertNothingHeld();
  return { faults: world.faults, counts: world.counts };
}

/** Locks a page and stays. */
export function* holdPage(task, arena, data) {
  const { cache } = new World(task, arena, data);
  const frame = yield* cache.findOrCreate(task, 1, 0);
  Atomics.store(arena.words, data.arrived, frame);
  Atomics.notify(arena.words, data.arrived);
  for (;;) yield task.pause(60_000);
}

/** Pins a page as a hit path does, and stays. */
export function* holdHit(task, arena, data) {
  const { cache } = new World(task, arena, data);
  const frame = cache.findHit(task.record, 1, 0);
  Atomics.store(arena.words, data.arrived, frame);
  Atomics.notify(arena.words, data.arrived);
  for (;;) yield task.pause(60_000);
}
