/**
 * What one thread did to its files, step by step, and what was promised: the truth that a recovered store is held against.
 *
 * A history is a list of versions, one after each step. A step of metadata (a name, a size, an extent change) shows in all
 * of a recovered store or nowhere, and none shows without those before it: so a recovered store stands at one version. A
 * write is a step as well, but its bytes may be lost or there block by block, whatever the version, until a sync. Hence a
 * file is a row of *cells*, one a block that holds data; a cell goes where its block goes (collapse, insert) and keeps all
 * contents that it ever had. Which of them a recovered block may show, is for crash-judge.ts to say.
 *
 * Operations that are more than one step: zeroing and preallocating behind the end (the range, then the size), collapsing
 * (the hole, then the move).
 *
 * One thread. `begin` and `end` bracket each operation.
 */
import type { SeenFile } from './crash-judge.js';
import type { CrashOperation, OperationKind } from './crash-operation.js';
import { stamp } from './crash-stamp.js';
import { type BlockContents, ZEROS } from './power-cut-contents.js';

export interface CellValue {
  /** The step that wrote it. */
  version: number;
  content: number;
}

/** From `version` on, no value before `index` may show in a file that is longer than `sizeAbove`. */
export interface CellFloor {
  version: number;
  sizeAbove: number;
  index: number;
}

/** A block's worth of a file's bytes. Shared by all versions in which it exists. */
export interface Cell {
  values: CellValue[];
  floors: CellFloor[];
}

/** A file at a version. Never changed once the version is made. */
export interface FileState {
  /** What its stamps say. */
  id: number;
  size: number;
  /** The size if no write since has reached the device, and those that writes have given it since. */
  sizes: number[];
  /** A hole where undefined. */
  cells: (Cell | undefined)[];
}

export interface Version {
  names: Map<string, FileState>;
  operation: CrashOperation | null;
  /** Whether it shows only together with everything before it. */
  isMetadata: boolean;
  /** Whether its end promises that everything up to it is durable. */
  isPromise: boolean;
  /** Moments of its operation. */
  begin: number;
  end: number;
}

/** An operation and its moments, as data for another thread. */
export interface RecordedOperation {
  operation: CrashOperation;
  begin: number;
  /** Infinity when it never ended. */
  end: number;
}

const PROMISES: readonly OperationKind[] = ['sync', 'datasync', 'syncAll', 'commit'];
const DATA: readonly OperationKind[] = ['write', 'append', 'writeback', 'writeUnlinked', 'closeAll', ...PROMISES];
/** They concern no file by its name. */
const NAMELESS: readonly OperationKind[] = ['syncAll', 'commit', 'writeUnlinked', 'closeAll'];
/** Larger files are not made longer, so that no workload fills its store. */
const FILE_BLOCKS_MAX = 32;
const NO_BYTES = new Uint8Array(0);

export class CrashModel {
  readonly versions: Version[] = [
    { names: new Map(), operation: null, isMetadata: false, isPromise: true, begin: 0, end: 0 },
  ];
  /** Of the file of the operation that was begun last. */
  sizeBefore = 0;
  private files: number;
  private readonly sizeMax: number;
  private firstOfOperation = 1;

  constructor(
    readonly contents: BlockContents,
    /** Added to the files' numbers, so that no two models stamp alike. */
    firstFile = 1,
    /** Added to the versions' numbers in stamps, so that no two histories of one file stamp alike. */
    private readonly firstGeneration = 0,
  ) {
    this.files = firstFile;
    this.sizeMax = FILE_BLOCKS_MAX * contents.blockBytes;
  }

  /** A model whose history begins with what this one's ends with, all of it durable. */
  fork(): CrashModel {
    const copy = new CrashModel(this.contents, this.files, this.firstGeneration + this.versions.length);
    const names = new Map<string, FileState>();
    for (const [name, file] of this.latest.names) {
      const cells = file.cells.map((cell) => cell && newCell(0, cell.values[cell.values.length - 1].content));
      names.set(name, { id: file.id, size: file.size, sizes: [file.size], cells });
    }
    copy.versions[0].names = names;
    return copy;
  }

  /** A model whose history begins with what a store shows, all of it durable. */
  static resume(contents: BlockContents, files: Map<string, SeenFile>, firstFile: number): CrashModel {
    const model = new CrashModel(contents, firstFile);
    for (const [name, { size, blocks }] of files) {
      const cells = blocks.map((content) => newCell(0, content));
      model.latest.names.set(name, { id: model.files++, size, sizes: [size], cells });
    }
    return model;
  }

  get latest(): Version {
    return this.versions[this.versions.length - 1];
  }

  fileAt(name: string): FileState | undefined {
    return this.latest.names.get(name);
  }

  /** As it was before the operation that was begun last. */
  fileBefore(name: string): FileState | undefined {
    return this.versions[this.firstOfOperation - 1].names.get(name);
  }

  isPossible({ kind, name, to, position = 0, length = 0 }: CrashOperation): boolean {
    if (NAMELESS.includes(kind)) return true;
    const file = this.fileAt(name);
    if (kind === 'create') return file === undefined;
    if (file === undefined) return false;
    if (kind === 'rename') return name !== to;
    if (kind === 'collapse') return position + length < file.size;
    if (kind === 'insert') return position < file.size && file.size < this.sizeMax;
    if (kind === 'append') return file.size < this.sizeMax;
    return true;
  }

  /** Takes the operation into the history; returns the bytes to write. */
  begin(operation: CrashOperation, moment: number): Uint8Array {
    this.firstOfOperation = this.versions.length;
    this.sizeBefore = this.fileAt(operation.name)?.size ?? 0;
    const bytes = this.apply(operation);
    for (let v = this.firstOfOperation; v < this.versions.length; v++) this.versions[v].begin = moment;
    return bytes;
  }

  /** Takes over what another thread has recorded of itself. */
  replay(steps: readonly RecordedOperation[]): void {
    for (const { operation, begin, end } of steps) {
      this.begin(operation, begin);
      this.end(end);
    }
  }

  end(moment: number): void {
    for (let v = this.firstOfOperation; v < this.versions.length; v++) this.versions[v].end = moment;
  }

  private apply(operation: CrashOperation): Uint8Array {
    const { kind, name, to = '', position = 0, length = 0 } = operation;
    switch (kind) {
      case 'create':
        this.step(operation, name, { id: this.files++, size: 0, sizes: [0], cells: [] });
        return NO_BYTES;
      case 'unlink':
        this.step(operation, name, undefined);
        return NO_BYTES;
      case 'rename': {
        const file = this.fileAt(name);
        this.step(operation, name, undefined);
        this.latest.names.set(to, file!);
        return NO_BYTES;
      }
      case 'write':
        return this.write(operation, position, length);
      case 'append':
        return this.write(operation, this.sizeBefore, length);
      case 'truncate':
        this.truncate(operation, position);
        return NO_BYTES;
      case 'punch':
        this.clear(operation, position, position + length, false);
        return NO_BYTES;
      case 'zero':
        this.clear(operation, position, position + length, true);
        this.grow(operation, position + length);
        return NO_BYTES;
      case 'fallocate':
        this.grow(operation, position + length);
        return NO_BYTES;
      case 'collapse':
        this.clear(operation, position, position + length, false);
        this.move(operation, position, -length);
        return NO_BYTES;
      case 'insert':
        this.move(operation, position, length);
        return NO_BYTES;
      case 'sync':
      case 'datasync':
        this.settle(operation, [name]);
        return NO_BYTES;
      case 'syncAll':
        this.settle(operation, [...this.latest.names.keys()]);
        return NO_BYTES;
      case 'commit':
        this.settle(operation, []);
        return NO_BYTES;
      case 'writeback':
      case 'writeUnlinked':
      case 'closeAll':
        this.step(operation, '', undefined);
        return NO_BYTES;
    }
  }

  /** The next version: as the latest, but for one name. */
  private step(operation: CrashOperation, name: string, file: FileState | undefined): Version {
    const names = new Map(this.latest.names);
    if (file !== undefined) names.set(name, file);
    else names.delete(name);
    const isPromise = PROMISES.includes(operation.kind);
    const isMetadata = !DATA.includes(operation.kind);
    const end = Number.POSITIVE_INFINITY;
    this.versions.push({ names, operation, isMetadata, isPromise, begin: end, end });
    return this.latest;
  }

  private write(operation: CrashOperation, position: number, length: number): Uint8Array {
    const { blockBytes } = this.contents;
    const version = this.versions.length;
    const file = this.fileAt(operation.name)!;
    const bytes = new Uint8Array(length);
    stamp(bytes, file.id, position, this.firstGeneration + version);
    const cells = file.cells.slice();
    const end = position + length;
    for (let block = Math.floor(position / blockBytes); block * blockBytes < end; block++) {
      const start = block * blockBytes;
      const cell = cells[block] ?? newCell(version, ZEROS);
      const from = Math.max(position, start);
      const to = Math.min(end, start + blockBytes);
      this.put(cell, version, bytes.subarray(from - position, to - position), from - start);
      cells[block] = cell;
    }
    const size = Math.max(file.size, end);
    const sizes = size > file.size ? [...file.sizes, size] : file.sizes;
    this.step(operation, operation.name, { ...file, size, sizes, cells });
    return bytes;
  }

  private truncate(operation: CrashOperation, size: number): void {
    const { blockBytes } = this.contents;
    const version = this.versions.length;
    const file = this.fileAt(operation.name)!;
    const cells = file.cells.slice(0, Math.ceil(size / blockBytes));
    const at = size % blockBytes;
    const tail = at === 0 ? undefined : cells[Math.floor(size / blockBytes)];
    if (tail !== undefined && size < file.size) {
      this.put(tail, version, new Uint8Array(blockBytes - at), at);
      tail.floors.push({ version, sizeAbove: size, index: tail.values.length - 1 });
    }
    this.step(operation, operation.name, { ...file, size, sizes: [size], cells });
  }

  /**
   * Zeros from `position` to `end`. Whole blocks become holes, or keep their cells: a block that is zeroed where it lies may
   * be written again before the zeroing is durable, and shows those bytes, where it always was, if it never is.
   */
  private clear(operation: CrashOperation, position: number, end: number, keepsBlocks: boolean): void {
    const { blockBytes } = this.contents;
    const version = this.versions.length;
    const file = this.fileAt(operation.name)!;
    const cells = file.cells.slice();
    for (let block = Math.floor(position / blockBytes); block < cells.length; block++) {
      const start = block * blockBytes;
      const from = Math.max(position, start) - start;
      const to = (end >= file.size ? Number.POSITIVE_INFINITY : end) - start;
      const cell = cells[block];
      if (to <= 0) break;
      if (cell === undefined) continue;
      const isWhole = from === 0 && to >= blockBytes;
      if (isWhole && !keepsBlocks) cells[block] = undefined;
      else this.put(cell, version, new Uint8Array(Math.min(to, blockBytes) - from), from);
      if (isWhole) cell.floors.push({ version, sizeAbove: -1, index: cell.values.length - 1 });
    }
    this.step(operation, operation.name, { ...file, cells });
  }

  private grow(operation: CrashOperation, end: number): void {
    const file = this.fileAt(operation.name)!;
    const next = end > file.size ? { ...file, size: end, sizes: [end] } : file;
    this.step(operation, operation.name, next);
  }

  private move(operation: CrashOperation, position: number, delta: number): void {
    const { blockBytes } = this.contents;
    const file = this.fileAt(operation.name)!;
    const cells = file.cells.slice();
    const first = position / blockBytes;
    if (delta < 0) cells.splice(first, -delta / blockBytes);
    else if (first < cells.length) cells.splice(first, 0, ...new Array(delta / blockBytes).fill(undefined));
    const size = file.size + delta;
    this.step(operation, operation.name, { ...file, size, sizes: [size], cells });
  }

  /** A sync of these files: their latest content is what must be there from this version on. */
  private settle(operation: CrashOperation, names: string[]): void {
    const version = this.versions.length;
    const { names: states } = this.step(operation, '', undefined);
    for (const name of names) {
      const file = states.get(name)!;
      for (const cell of file.cells) cell?.floors.push({ version, sizeAbove: -1, index: cell.values.length - 1 });
      states.set(name, { ...file, sizes: [file.size] });
    }
  }

  private put(cell: Cell, version: number, bytes: Uint8Array, at: number): void {
    const content = this.contents.bytes(cell.values[cell.values.length - 1].content).slice();
    content.set(bytes, at);
    cell.values.push({ version, content: this.contents.number(content) });
  }
}

function newCell(version: number, content: number): Cell {
  return { values: [{ version, content }], floors: [] };
}
