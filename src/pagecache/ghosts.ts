/**
 * The ghost table of reclaim: fingerprints of pages that were evicted from the small queue not long ago.
 *
 * One word per frame, in sets of WAYS: 20 bits of fingerprint and 12 bits of the time of insertion, counted in insertions
 * and scaled so that the time of a whole table passes long before the clock wraps. An entry is worth as much as a place
 * in a FIFO list of as many ghosts as the main queue has pages: it is found while no more insertions than that have
 * followed it. A full set gives up its oldest. A false match costs one page a place in the wrong queue.
 *
 * All under the reclaim lock.
 */
import type { Arena } from '../sync/arena.js';
import { Header } from '../sync/layout.js';
import type { Slot } from '../units.js';
import { hashOf } from './lookup.js';

const WAYS = 8;
const CLOCK_BITS = 12;
const CLOCK_MASK = (1 << CLOCK_BITS) - 1;

export class Ghosts {
  private readonly words: Int32Array;
  private readonly at: number;
  private readonly sets: number;
  private readonly tick: number;
  private readonly ageMax: number;

  constructor(arena: Arena, length: number) {
    this.words = arena.words;
    this.at = arena.layout.ghosts;
    this.sets = Math.max(1, Math.floor(arena.layout.frames / WAYS));
    this.tick = Math.max(1, Math.floor(length / 512));
    this.ageMax = Math.ceil(length / this.tick);
  }

  insert(mapping: Slot, index: number): void {
    const { words } = this;
    const print = printOf(mapping, index);
    const now = this.now();
    words[Header.GhostClock]++;
    const set = this.setOf(mapping, index);
    let victim = set;
    let age = -1;
    for (let way = set; way < set + WAYS; way++) {
      const entry = words[way];
      const entryAge = entry === 0 ? CLOCK_MASK + 1 : (now - entry) & CLOCK_MASK;
      if (entryAge <= age) continue;
      age = entryAge;
      victim = way;
    }
    words[victim] = (print << CLOCK_BITS) | now;
  }

  /** Whether the page was evicted recently; forgets it. */
  take(mapping: Slot, index: number): boolean {
    const { words } = this;
    const print = printOf(mapping, index);
    const set = this.setOf(mapping, index);
    for (let way = set; way < set + WAYS; way++) {
      const entry = words[way];
      if (entry === 0 || entry >>> CLOCK_BITS !== print) continue;
      words[way] = 0;
      return ((this.now() - entry) & CLOCK_MASK) <= this.ageMax;
    }
    return false;
  }

  private now(): number {
    return Math.floor((this.words[Header.GhostClock] >>> 0) / this.tick) & CLOCK_MASK;
  }

  private setOf(mapping: Slot, index: number): number {
    return this.at + ((Math.imul(hashOf(mapping, index), 0x9e37_79b1) >>> 4) % this.sets) * WAYS;
  }
}

/** 20 bits, never 0. */
function printOf(mapping: Slot, index: number): number {
  return (Math.imul(hashOf(mapping, index), 0x27d4_eb2f) >>> 12) | 1;
}
