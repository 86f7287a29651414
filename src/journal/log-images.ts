/**
 * Which images lie where in the log, kept in memory so that a checkpoint need not read the log to know. Most images are
 * superseded before one comes: of the blocks that every commit writes only the last image is ever looked at again.
 *
 * A record for each position of the log, in the arena; where a store has none (`Layout.logBlocks`), checkpoints scan.
 *
 * 1. The records of a transaction are written under the Commit mutex, before it is published as durable, and stay until the
 *    tail has passed them: who holds the Checkpoint mutex reads those of durable transactions as they were written. Others
 *    at these positions are of earlier laps, and have numbers from before the tail.
 * 2. An image is its block's newest if the page's word in `loggedFrames` names its transaction. Where that names a later
 *    one, the block's newest image lies behind what a checkpoint takes out of the log.
 * 3. A page forgotten by a transaction that is not durable yet has no word, and its last image may still be needed. So
 *    what is said here counts only while no such transaction has forgotten any: `forgottenDurably`, read before the last
 *    durable transaction was, equals `forgottenEver`, read afterwards.
 */
import type { PageCache } from '../pagecache/page-cache.js';
import type { Arena } from '../sync/arena.js';
import { Header, LogImageWord, Journal as Word } from '../sync/layout.js';
import type { Frame } from '../units.js';
import type { CommitBuffer } from './commit-buffer.js';
import type { LogArea } from './log-area.js';
import type { LogImage, LogPoint } from './log-scan.js';
import { logMark } from './logged-frames.js';
import { reached } from './transaction-number.js';

/** In place of a frame: the superblock's copy, which has no page. */
const SUPERBLOCK_COPY = -1;

export class LogImages {
  private readonly words: Int32Array;
  private readonly unsigned: Uint32Array;
  private readonly at: number;
  private readonly journal: number;
  private readonly loggedFrames: number;
  private readonly isKept: boolean;

  constructor(
    arena: Arena,
    private readonly cache: PageCache,
    private readonly area: LogArea,
  ) {
    const { logImages, journal, loggedFrames, logBlocks = 0 } = arena.layout;
    this.words = arena.words;
    this.unsigned = arena.unsigned;
    this.at = logImages;
    this.journal = journal;
    this.loggedFrames = loggedFrames;
    this.isKept = logBlocks >= area.length;
  }

  /** The copies were written to the log from `position` on, as transaction `sequence`. */
  note(copies: CommitBuffer, position: number, sequence: number): void {
    if (!this.isKept) return;
    const { words, area } = this;
    for (let i = 0; i < copies.count; i++) {
      const at = this.at + area.after(position, area.imageOffset(i)) * LogImageWord.Words;
      words[at + LogImageWord.Sequence] = sequence | 0;
      words[at + LogImageWord.Checksum] = copies.loggedChecksums[i] | 0;
      words[at + LogImageWord.Flags] = copies.loggedFlags[i];
      Atomics.store(words, at + LogImageWord.Frame, copies.frameOf(i) || SUPERBLOCK_COPY);
    }
  }

  /** Pages that transactions have forgotten, ever. */
  get forgottenEver(): number {
    return Atomics.load(this.words, this.journal + Word.Forgotten);
  }

  /** As `forgottenEver`, when the last durable transaction ended. */
  get forgottenDurably(): number {
    return Atomics.load(this.words, this.journal + Word.ForgottenDurably);
  }

  /**
   * What the transactions from the tail to `last` would have replayed, in order of blocks; null where that is not known.
   * They take `length` blocks.
   */
  newest(tail: LogPoint, last: number, length: number): LogImage[] | null {
    if (!this.isKept) return null;
    const { words, unsigned, area } = this;
    const newest = new Map<number, LogImage>();
    for (let done = 0; done < length; done++) {
      const position = area.after(tail.position, done);
      const at = this.at + position * LogImageWord.Words;
      const frame = Atomics.load(words, at + LogImageWord.Frame);
      const low = words[at + LogImageWord.Sequence];
      if (frame === 0 || !reached(low, tail.sequence | 0) || !reached(last | 0, low)) continue;
      if (frame !== SUPERBLOCK_COPY && Atomics.load(words, this.loggedFrames + frame) !== logMark(low)) continue;
      newest.set(frame, {
        block: frame === SUPERBLOCK_COPY ? unsigned[Header.Blocks] - 1 : this.cache.indexOf(frame as Frame),
        flags: words[at + LogImageWord.Flags],
        checksum: unsigned[at + LogImageWord.Checksum],
        sequence: tail.sequence + ((low - tail.sequence) | 0),
        position,
      });
    }
    return [...newest.values()].sort((a, b) => a.block - b.block);
  }
}
