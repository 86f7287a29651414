/**
 * All schedules within a bound on preemptions, those that come to the same left out.
 *
 * Iterative context bounding (Musuvathi and Qadeer, "Iterative context bounding for systematic testing of multithreaded
 * programs", 2007): first every schedule without a preemption, then those with one, and so on. A preemption is a switch away
 * from a thread that could have gone on; switches where a thread sleeps or waits for the device are free. So the first
 * failure found has as few preemptions as any.
 *
 * A run follows its prefix and then lets the running thread run; at each step behind the prefix it leaves the other choices
 * behind as prefixes of further runs. It is cut off where it comes to a state that was reached before, with the same thread
 * running (happens-before.ts): as bounds ascend, that was with no more preemptions, so all that follows has been or will be
 * tried from there.
 */
import { type Chooser, DIES, type Execution, STOP } from './execution.js';
import type { Failure } from './verdict.js';

export interface ExhaustiveOptions {
  /** Preemptions of a schedule, at most. */
  preemptions: number;
  /** Schedules run to their end, at most. */
  schedules: number;
  /** Without the reduction every schedule is run; to see what the reduction leaves out. */
  reduction?: boolean;
  /** Told of every schedule, run to its end or cut off; false ends the search. */
  onSchedule?: (run: Execution) => boolean;
}

export interface SearchResult {
  /** Run to their end. */
  schedules: number;
  /** Cut off because they came to what had been tried. */
  pruned: number;
  /** Ended because there was nothing left to try, and not at the limit. */
  isComplete: boolean;
  /** Everything with so many preemptions was tried; -1 when not even those without any. Infinity: there are no others. */
  bound: number;
  steps: number;
  /** The first of each kind. */
  found: Found[];
}

export interface Found {
  readonly failure: Failure;
  readonly choices: readonly number[];
}

/** Runs after the first failure, to see what else goes wrong. */
const RUNS_AFTER_FAILURE = 400;

class Search implements Chooser {
  prefix: Uint8Array = new Uint8Array(0);
  pruned = false;
  /** Prefixes to be run at this number of preemptions, and at one more. */
  readonly here: Uint8Array[] = [new Uint8Array(0)];
  later: Uint8Array[] = [];
  private readonly reached = new Set<number>();

  constructor(private readonly reduction: boolean) {}

  choose(run: Execution): number {
    const at = run.choices.length;
    if (at < this.prefix.length) return this.prefix[at];
    if (this.reduction) {
      const key = run.happensBefore.key(run.running);
      const known = this.reached.size;
      this.reached.add(key);
      if (this.reached.size === known) {
        this.pruned = true;
        return STOP;
      }
    }
    const choice = chooseOn(run);
    this.leaveOthers(run, choice);
    return choice;
  }

  private leaveOthers(run: Execution, choice: number): void {
    const to = run.wouldPreempt ? this.later : this.here;
    for (let index = 0; index < run.threads.length; index++) {
      if ((run.enabled & (1 << index)) === 0) continue;
      if (index !== choice) to.push(extended(run.choices, index));
      if (run.mayDie(index)) (index === choice ? this.here : to).push(extended(run.choices, index | DIES));
    }
  }
}

/** Who goes on when nothing speaks against it: who runs, or else the first who can. */
export function chooseOn({ enabled, running }: Execution): number {
  if (running >= 0 && (enabled & (1 << running)) !== 0) return running;
  return 31 - Math.clz32(enabled & -enabled);
}

function extended(choices: readonly number[], next: number): Uint8Array {
  const prefix = new Uint8Array(choices.length + 1);
  for (let i = 0; i < choices.length; i++) prefix[i] = choices[i];
  prefix[choices.length] = next;
  return prefix;
}

export function searchExhaustively(run: Execution, options: ExhaustiveOptions): SearchResult {
  const result: SearchResult = { schedules: 0, pruned: 0, isComplete: false, bound: -1, steps: 0, found: [] };
  // Where every step takes time, what comes to the same comes at another time.
  const search = new Search(options.reduction ?? run.world.scenario.stepMs === undefined);
  let left = RUNS_AFTER_FAILURE;
  for (let bound = 0; bound <= options.preemptions; bound++) {
    for (let prefix = search.here.pop(); prefix !== undefined; prefix = search.here.pop()) {
      if (result.schedules >= options.schedules || left === 0) return result;
      search.prefix = prefix;
      search.pruned = false;
      note(result, run, run.run(search));
      if (search.pruned) result.pruned++;
      else result.schedules++;
      if (result.found.length > 0) left--;
      if (options.onSchedule?.(run) === false) return result;
    }
    result.bound = search.later.length === 0 ? Number.POSITIVE_INFINITY : bound;
    if (search.later.length === 0) break;
    search.here.push(...search.later);
    search.later = [];
  }
  result.isComplete = true;
  return result;
}

/** Keeps the failure, if it is the first of its kind. */
export function note(result: SearchResult, run: Execution, failure: Failure | null): void {
  result.steps += run.step;
  if (failure === null || result.found.some((other) => other.failure.kind === failure.kind)) return;
  result.found.push({ failure, choices: [...run.choices] });
}
