/** What measuring costs: the clock and the histogram of the load threads, per operation. */
import { performance } from 'node:perf_hooks';
import { Histogram } from '../workloads/histogram.js';
import { ZipfOffsets } from '../workloads/offsets.js';
import { Random } from '../workloads/random.js';
import type { Case, Suite } from './measure.js';

const BATCH = 10_000;

function repeated(name: string, once: (i: number) => number): Case {
  const run = () => {
    let sum = 0;
    for (let i = 0; i < BATCH; i++) sum += once(i);
    return sum;
  };
  return { name, batch: BATCH, run };
}

export function clockSuite(): Suite {
  const histogram = new Histogram();
  const random = new Random(1);
  const zipf = new ZipfOffsets(1 << 18, 1.2, random);
  return {
    name: 'cost of measuring',
    cases: [
      repeated('performance.now()', () => performance.now()),
      repeated('process.hrtime()', () => process.hrtime()[1]),
      repeated('Histogram.record()', (i) => {
        histogram.record(1000 + (i & 4095));
        return 0;
      }),
      repeated('uniform offset', () => random.below(1 << 18)),
      repeated('zipf offset', () => zipf.next()),
    ],
    claims: [],
  };
}
