/** Where a file has data and where holes. */
import { unreachable } from '../assert.js';
import type { Routine } from '../routine/effect.js';
import type { Task } from '../routine/task.js';
import type { Slot } from '../units.js';
import type { Engine } from './engine.js';

/** SEEK_DATA: the first byte of data at or after the position. Throws ENXIO when there is none, or past the end. */
export function* nextData(_task: Task, _engine: Engine, _slot: Slot, _positionBytes: number): Routine<number> {
  return unreachable('not written');
}

/** SEEK_HOLE: the first byte of a hole at or after the position; the end of the file counts. Throws ENXIO past the end. */
export function* nextHole(_task: Task, _engine: Engine, _slot: Slot, _positionBytes: number): Routine<number> {
  return unreachable('not written');
}

export interface FileExtent {
  position: number;
  devicePosition: number;
  length: number;
  unwritten: boolean;
}

/** The file's extents in order of position, after everything dirty has been given blocks. In bytes. */
export function* extentsOf(_task: Task, _engine: Engine, _slot: Slot): Routine<FileExtent[]> {
  return unreachable('not written');
}
