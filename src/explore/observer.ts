/**
 * Holds what the threads of a scenario see and do against the oracles of its files.
 *
 * One per world, reset before each schedule. Only some words of each page are looked at: its first and last, some between,
 * and those on either side of wherever an operation of the scenario begins or ends. The engine copies bytes in runs, so that
 * a word between two of them is as they are.
 */
import { type Change, type ChangeKind, FileOracle } from './oracle.js';
import type { ScenarioOperation } from './scenario.js';
import { describeWord, PAGE_BYTES, readStamp, stampOf, WORDS_PER_PAGE } from './stamp.js';
import { type FailureKind, ScheduleFailed } from './verdict.js';
import type { World, WorldFile } from './world.js';

const SAMPLES_OF_A_PAGE = [0, 1, 500, WORDS_PER_PAGE - 1];
const FOREVER = Number.POSITIVE_INFINITY;

interface Watched {
  readonly file: WorldFile;
  readonly oracle: FileOracle;
  readonly initial: (word: number) => number;
  /** Words that are looked at, ascending. */
  readonly samples: readonly number[];
}

export class Observer {
  private readonly watched: readonly Watched[];
  private readonly names: readonly string[];
  private generation = 0;

  constructor(private readonly world: World) {
    this.names = world.files.map(({ name }) => name);
    this.watched = world.files.map((file) => ({
      file,
      oracle: new FileOracle(file.number, file.words),
      initial: (word) => initialWord(file, word),
      samples: samplesOf(world, file),
    }));
  }

  reset(): void {
    this.generation = 2;
    for (const { oracle } of this.watched) oracle.reset();
  }

  /** A change of the words [from, to) begins; its end is set by who made it. Each has a generation of its own. */
  begin(file: WorldFile, kind: ChangeKind, from: number, to: number, now: number, by: string): Change {
    return this.of(file).oracle.begin(kind, from, to, ++this.generation, now, by);
  }

  /** The change was refused, and has not happened. */
  withdraw(file: WorldFile, change: Change): void {
    this.of(file).oracle.withdraw(change);
  }

  /** What was read at word `from` on, between the steps `start` and `end`, of a request for `wanted` bytes. */
  saw(
    file: WorldFile,
    bytes: Uint8Array,
    from: number,
    wanted: number,
    start: number,
    end: number,
    by: string,
    isPage = false,
  ): void {
    const { oracle, initial, samples } = this.of(file);
    if (!isPage) this.checkLength(file, bytes.length, from, wanted, start, end, by);
    const words = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    for (const word of samples) {
      const at = (word - from) * 4;
      if (at < 0 || at + 4 > bytes.length) continue;
      const value = words.getUint32(at, true);
      const admissible = oracle.admissible(word, start, end, initial);
      if (!admissible.has(value)) this.accuse(file, word, value, admissible, start, by);
    }
    if (this.world.scheme.readAtomicity === 'request') this.checkAtomic(file, words, from, start, end, by);
  }

  /** The bytes under a pin that is given back: old ones will do, and another file's will not. */
  held(file: WorldFile, bytes: Uint8Array, page: number, by: string): void {
    const words = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    for (const word of this.of(file).samples) {
      const at = (word - page * WORDS_PER_PAGE) * 4;
      if (at < 0 || at >= PAGE_BYTES) continue;
      const value = words.getUint32(at, true);
      const stamp = readStamp(value);
      if (value === 0 || (stamp !== null && stamp.file === file.number)) continue;
      throw new ScheduleFailed(
        'foreign',
        `${by} holds a pin on ${file.name} page ${page} and sees ${this.describe(value)}`,
      );
    }
  }

  /** The longest that the file can have been since the step. */
  largest(file: WorldFile, start: number): number {
    return Math.max(...this.of(file).oracle.sizes(start, FOREVER));
  }

  private of(file: WorldFile): Watched {
    return this.watched[file.number - 1];
  }

  private checkLength(
    file: WorldFile,
    got: number,
    from: number,
    wanted: number,
    start: number,
    end: number,
    by: string,
  ): void {
    const lengths = this.of(file)
      .oracle.sizes(start, end)
      .map((size) => Math.min(Math.max(0, size - from) * 4, wanted));
    // Where the device fails, a read may end early.
    const least = this.world.scenario.faults === undefined ? Math.min(...lengths) : 0;
    if (got >= least && got <= Math.max(...lengths)) return;
    const expected = [...new Set(lengths)].join(' or ');
    throw new ScheduleFailed('lost', `${by} read ${got} bytes of ${file.name} at word ${from}, not ${expected}`);
  }

  private accuse(
    file: WorldFile,
    word: number,
    value: number,
    admissible: Set<number>,
    start: number,
    by: string,
  ): never {
    const page = Math.floor(word / WORDS_PER_PAGE);
    const expected = [...admissible].map((other) => this.describe(other)).join(' or ');
    const what = `${by} sees ${this.describe(value)} in ${file.name} page ${page} word ${word % WORDS_PER_PAGE}, not ${expected}`;
    const superseder = this.of(file).oracle.supersederOf(word, start);
    const stamp = readStamp(value);
    let kind: FailureKind = 'lost';
    if (value !== 0 && stamp?.file !== file.number) kind = 'foreign';
    else if (value !== 0 && superseder !== null && superseder.kind !== 'write' && superseder.kind !== 'store')
      kind = 'stale';
    const after = superseder === null ? '' : `, after ${superseder.by} has ended`;
    throw new ScheduleFailed(kind, what + after);
  }

  /** All of a write or nothing of it, where nothing else was going on. */
  private checkAtomic(file: WorldFile, words: DataView, from: number, start: number, end: number, by: string): void {
    const { oracle, samples } = this.of(file);
    for (const change of oracle.loneWrites(start, end)) {
      let fresh = 0;
      let old = 0;
      for (const word of samples) {
        const at = (word - from) * 4;
        if (word < change.from || word >= change.to || at < 0 || at + 4 > words.byteLength) continue;
        if (words.getUint32(at, true) === stampOf(file.number, word, change.generation)) fresh++;
        else old++;
      }
      if (fresh > 0 && old > 0) throw new ScheduleFailed('torn', `${by} saw part of ${change.by} on ${file.name}`);
    }
  }

  private describe(value: number): string {
    return describeWord(value, this.names);
  }
}

function initialWord(file: WorldFile, word: number): number {
  if (word >= file.words) return 0;
  return stampOf(file.number, word, file.generations[Math.floor(word / WORDS_PER_PAGE)]);
}

function samplesOf(world: World, file: WorldFile): number[] {
  const { threads } = world.scenario;
  const samples = new Set<number>();
  let pages = file.words / WORDS_PER_PAGE;
  const addAround = (page: number): void => {
    pages = Math.max(pages, Math.ceil(page));
    const word = Math.round(page * WORDS_PER_PAGE);
    for (const near of [word - 1, word]) if (near >= 0) samples.add(near);
  };
  for (const { operations } of threads) {
    for (const operation of operations)
      if (operation.file === file.name) for (const page of edgesOf(operation)) addAround(page);
  }
  // What is inserted moves the rest on.
  for (let page = 0; page < pages + 2; page++) {
    for (const word of SAMPLES_OF_A_PAGE) samples.add(page * WORDS_PER_PAGE + word);
  }
  return [...samples].sort((a, b) => a - b);
}

function edgesOf(operation: ScenarioOperation): number[] {
  if (operation.kind === 'truncate') return [operation.to];
  if (!('length' in operation)) return [];
  return [operation.at, operation.at + operation.length];
}
