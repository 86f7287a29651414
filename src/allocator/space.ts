/**
 * Space that is promised before it is allocated: a write reserves a block for every page it makes, writeback keeps the
 * promise when it publishes blocks. Any thread.
 *
 * 1. A promise is made only while free blocks less all promises stay above what metadata may need: a fixed share of the
 *    device, and a fiftieth of the promises for the extent tree nodes that they will take. Creating files, which data do
 *    not ask for, may go down to half of the fixed share (`Keep.Half`): the rest is for writing back and for punching.
 * 2. Free blocks are those that can be claimed: quarantined ones are not among them.
 * 3. BlocksReserved rises by compare-exchange. The exchange succeeds only while no promise came in between, and blocks are
 *    taken from BlocksFree before their promises are, so a stale look never finds more room than there is. It may find
 *    less: a refusal is looked at again under the Exclusions leaf mutex, where both change together.
 */
import type { Task } from '../routine/task.js';
import type { Arena } from '../sync/arena.js';
import { Header } from '../sync/layout.js';
import type { ExclusionRecords } from './exclusion-records.js';

const METADATA_RESERVE_MAX = 64;
/** Small devices keep back a smaller part. */
const METADATA_RESERVE_SHARE = 32;
const RESERVED_PER_METADATA = 50;

/** How much of the fixed share a promise leaves. */
export const enum Keep {
  All,
  Half,
}

export class Space {
  private readonly words: Int32Array;
  private readonly unsigned: Uint32Array;
  private readonly metadataReserve: number;
  private readonly counters = { free: 0, reserved: 0, quarantined: 0 };

  constructor(
    arena: Arena,
    private readonly records: ExclusionRecords,
  ) {
    this.words = arena.words;
    this.unsigned = arena.unsigned;
    this.metadataReserve = Math.min(
      METADATA_RESERVE_MAX,
      Math.floor(arena.unsigned[Header.Blocks] / METADATA_RESERVE_SHARE),
    );
  }

  reserve(task: Task, pages: number, keep: Keep): boolean {
    for (;;) {
      const reserved = Atomics.load(this.words, Header.BlocksReserved);
      const free = Atomics.load(this.words, Header.BlocksFree) >>> 0;
      if (!this.suffices(free, reserved >>> 0, pages, keep)) {
        this.readCounters(task);
        if (!this.suffices(this.counters.free, this.counters.reserved, pages, keep)) return false;
        continue;
      }
      const promised = (reserved + pages) | 0;
      if (Atomics.compareExchange(this.words, Header.BlocksReserved, reserved, promised) === reserved) return true;
    }
  }

  unreserve(pages: number): void {
    Atomics.sub(this.words, Header.BlocksReserved, pages);
  }

  /** Whether the promise could be made once all quarantined blocks are free. */
  wouldSuffice(task: Task, pages: number, keep: Keep): boolean {
    this.readCounters(task);
    const { free, reserved, quarantined } = this.counters;
    return this.suffices(free + quarantined, reserved, pages, keep);
  }

  /** Free blocks that no promise needs, nor metadata. */
  unpromised(task: Task): number {
    this.readCounters(task);
    const { free, reserved } = this.counters;
    return Math.max(0, free - reserved - this.metadataReserve - Math.floor(reserved / RESERVED_PER_METADATA));
  }

  get quarantined(): number {
    return this.unsigned[Header.BlocksQuarantined];
  }

  private readCounters(task: Task): void {
    const { counters, unsigned } = this;
    this.records.enter(task);
    counters.free = unsigned[Header.BlocksFree];
    counters.reserved = unsigned[Header.BlocksReserved];
    counters.quarantined = unsigned[Header.BlocksQuarantined];
    this.records.leave(task);
  }

  private suffices(free: number, reserved: number, pages: number, keep: Keep): boolean {
    const promised = reserved + pages;
    const fixed = keep === Keep.All ? this.metadataReserve : this.metadataReserve >>> 1;
    return free >= promised + fixed + Math.floor(promised / RESERVED_PER_METADATA);
  }
}
