/**
 * What one step of a logical thread touches: words of the arena, device blocks. From it follows which steps commute.
 *
 * While it is watching, the functions of `Atomics` are replaced by ones that note the word. That is enough because the
 * engine is free of data races but for hints: whatever is read or written plainly lies behind a lock, a page lock or a pin,
 * and those are atomic operations of the same step. Where that does not hold, the exploring driver notes by hand: lookups
 * that miss, device I/O and the bytes behind it, sleeping and waking, the size that a hit reads.
 *
 *  1. Resources are numbered: words of the arena first, then the device's blocks.
 *  2. A failed compare-exchange is a read.
 *  3. One at a time watches, in one thread. Between `watch` and `unwatch` nothing else may run.
 */
import { assert } from '../assert.js';

type Table = Record<string, (array: Int32Array, index: number, ...rest: number[]) => number>;

const UPDATES = ['add', 'sub', 'or', 'and', 'xor', 'exchange', 'store'] as const;

let watching: Footprint | null = null;

export class Footprint {
  /** The step's resources, `count` of them; a resource's kind is `isWrite`. */
  readonly resources: Int32Array;
  count = 0;
  private readonly epochs: Int32Array;
  private readonly writes: Uint8Array;
  private epoch = 0;
  private readonly blocksAt: number;

  constructor(
    private readonly words: Int32Array,
    blocks: number,
  ) {
    this.blocksAt = words.length;
    const resources = words.length + blocks;
    this.resources = new Int32Array(resources);
    this.epochs = new Int32Array(resources);
    this.writes = new Uint8Array(resources);
  }

  get total(): number {
    return this.epochs.length;
  }

  /** Forgets what was noted: a new step begins. */
  begin(): void {
    this.epoch++;
    this.count = 0;
  }

  isWrite(resource: number): boolean {
    return this.writes[resource] !== 0;
  }

  read(resource: number): void {
    if (this.epochs[resource] === this.epoch) return;
    this.epochs[resource] = this.epoch;
    this.writes[resource] = 0;
    this.resources[this.count++] = resource;
  }

  write(resource: number): void {
    if (this.epochs[resource] !== this.epoch) {
      this.epochs[resource] = this.epoch;
      this.resources[this.count++] = resource;
    }
    this.writes[resource] = 1;
  }

  readBlock(block: number): void {
    this.read(this.blocksAt + block);
  }

  writeBlock(block: number): void {
    this.write(this.blocksAt + block);
  }

  /** Runs `action` with every atomic operation on the words noted. */
  watch<T>(action: () => T): T {
    assert(watching === null, 'two footprints at once');
    const table = Atomics as unknown as Table;
    const originals: [string, Table[string]][] = [...UPDATES, 'load', 'compareExchange'].map((n) => [n, table[n]]);
    watching = this;
    try {
      this.replace(table);
      return action();
    } finally {
      for (const [name, original] of originals) table[name] = original;
      watching = null;
    }
  }

  private replace(table: Table): void {
    const { words } = this;
    const { load, compareExchange } = Atomics;
    table.load = (array, index) => {
      if (array === words) this.read(index);
      return load(array, index);
    };
    table.compareExchange = (array, index, expected, value) => {
      const old = compareExchange(array, index, expected, value);
      if (array === words) {
        if (old === expected) this.write(index);
        else this.read(index);
      }
      return old;
    };
    for (const name of UPDATES) {
      const original = table[name];
      table[name] = (array, index, value) => {
        if (array === words) this.write(index);
        return original(array, index, value);
      };
    }
  }
}
