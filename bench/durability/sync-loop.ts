/** One thread of those that share commits: a job of the store that overwrites units of a file of its own, each with a `sync`. */
import type { SyncStore } from '../../src/worker.js';

export const UNIT_BYTES = 4096;

export interface SyncLoop {
  name: string;
  fileBytes: number;
  calls: number;
  /** Word 0: how many threads are there; all begin when `threads` are. */
  gate: Int32Array;
  threads: number;
}

export interface SyncLoopResult {
  /** `Date.now` with the fraction of `performance.now`, which threads do not share. */
  startMs: number;
  endMs: number;
}

export default function loop(store: SyncStore, { name, fileBytes, calls, gate, threads }: SyncLoop): SyncLoopResult {
  const file = store.open(name, 'r+');
  const buffer = new Uint8Array(UNIT_BYTES).fill(3);
  const units = fileBytes / UNIT_BYTES;
  if (Atomics.add(gate, 0, 1) + 1 === threads) Atomics.notify(gate, 0);
  for (let there = Atomics.load(gate, 0); there < threads; there = Atomics.load(gate, 0)) Atomics.wait(gate, 0, there);
  const startMs = performance.timeOrigin + performance.now();
  for (let call = 0; call < calls; call++) {
    file.write(buffer, 0, UNIT_BYTES, (call % units) * UNIT_BYTES);
    file.sync();
  }
  const endMs = performance.timeOrigin + performance.now();
  file.close();
  return { startMs, endMs };
}
