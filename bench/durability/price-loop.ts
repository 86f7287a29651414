/** One reader or writer of the load beside which the journal is measured: a job of the store, until it is told to stop. */
import type { SyncStore } from '../../src/worker.js';
import { Random } from '../workloads/random.js';

const UNIT_BYTES = 8192;

/** Words that the job shares with who measures. */
export const enum PriceWord {
  Stop,
  /** From here on: operations of each job. */
  Counts,
}

export interface PriceLoop {
  fileBytes: number;
  words: Int32Array;
  index: number;
  writes: boolean;
}

export default function loop(store: SyncStore, { fileBytes, words, index, writes }: PriceLoop): void {
  const file = store.open('file', 'r+');
  const buffer = new Uint8Array(UNIT_BYTES).fill(index);
  const random = new Random(1, index);
  const units = fileBytes / UNIT_BYTES;
  while (Atomics.load(words, PriceWord.Stop) === 0) {
    const position = Math.floor(random.fraction() * units) * UNIT_BYTES;
    if (writes) file.write(buffer, 0, UNIT_BYTES, position);
    else file.read(buffer, 0, UNIT_BYTES, position);
    Atomics.add(words, PriceWord.Counts + index, 1);
  }
  file.close();
}
