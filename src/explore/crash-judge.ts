/**
 * Holds what a recovered store shows against the histories of those who used it (crash-model.ts).
 *
 * For each history there must be a version at which the store stands: not before the last promise given when the power
 * went, not after what had begun by then. At that version every name is there, and no other; each file has a size that it
 * may have; each of its blocks shows zeros where there is a hole, else a content that its cell has had: none older than the
 * last sync, none that was not yet written. And the histories must agree: what one thread's metadata shows, was not begun
 * after something of another thread's had ended that is missing.
 *
 * Pure functions of their arguments. One thread.
 */
import type { Cell, CrashModel, FileState, Version } from './crash-model.js';
import { describeOperation } from './crash-operation.js';
import { describeBytes } from './crash-stamp.js';
import { type BlockContents, ZEROS } from './power-cut-contents.js';
import { SECTOR_BYTES } from './recording-device.js';

const HOLE = [ZEROS];

/** A file as a recovered store shows it; the last block has zeros behind the end. */
export interface SeenFile {
  size: number;
  blocks: number[];
}

export interface Span {
  /** Nothing that began later may show. */
  from: number;
  /** Every promise given before must hold. */
  until: number;
  /** A write was cut inside a block: sectors of one may come from different writes. */
  isTorn: boolean;
}

/** What a store is judged by at one version. */
interface Terms {
  version: number;
  /** The last version that had begun. */
  high: number;
  isTorn: boolean;
  contents: BlockContents;
}

/** Null when the store stands where it may, else what is wrong with it. `files` has all files of all histories. */
export function judge(files: Map<string, SeenFile>, models: readonly CrashModel[], span: Span): string | null {
  const bounds = models.map((model) => ({ low: lowest(model, models, span.until), high: highest(model, span.from) }));
  const chosen: number[] = [];
  for (const [i, model] of models.entries()) {
    const { low, high } = bounds[i];
    const mine = models.length === 1 ? files : ownFiles(files, model);
    const version = firstMatch(mine, model, low, high, span.isTorn);
    if (version < 0) return explain(mine, model, low, high, span.isTorn);
    chosen.push(version);
  }
  const strange =
    models.length === 1 ? undefined : [...files.keys()].find((name) => !models.some((m) => owns(m, name)));
  if (strange !== undefined) return `there is a file '${strange}' that nobody made`;
  return agree(files, models, bounds, chosen, span.isTorn);
}

/** The last version that a promise covers: one of this history, or one given after its end by another. */
function lowest(model: CrashModel, models: readonly CrashModel[], until: number): number {
  let low = 0;
  for (const other of models) {
    const promise = lastPromise(other, until);
    if (promise < 0) continue;
    if (other === model) low = Math.max(low, promise);
    else low = Math.max(low, lastEndedBefore(model, other.versions[promise].begin, false));
  }
  return low;
}

function lastPromise({ versions }: CrashModel, until: number): number {
  for (let v = versions.length - 1; v >= 0; v--) if (versions[v].isPromise && versions[v].end < until) return v;
  return -1;
}

function lastEndedBefore({ versions }: CrashModel, moment: number, metadataOnly: boolean): number {
  for (let v = versions.length - 1; v > 0; v--) {
    if (versions[v].end < moment && (versions[v].isMetadata || !metadataOnly)) return v;
  }
  return 0;
}

function highest({ versions }: CrashModel, from: number): number {
  let high = versions.length - 1;
  while (versions[high].begin > from) high -= 1;
  return high;
}

/** The first version from `start` on at which the files may stand, or -1. */
function firstMatch(
  files: Map<string, SeenFile>,
  model: CrashModel,
  start: number,
  high: number,
  isTorn: boolean,
): number {
  const terms = { version: start, high, isTorn, contents: model.contents };
  for (; terms.version <= high; terms.version++) {
    if (mismatch(files, model.versions[terms.version], terms) === null) return terms.version;
  }
  return -1;
}

/** Moves versions up until none shows metadata that was begun after something that is missing elsewhere had ended. */
function agree(
  files: Map<string, SeenFile>,
  models: readonly CrashModel[],
  bounds: { low: number; high: number }[],
  chosen: number[],
  isTorn: boolean,
): string | null {
  for (let moved = true; moved; ) {
    moved = false;
    for (const [i, model] of models.entries()) {
      for (const [j, other] of models.entries()) {
        if (i === j) continue;
        const needed = lastEndedBefore(model, beginOfMetadata(other.versions, chosen[j]), true);
        if (needed <= chosen[i]) continue;
        const mine = ownFiles(files, model);
        const { high } = bounds[i];
        const version = firstMatch(mine, model, needed, high, isTorn);
        if (version < 0) {
          const late = describe(other.versions[chosen[j]]);
          const wrong = explain(mine, model, needed, high, isTorn);
          return `'${late}' of thread ${j} shows, but not what thread ${i} had done before it began: ${wrong}`;
        }
        chosen[i] = version;
        moved = true;
      }
    }
  }
  return null;
}

function beginOfMetadata(versions: readonly Version[], chosen: number): number {
  for (let v = chosen; v > 0; v--) if (versions[v].isMetadata) return versions[v].begin;
  return 0;
}

/** Threads do not share names: a history's files are those that it ever named. */
function owns(model: CrashModel, name: string): boolean {
  return model.versions.some(({ names }) => names.has(name));
}

function ownFiles(files: Map<string, SeenFile>, model: CrashModel): Map<string, SeenFile> {
  return new Map([...files].filter(([name]) => owns(model, name)));
}

/** Why the files do not stand at the version, or null. */
function mismatch(files: Map<string, SeenFile>, version: Version, terms: Terms): string | null {
  for (const name of version.names.keys()) if (!files.has(name)) return `'${name}' is missing`;
  for (const [name, seen] of files) {
    const file = version.names.get(name);
    if (file === undefined) return `'${name}' should not be there`;
    const wrong = mismatchOfFile(seen, file, terms);
    if (wrong !== null) return `'${name}' ${wrong}`;
  }
  return null;
}

function mismatchOfFile(seen: SeenFile, file: FileState, terms: Terms): string | null {
  const { size } = seen;
  const { contents } = terms;
  const isBetween = size > file.sizes[0] && size < file.size && size % contents.blockBytes === 0;
  if (!isBetween && !file.sizes.includes(size)) return `has ${size} bytes; it may have ${file.sizes.join(' or ')}`;
  for (let block = 0; block < seen.blocks.length; block++) {
    const content = seen.blocks[block];
    const allowed = mayShow(file.cells[block], size, terms);
    const left = size - block * contents.blockBytes;
    if (allowed.some((value) => clipped(value, left, contents) === content)) continue;
    if (terms.isTorn && isMixed(content, allowed, left, contents)) continue;
    const values = allowed.map((value) => describeBytes(contents.bytes(value))).join(', or ');
    return `shows in block ${block}: ${describeBytes(contents.bytes(content))}; it may show ${values}`;
  }
  return null;
}

/** The contents that a cell may show: none older than a sync, none that had not begun. */
function mayShow(cell: Cell | undefined, size: number, { version, high }: Terms): number[] {
  if (cell === undefined) return HOLE;
  let first = 0;
  for (const floor of cell.floors) {
    if (floor.version <= version && size > floor.sizeAbove) first = Math.max(first, floor.index);
  }
  const contents: number[] = [];
  for (let i = first; i < cell.values.length && cell.values[i].version <= high; i++)
    contents.push(cell.values[i].content);
  return contents;
}

/** Whether each sector is that of an allowed content. */
function isMixed(content: number, allowed: number[], left: number, contents: BlockContents): boolean {
  const seen = contents.bytes(content);
  for (let at = 0; at < Math.min(left, seen.length); at += SECTOR_BYTES) {
    const end = Math.min(at + SECTOR_BYTES, left);
    const sector = seen.subarray(at, end);
    if (!allowed.some((value) => Buffer.compare(contents.bytes(value).subarray(at, end), sector) === 0)) return false;
  }
  return true;
}

function clipped(content: number, length: number, contents: BlockContents): number {
  return content === ZEROS || length >= contents.blockBytes
    ? content
    : contents.number(contents.bytes(content).subarray(0, length));
}

function explain(files: Map<string, SeenFile>, model: CrashModel, low: number, high: number, isTorn: boolean): string {
  const lines = [`no version from ${low} (${describe(model.versions[low])}) to ${high} fits:`];
  for (const v of new Set([low, high])) {
    const terms = { version: v, high, isTorn, contents: model.contents };
    lines.push(`  at ${v}: ${mismatch(files, model.versions[v], terms)}`);
  }
  return lines.join('\n');
}

function describe({ operation }: Version): string {
  return operation === null ? 'the beginning' : describeOperation(operation);
}
