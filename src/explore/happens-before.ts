/**
 * Which schedules are the same: the order of their conflicting steps, as a hash (Mazurkiewicz's traces).
 *
 * Every step becomes a hash of its thread, of the thread's step before it, and, for each resource it touches, of the last
 * step that wrote it and, for a write, of the steps that read it since. The hash of a run is the sum of its steps'. Two runs
 * that order all conflicting steps alike have the same hash, whatever the order of the others; and they have led to the same
 * state of memory, device and threads. (Musuvathi and Qadeer, "Partial-order reduction for context-bounded state
 * exploration", 2007: unlike sleep sets this stays sound when preemptions are bounded, because it prunes at a state that was
 * reached before with the same thread running and no more preemptions spent.)
 *
 * 64 bits, in two words of 32.
 */
import type { Footprint } from './footprint.js';

export class HappensBefore {
  private readonly lastWriteA: Int32Array;
  private readonly lastWriteB: Int32Array;
  private readonly readsA: Int32Array;
  private readonly readsB: Int32Array;
  private readonly threadA = new Int32Array(32);
  private readonly threadB = new Int32Array(32);
  private a = 0;
  private b = 0;

  constructor(resources: number) {
    this.lastWriteA = new Int32Array(resources);
    this.lastWriteB = new Int32Array(resources);
    this.readsA = new Int32Array(resources);
    this.readsB = new Int32Array(resources);
  }

  reset(): void {
    this.lastWriteA.fill(0);
    this.lastWriteB.fill(0);
    this.readsA.fill(0);
    this.readsB.fill(0);
    this.threadA.fill(0);
    this.threadB.fill(0);
    this.a = 0;
    this.b = 0;
  }

  /** The thread's next step; `label` tells apart what a thread may do at one place (run on, or die). */
  step(thread: number, label: number, footprint: Footprint): void {
    const { resources, count } = footprint;
    const { lastWriteA, lastWriteB, readsA, readsB } = this;
    let sumA = 0;
    let sumB = 0;
    for (let i = 0; i < count; i++) {
      const r = resources[i];
      let x = lastWriteA[r];
      let y = lastWriteB[r];
      if (footprint.isWrite(r)) {
        x = (x + Math.imul(readsA[r], 0x2545_f491)) | 0;
        y = (y + Math.imul(readsB[r], 0x1b87_3593)) | 0;
      }
      sumA = (sumA + mix(x ^ Math.imul(r + 1, 0x9e37_79b1))) | 0;
      sumB = (sumB + mix(y ^ Math.imul(r + 1, 0x85eb_ca6b))) | 0;
    }
    const a = mix(Math.imul(this.threadA[thread], 31) + mix(thread + 1 + 64 * label) + Math.imul(sumA, 0x27d4_eb2f));
    const b = mix(Math.imul(this.threadB[thread], 37) + mix(thread + 101 + 64 * label) + Math.imul(sumB, 0x1656_67b1));
    this.threadA[thread] = a;
    this.threadB[thread] = b;
    for (let i = 0; i < count; i++) {
      const r = resources[i];
      if (footprint.isWrite(r)) {
        lastWriteA[r] = a;
        lastWriteB[r] = b;
        readsA[r] = 0;
        readsB[r] = 0;
      } else {
        readsA[r] = (readsA[r] + a) | 0;
        readsB[r] = (readsB[r] + b) | 0;
      }
    }
    this.a = (this.a + a) | 0;
    this.b = (this.b + b) | 0;
  }

  /** The run so far, with the thread that runs: 53 bits of the hash. */
  key(running: number): number {
    const a = mix(this.a + Math.imul(running + 1, 0x9e37_79b1)) >>> 0;
    return a * 2 ** 21 + (mix(this.b) >>> 11);
  }
}

function mix(value: number): number {
  let h = Math.imul(value ^ (value >>> 16), 0x7feb_352d);
  h = Math.imul(h ^ (h >>> 15), 0x846c_a68b);
  return h ^ (h >>> 16);
}
