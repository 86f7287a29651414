/** One thread of those that share commits: a job of the store that overwrites units of a file of its own, each with a `sync`. */
import type { SyncFile, SyncStore } from '../../src/worker.js';
import { lengthenFlushes } from './slow-flush.js';

export const UNIT_BYTES = 4096;

export interface SyncLoop {
  name: string;
  fileBytes: number;
  calls: number;
  /** Syncs for so long before the gate, untimed: each thread compiles the code for itself. */
  warmMs: number;
  /** How much longer flushes take behind the gate. */
  flushMs: number;
  /** Word 0: how many threads are there; all begin when `threads` are. */
  gate: Int32Array;
  threads: number;
}

export interface SyncLoopResult {
  /** `Date.now` with the fraction of `performance.now`, which threads do not share. */
  startMs: number;
  endMs: number;
}

const buffer = new Uint8Array(UNIT_BYTES).fill(3);

export default function loop(store: SyncStore, options: SyncLoop): SyncLoopResult {
  const { name, calls, warmMs, flushMs, gate, threads } = options;
  const file = store.open(name, 'r+');
  const units = options.fileBytes / UNIT_BYTES;
  const warmUntilMs = performance.now() + warmMs;
  for (let call = 0; performance.now() < warmUntilMs; call++) writeDurably(file, call % units);
  if (Atomics.add(gate, 0, 1) + 1 === threads) Atomics.notify(gate, 0);
  for (let there = Atomics.load(gate, 0); there < threads; there = Atomics.load(gate, 0)) Atomics.wait(gate, 0, there);
  lengthenFlushes(flushMs);
  const startMs = performance.timeOrigin + performance.now();
  for (let call = 0; call < calls; call++) writeDurably(file, call % units);
  const endMs = performance.timeOrigin + performance.now();
  lengthenFlushes(0);
  file.close();
  return { startMs, endMs };
}

function writeDurably(file: SyncFile, unit: number): void {
  file.write(buffer, 0, UNIT_BYTES, unit * UNIT_BYTES);
  file.sync();
}
