/**
 * Where a file has data and where holes, what a range consists of, and where the file's extents lie.
 *
 * Any thread may call, holding nothing. Takes: ExtentMap shared; `extentsOf` writes back first, and takes what that takes.
 *
 * Data are the written extents, and dirty pages: over a hole (delayed allocation) or over an unwritten extent, whether
 * writeback has begun or not. The dirty pages are looked at before the extents, since a page that becomes clean in
 * between has its extent by then.
 */
import { StoreError } from '../errors.js';
import { Extent } from '../inode/extent-map.js';
import { mapLockAt, sizeOf } from '../inode/inode.js';
import { PageKind } from '../pagecache/mapping.js';
import { BlockRun, RunKind } from '../pagecache/mapping-operations.js';
import type { Routine } from '../routine/effect.js';
import type { Task } from '../routine/task.js';
import { acquireShared, releaseShared } from '../sync/rwsem.js';
import { MAX_FILE_PAGES, pageAtOrAfter, pageOf, type Slot } from '../units.js';
import { writeBack } from './edge.js';
import type { Engine } from './engine.js';
import { lookupRun } from './extent-change.js';

/** SEEK_DATA: the first byte of data at or after the position. Throws ENXIO when there is none, or past the end. */
export function* nextData(task: Task, engine: Engine, slot: Slot, positionBytes: number): Routine<number> {
  const { blockBytes } = engine;
  const size = sizeOf(engine.arena, slot);
  if (positionBytes >= size) throw new StoreError('ENXIO', { syscall: 'nextData' });
  const first = pageOf(positionBytes, blockBytes);
  const end = pageAtOrAfter(size, blockBytes);
  const dirty = unsavedPages(task, engine, slot, first, end);
  const firstDirty = dirty.length === 0 ? end : dirty[0];
  const run = new BlockRun();
  for (let page: number = first; page < firstDirty; page += run.length) {
    yield* lookupRun(task, engine, slot, page, firstDirty - page, run);
    if (run.kind === RunKind.Written) return Math.max(positionBytes, page * blockBytes);
  }
  if (firstDirty >= end) throw new StoreError('ENXIO', { syscall: 'nextData' });
  return Math.max(positionBytes, firstDirty * blockBytes);
}

/** SEEK_HOLE: the first byte of a hole at or after the position; the end of the file counts. Throws ENXIO past the end. */
export function* nextHole(task: Task, engine: Engine, slot: Slot, positionBytes: number): Routine<number> {
  const { blockBytes } = engine;
  const size = sizeOf(engine.arena, slot);
  if (positionBytes >= size) throw new StoreError('ENXIO', { syscall: 'nextHole' });
  const first = pageOf(positionBytes, blockBytes);
  const end = pageAtOrAfter(size, blockBytes);
  const dirty = unsavedPages(task, engine, slot, first, end);
  let next = 0;
  const run = new BlockRun();
  for (let page: number = first; page < end; page += run.length) {
    yield* lookupRun(task, engine, slot, page, end - page, run);
    if (run.kind === RunKind.Written) continue;
    const runEnd = page + run.length;
    let hole = page;
    while (next < dirty.length && dirty[next] < hole) next++;
    for (; hole < runEnd && dirty[next] === hole; next++) hole++;
    if (hole < runEnd) return Math.max(positionBytes, hole * blockBytes);
  }
  return size;
}

export type SegmentKind = 'data' | 'unwritten' | 'hole';

/** A stretch of a file: written, allocated and not written (reads as zeros), or a hole (reads as zeros). In bytes. */
export interface FileSegment {
  position: number;
  length: number;
  kind: SegmentKind;
}

/**
 * What the range consists of, up to the end of the file, in at most `limit` segments; neighbours differ in kind. Nothing is
 * written back: dirty pages are data.
 */
export function* segmentsOf(
  task: Task,
  engine: Engine,
  slot: Slot,
  positionBytes: number,
  lengthBytes: number,
  limit: number,
): Routine<FileSegment[]> {
  const { blockBytes } = engine;
  const endBytes = Math.min(sizeOf(engine.arena, slot), positionBytes + lengthBytes);
  const list: FileSegment[] = [];
  if (positionBytes >= endBytes) return list;
  const end = pageAtOrAfter(endBytes, blockBytes);
  /** Adds the pages up to `to`; false when the list is full. */
  const add = (to: number, kind: SegmentKind): boolean => {
    const last = list[list.length - 1];
    const position = last === undefined ? positionBytes : last.position + last.length;
    const stop = Math.min(to * blockBytes, endBytes);
    if (stop <= position) return true;
    if (last?.kind === kind) last.length += stop - position;
    else if (list.length === limit) return false;
    else list.push({ position, length: stop - position, kind });
    return true;
  };
  const first = pageOf(positionBytes, blockBytes);
  const dirty = unsavedPages(task, engine, slot, first, end);
  let next = 0;
  const run = new BlockRun();
  for (let page: number = first; page < end; page += run.length) {
    yield* lookupRun(task, engine, slot, page, end - page, run);
    const runEnd = page + run.length;
    const kind = run.kind === RunKind.Written ? 'data' : run.kind === RunKind.Hole ? 'hole' : 'unwritten';
    while (next < dirty.length && dirty[next] < page) next++;
    while (kind !== 'data' && next < dirty.length && dirty[next] < runEnd) {
      const at = dirty[next];
      let after = at;
      for (; dirty[next] === after && after < runEnd; next++) after++;
      if (!add(at, kind) || !add(after, 'data')) return list;
    }
    if (!add(runEnd, kind)) return list;
  }
  return list;
}

/** Pages of [first, end) that are dirty or under writeback, ascending. */
function unsavedPages(task: Task, engine: Engine, slot: Slot, first: number, end: number): Uint32Array {
  return engine.cache.mappings.snapshot(task, slot, first, end, PageKind.Unsaved, Number.POSITIVE_INFINITY);
}

export interface FileExtent {
  position: number;
  devicePosition: number;
  length: number;
  unwritten: boolean;
}

/**
 * The file's extents in order of position, after everything dirty has been given blocks. In bytes. At most `limit` of them,
 * from the first that ends behind `positionBytes`; a writer in between two calls may be seen by the second alone.
 */
export function* extentsOf(
  task: Task,
  engine: Engine,
  slot: Slot,
  positionBytes = 0,
  limit = Number.POSITIVE_INFINITY,
): Routine<FileExtent[]> {
  const { blockBytes, extents } = engine;
  const first = Math.floor(positionBytes / blockBytes);
  yield* writeBack(task, engine, slot, first, MAX_FILE_PAGES);
  const list: FileExtent[] = [];
  const extent = new Extent();
  const mapLock = mapLockAt(engine.arena, slot);
  yield* acquireShared(task, mapLock);
  try {
    for (let page = first; list.length < limit; page = extent.page + extent.length) {
      if (!(yield* extents.next(task, slot, page, extent))) break;
      list.push({
        position: extent.page * blockBytes,
        devicePosition: extent.block * blockBytes,
        length: extent.length * blockBytes,
        unwritten: extent.unwritten,
      });
    }
  } finally {
    releaseShared(task, mapLock);
  }
  return list;
}
