/**
 * What may be read: the changes that were made to a file, when each began and ended, and from that the words that a read
 * may show.
 *
 * A read sees of each word what a regular register gives: the last change that ended before the read began, or any that was
 * under way at the same time. What a change that ended before another one began had put there is gone once that other one has
 * ended too. So a completed punch can never be looked behind, and a completed write never be lost, while whatever is
 * concurrent may come out either way.
 *
 * Times are numbers of steps. Words are counted from the file's start, in 32 bits; sizes are in words too.
 */
import { stampOf } from './stamp.js';

/** A `store` goes through a mapping: it never makes the file longer. */
export type ChangeKind = 'write' | 'store' | 'zero' | 'resize' | 'collapse' | 'insert';

export interface Change {
  readonly kind: ChangeKind;
  /** Words [from, to): what is written or zeroed, taken out, or put in between. Of a resize, `from` is the new size. */
  readonly from: number;
  to: number;
  readonly generation: number;
  readonly start: number;
  /** Infinity while it is under way, and for ever when its thread has died in it. */
  end: number;
  /** Who did it, for messages. */
  readonly by: string;
}

const NEVER = Number.POSITIVE_INFINITY;

export class FileOracle {
  private readonly changes: Change[] = [];

  constructor(
    readonly file: number,
    private readonly initialWords: number,
  ) {}

  reset(): void {
    this.changes.length = 0;
  }

  begin(kind: ChangeKind, from: number, to: number, generation: number, now: number, by: string): Change {
    const change = { kind, from, to, generation, start: now, end: NEVER, by };
    this.changes.push(change);
    return change;
  }

  withdraw(change: Change): void {
    const at = this.changes.indexOf(change);
    if (at >= 0) this.changes.splice(at, 1);
  }

  /** The words that a read between the two steps may find there; `initial` holds what the file began with. */
  admissible(word: number, start: number, end: number, initial: (word: number) => number): Set<number> {
    const values = new Set<number>();
    this.collect(word, start, end, initial, 0, values);
    return values;
  }

  /** The sizes that a read between the two steps may see. */
  sizes(start: number, end: number): number[] {
    let sizes = new Set([this.initialWords]);
    const begun = this.changes.filter((change) => change.start <= end);
    // Twice, since what overlaps may take effect in either order.
    for (const pass of [0, 1]) {
      for (const change of begun) {
        const overlaps = begun.some(
          (other) => other !== change && other.start <= change.end && change.start <= other.end,
        );
        if (pass === 1 && !overlaps) continue;
        const after = [...sizes].map((size) => resized(change, size));
        sizes = new Set(change.end < start && !overlaps ? after : [...sizes, ...after]);
      }
    }
    return [...sizes];
  }

  /** The finished change that a word of this value should have given way to, if it ever was there. */
  supersederOf(word: number, start: number): Change | null {
    for (let i = this.changes.length - 1; i >= 0; i--) {
      const change = this.changes[i];
      if (change.end < start && affects(change, word)) return change;
    }
    return null;
  }

  /** Writes that were under way between the two steps and that nothing else touches: a read may be atomic against them. */
  loneWrites(start: number, end: number): Change[] {
    const near = this.changes.filter((change) => change.start <= end && change.end >= start);
    return near.length === 1 && near[0].kind === 'write' ? near : [];
  }

  /** `without`: a mask of changes that are left out of account. */
  private collect(
    word: number,
    start: number,
    end: number,
    initial: (word: number) => number,
    without: number,
    values: Set<number>,
  ): void {
    const { changes, file } = this;
    if (!this.isSuperseded(-1, word, start, without)) values.add(initial(word));
    for (let i = 0; i < changes.length; i++) {
      const change = changes[i];
      if ((without & (1 << i)) !== 0 || change.start > end || !affects(change, word)) continue;
      if (this.isSuperseded(change.end, word, start, without)) continue;
      const source = sourceOf(change, word);
      if (source < 0)
        values.add(change.kind === 'write' || change.kind === 'store' ? stampOf(file, word, change.generation) : 0);
      // Whatever a shift moved here is what a read at its place would have shown before.
      else this.collect(source, change.start, change.end, initial, without | (1 << i), values);
    }
  }

  /** Whether a change has begun after `since`, and ended before `start`, and touches the word. */
  private isSuperseded(since: number, word: number, start: number, without: number): boolean {
    return this.changes.some(
      (other, i) => (without & (1 << i)) === 0 && since < other.start && other.end < start && affects(other, word),
    );
  }
}

function affects({ kind, from, to }: Change, word: number): boolean {
  return kind === 'write' || kind === 'store' || kind === 'zero' ? word >= from && word < to : word >= from;
}

/** Where a shift has the word from; -1 where the change itself says what it is. */
function sourceOf({ kind, from, to }: Change, word: number): number {
  if (kind === 'collapse') return word + to - from;
  if (kind === 'insert' && word >= to) return word - (to - from);
  return -1;
}

function resized({ kind, from, to }: Change, size: number): number {
  if (kind === 'write') return Math.max(size, to);
  if (kind === 'resize') return from;
  if (kind === 'collapse') return size - (to - from);
  if (kind === 'insert') return size + (to - from);
  return size;
}
