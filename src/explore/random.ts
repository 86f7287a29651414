/**
 * Random schedules with priorities: probabilistic concurrency testing (Burckhardt, Kothari, Musuvathi, Nagarakatte, "A
 * randomized scheduler with probabilistic guarantees of finding bugs", 2010).
 *
 * Each thread gets a random priority, and the highest that can run does. At depth - 1 random steps the running thread's
 * priority falls below all others'. A bug that takes d such orderings is found by a run of depth d with a probability of at
 * least 1/(n k^(d-1)), for n threads and k steps. Depths 1 to DEPTH_MAX take turns.
 */
import { type Chooser, DIES, type Execution } from './execution.js';
import { note, type SearchResult } from './exhaustive.js';

const DEPTH_MAX = 4;
/** What a run's length is taken for before the first one has ended. */
const FIRST_LENGTH = 60;

export interface RandomOptions {
  schedules: number;
  seed: number;
  onSchedule?: (run: Execution) => boolean;
}

class Priorities implements Chooser {
  private readonly priorities: number[] = [];
  private readonly changes = new Set<number>();
  private deathAt = -1;
  private lowest = 0;

  constructor(
    private readonly random: () => number,
    threads: number,
    depth: number,
    length: number,
  ) {
    for (let i = 0; i < threads; i++) this.priorities.push(1 + random());
    for (let i = 1; i < depth; i++) this.changes.add(Math.floor(random() * length));
    this.deathAt = Math.floor(random() * length);
  }

  choose(run: Execution): number {
    const at = run.choices.length;
    if (this.changes.has(at) && run.running >= 0) this.priorities[run.running] = --this.lowest;
    let best = -1;
    for (let index = 0; index < this.priorities.length; index++) {
      if ((run.enabled & (1 << index)) === 0) continue;
      if (best < 0 || this.priorities[index] > this.priorities[best]) best = index;
    }
    return at >= this.deathAt && run.mayDie(best) && this.random() < 0.5 ? best | DIES : best;
  }
}

export function searchRandomly(run: Execution, { schedules, seed, onSchedule }: RandomOptions): SearchResult {
  const result: SearchResult = { schedules: 0, pruned: 0, isComplete: false, bound: -1, steps: 0, found: [] };
  const random = randomFrom(seed);
  let length = FIRST_LENGTH;
  while (result.schedules < schedules && result.found.length === 0) {
    const depth = 1 + (result.schedules % DEPTH_MAX);
    note(result, run, run.run(new Priorities(random, run.world.scenario.threads.length, depth, length)));
    result.schedules++;
    length = Math.max(run.step, 2);
    if (onSchedule?.(run) === false) break;
  }
  return result;
}

/** Mulberry32: uniform in [0, 1). */
function randomFrom(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b_79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}
