/**
 * How micro-benchmarks are measured and told.
 *
 * An operation of less than a microsecond is far below what a timer and a call of tinybench cost, so that a case does a
 * batch of operations per call; the figure is the median batch divided, of the best of several rounds. Each engine figure stands beside its bare limit
 * from the same run; only ratios are compared between machines.
 */
import { Bench } from 'tinybench';
import { formatTable } from '../../src/cli/print.js';
import { formatLatency } from '../workloads/summary.js';

export interface Case {
  name: string;
  /** Operations that one call does. */
  batch: number;
  run: () => unknown;
}

/** A claim about two cases of a suite: `name` takes at most (or is at least) so many times `other`. */
export interface Claim {
  name: string;
  other: string;
  /** Of the time of one operation. */
  atMost?: number;
  /** How many times as fast. */
  atLeast?: number;
}

export interface Suite {
  name: string;
  cases: Case[];
  claims: Claim[];
}

/** Nanoseconds of one operation, by case. */
export type Figures = Map<string, number>;

/** How long to measure. In a round every case takes its turn, so that a busy moment does not fall on one of them. */
export interface Effort {
  rounds: number;
  /** Of one case in one round; at least `iterations` calls are made all the same. */
  timeMs: number;
  iterations: number;
}

export const FULL_EFFORT: Effort = { rounds: 5, timeMs: 200, iterations: 64 };
export const QUICK_EFFORT: Effort = { rounds: 1, timeMs: 1, iterations: 2 };

export async function measure(suite: Suite, { rounds, timeMs, iterations }: Effort): Promise<Figures> {
  const figures: Figures = new Map();
  for (let round = 0; round < rounds; round++) {
    const bench = new Bench({
      name: suite.name,
      time: timeMs,
      iterations,
      warmupTime: timeMs / 4,
      warmupIterations: Math.ceil(iterations / 4),
      throws: true,
    });
    for (const { name, run } of suite.cases) bench.add(name, run as () => void);
    await bench.run();
    for (const [i, { name, result }] of bench.tasks.entries()) {
      if (!('latency' in result)) throw new Error(`${suite.name}: '${name}' was not measured`);
      const ns = (result.latency.p50 * 1e6) / suite.cases[i].batch;
      figures.set(name, Math.min(ns, figures.get(name) ?? Number.POSITIVE_INFINITY));
    }
  }
  return figures;
}

export function reportSuite(suite: Suite, figures: Figures): string {
  const rows = suite.cases.map(({ name }) => [name, formatLatency(figures.get(name)!)]);
  const table = formatTable([suite.name, 'per operation'], rows, ['per operation']);
  return [table, ...suite.claims.map((claim) => claimLine(claim, figures))].join('\n');
}

export function claimLine({ name, other, atMost, atLeast }: Claim, figures: Figures): string {
  const [a, b] = [figures.get(name)!, figures.get(other)!];
  if (atLeast !== undefined) {
    const ratio = b / a;
    return `${verdictOf(ratio >= atLeast)} ${name}: ${ratio.toFixed(2)} times as fast as ${other} (at least ${atLeast})`;
  }
  const ratio = a / b;
  const bound = atMost === undefined ? '' : ` (at most ${atMost.toFixed(2)})`;
  return `${verdictOf(atMost === undefined || ratio <= atMost)} ${name}: ${ratio.toFixed(2)} times ${other}${bound}`;
}

function verdictOf(holds: boolean): string {
  return holds ? 'ok  ' : 'MISS';
}
