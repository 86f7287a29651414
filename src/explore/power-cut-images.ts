/**
 * The images that a power cut could leave on a device, worked out from the log of what was asked of it.
 *
 * The medium is assumed to do no better than this: a write that was complete before a flush began is durable once that
 * flush is complete; of all other writes, any may be there and any may be missing, whatever their order, and one of them
 * may have been cut at any sector; of two writes to one block the later one wins if both are there, and either does when
 * they were under way at once; a block that was discarded keeps what it held, or holds zeros, or anything, even after a
 * flush, until it is written again.
 *
 * Images are made once for each beginning of a write or discard and for each end of a flush. In between nothing can happen
 * to the device, so an image stands for the whole *span* of moments up to the next such event: it must keep every promise
 * given before the span's end, and may show nothing that began after the span's beginning.
 *
 * What grows exponentially is sampled, by the random numbers given. One thread.
 */
import type { CrashRandom } from './crash-random.js';
import { type BlockContents, type Image, ZEROS } from './power-cut-contents.js';
import { type DeviceRecord, RecordKind, SECTOR_BYTES } from './recording-device.js';

export interface CutBounds {
  /** Up to so many subsets of the writes under way at each event, all of them where there are no more. */
  subsets: number;
  /** Images with a torn write at each event. */
  torn: number;
}

export interface CutImage {
  /** Valid until the next one is asked for. */
  image: Image;
  /** First moment of the span. */
  from: number;
  /** The moment after the span: that of the next event. */
  until: number;
  /** Whether a write was cut inside a block. */
  isTorn: boolean;
  /** Which writes are there, for messages. */
  what: string;
}

/** A write or discard that no complete flush covers. */
interface Pending {
  record: DeviceRecord;
  block: number;
  /** Of a write; a discard has none. */
  contents: Int32Array | null;
  blocks: number;
  /** In the order of beginning, for messages. */
  name: string;
}

/** What becomes of a pending write in an image. */
type Fate = 'missing' | 'there' | 'torn' | 'zeros' | 'garbage';

export class PowerCuts {
  private readonly blockBytes: number;
  private readonly image: Image;
  private readonly durable: Image;
  private readonly garbage: number;
  private pending: Pending[] = [];
  private isTorn = false;

  constructor(
    base: Image,
    private readonly records: DeviceRecord[],
    private readonly contents: BlockContents,
    private readonly random: CrashRandom,
    private readonly bounds: CutBounds,
  ) {
    this.blockBytes = contents.blockBytes;
    this.image = base.slice();
    this.durable = base.slice();
    this.garbage = contents.number(new Uint8Array(this.blockBytes).fill(0xa5));
  }

  /** Every image of a cut at or after moment `from`. */
  *images(from = 0): Generator<CutImage> {
    const events = eventsOf(this.records);
    for (let i = 0; i < events.length; i++) {
      const { record, moment } = events[i];
      const until = i + 1 < events.length ? events[i + 1].moment : Number.POSITIVE_INFINITY;
      if (record.kind === RecordKind.Flush) this.flushed(record);
      else this.pending.push(this.pendingOf(record, i));
      if (until <= from) continue;
      const variants = record.kind === RecordKind.Flush ? this.afterFlush() : this.afterWrite();
      for (const what of variants) yield { image: this.image, from: moment, until, isTorn: this.isTorn, what };
    }
  }

  private pendingOf(record: DeviceRecord, index: number): Pending {
    const block = record.positionBytes / this.blockBytes;
    const blocks = record.lengthBytes / this.blockBytes;
    if (record.kind === RecordKind.Discard) {
      return { record, block, blocks, contents: null, name: `discard ${block}+${blocks}` };
    }
    const contents = new Int32Array(blocks);
    for (let i = 0; i < blocks; i++) {
      contents[i] = this.contents.number(record.bytes.subarray(i * this.blockBytes, (i + 1) * this.blockBytes));
    }
    return { record, block, blocks, contents, name: `write ${index} of ${block}+${blocks}` };
  }

  /** What the flush covers is durable; what a discard left of its blocks is decided now. */
  private flushed(flush: DeviceRecord): void {
    const left: Pending[] = [];
    for (const pending of this.pending) {
      if (pending.record.end > flush.begin) left.push(pending);
      else this.apply(this.durable, pending, pending.contents !== null ? 'there' : this.discarded());
    }
    this.pending = left;
  }

  /** Images without the newest write were made at the events before. */
  private *afterWrite(): Generator<string> {
    const newest = this.pending.length - 1;
    const isDiscard = this.pending[newest].contents === null;
    yield this.make((i) => (i === newest && isDiscard ? 'zeros' : this.whole(i)));
    if (newest > 0) yield this.make((i) => (i === newest ? this.whole(i) : 'missing'));
    yield* this.subsets(newest);
    for (let n = 0; n < this.bounds.torn; n++) {
      const torn = n % 2 === 0 ? newest : this.random.below(newest + 1);
      const others = this.random.below(3);
      if (this.pending[torn].contents === null) continue;
      yield this.make((i) => {
        if (i === torn) return 'torn';
        return others === 0 || (others === 1 && this.random.chance(0.5)) ? this.whole(i) : 'missing';
      });
    }
    for (let i = 0; i < newest; i++) {
      if (conflict(this.pending[i], this.pending[newest])) yield this.make((j) => this.whole(j), i);
    }
  }

  private *afterFlush(): Generator<string> {
    yield this.make(() => 'missing');
    if (this.pending.length === 0) return;
    yield this.make((i) => this.whole(i));
    yield* this.subsets(-1);
  }

  /** Subsets of what is pending that have `always` in them and are neither all nor none of the rest. */
  private *subsets(always: number): Generator<string> {
    const others = this.pending.length - (always < 0 ? 0 : 1);
    const { subsets } = this.bounds;
    if (others < 31 && 2 ** others - 2 <= subsets) {
      for (let set = 1; set < 2 ** others - 1; set++) {
        yield this.make((i) => (i === always || (set & (1 << i)) !== 0 ? this.whole(i) : 'missing'));
      }
      return;
    }
    for (let n = 0; n < subsets; n++) {
      const lonely = this.random.below(others);
      const style = n % 3;
      yield this.make((i) => {
        if (i === always) return this.whole(i);
        if (style === 0) return i === lonely ? 'missing' : this.whole(i);
        if (style === 1) return i === lonely ? this.whole(i) : 'missing';
        return this.random.chance(0.5) ? this.whole(i) : 'missing';
      });
    }
  }

  private whole(i: number): Fate {
    return this.pending[i].contents !== null ? 'there' : this.discarded();
  }

  private discarded(): Fate {
    return this.random.of(['missing', 'zeros', 'garbage'] as const);
  }

  /** Makes `image` of the durable one; `last` is applied after all others. */
  private make(fate: (i: number) => Fate, last = -1): string {
    const { pending, image } = this;
    image.set(this.durable);
    this.isTorn = false;
    const words: string[] = [];
    const put = (i: number): void => {
      const chosen = fate(i);
      const detail = this.apply(image, pending[i], chosen);
      if (chosen !== 'there') words.push(`${pending[i].name} ${chosen}${detail}`);
    };
    for (let i = 0; i < pending.length; i++) if (i !== last) put(i);
    if (last >= 0) {
      put(last);
      words.push(`${pending[last].name} after the others`);
    }
    return words.length === 0 ? 'everything there' : words.join(', ');
  }

  private apply(image: Image, pending: Pending, fate: Fate): string {
    const { block, blocks, contents } = pending;
    switch (fate) {
      case 'missing':
        return '';
      case 'zeros':
        image.fill(ZEROS, block, block + blocks);
        return '';
      case 'garbage':
        image.fill(this.garbage, block, block + blocks);
        return '';
      case 'there':
        image.set(contents!, block);
        return '';
      case 'torn':
        return this.tear(image, pending);
    }
  }

  /** Only some sectors: the front, the rest, or any. */
  private tear(image: Image, { block, blocks, contents }: Pending): string {
    const { random, blockBytes } = this;
    this.isTorn = true;
    const perBlock = blockBytes / SECTOR_BYTES;
    const sectors = blocks * perBlock;
    const style = random.below(4);
    const cut = 1 + random.below(sectors - 1);
    const isThere = (sector: number): boolean => {
      if (style <= 1) return sector < cut;
      return style === 2 ? sector >= cut : random.chance(0.5);
    };
    for (let i = 0; i < blocks; i++) {
      const mixed = this.contents.bytes(image[block + i]).slice();
      const fresh = this.contents.bytes(contents![i]);
      for (let sector = 0; sector < perBlock; sector++) {
        const at = sector * SECTOR_BYTES;
        if (isThere(i * perBlock + sector)) mixed.set(fresh.subarray(at, at + SECTOR_BYTES), at);
      }
      image[block + i] = this.contents.number(mixed);
    }
    return style > 2 ? '' : ` at sector ${cut}`;
  }
}

/** Whether two overlap both in place and in time, so that either may win. */
function conflict(a: Pending, b: Pending): boolean {
  const inTime = a.record.end > b.record.begin;
  return inTime && a.block < b.block + b.blocks && b.block < a.block + a.blocks;
}

interface Event {
  record: DeviceRecord;
  moment: number;
}

function eventsOf(records: DeviceRecord[]): Event[] {
  const events: Event[] = [];
  for (const record of records) {
    const moment = record.kind === RecordKind.Flush ? record.end : record.begin;
    if (moment !== Number.POSITIVE_INFINITY) events.push({ record, moment });
  }
  return events.sort((a, b) => a.moment - b.moment);
}
