/**
 * Makes a failing schedule as simple as it goes: fewest preemptions, then fewest switches, then fewest choices spelled out.
 *
 * Tries to do without one run of steps after the other, or with a shorter one; what fails in the same way (kind of failure)
 * with less is taken, until nothing is left to leave out. Choices that no longer fit give way to the default.
 */

import type { Execution } from './execution.js';
import { chooseOn } from './exhaustive.js';
import { Replay } from './replay.js';
import type { Failure } from './verdict.js';

const TRIES_MAX = 400;

interface Candidate {
  readonly choices: readonly number[];
  readonly preemptions: number;
  readonly switches: number;
  readonly steps: number;
}

export function shrink(run: Execution, failure: Failure, choices: readonly number[]): number[] {
  let best = tryOut(run, failure, choices);
  if (best === null) return [...choices];
  let tries = 0;
  for (let improved = true; improved && tries < TRIES_MAX; ) {
    improved = false;
    for (const shorter of simpler(best.choices)) {
      if (++tries > TRIES_MAX) break;
      const candidate = tryOut(run, failure, shorter);
      if (candidate === null || !isSimpler(candidate, best)) continue;
      best = candidate;
      improved = true;
      break;
    }
  }
  return [...withoutDefaults(run, failure, best.choices)];
}

/** The choices with one of their runs left out, or put together with the one before it. */
function* simpler(choices: readonly number[]): Generator<number[]> {
  const starts = choices.map((_, i) => i).filter((i) => i === 0 || choices[i] !== choices[i - 1]);
  for (let i = starts.length - 1; i >= 0; i--) {
    const end = starts[i + 1] ?? choices.length;
    yield [...choices.slice(0, starts[i]), ...choices.slice(end)];
    yield choices.slice(0, starts[i]);
  }
  for (let i = starts.length - 1; i > 0; i--) {
    yield [...choices.slice(0, starts[i]), choices[starts[i] - 1], ...choices.slice(starts[i])];
  }
}

/** What really ran, if it fails as it should. */
function tryOut(run: Execution, failure: Failure, choices: readonly number[]): Candidate | null {
  const found = run.run(new Replay(choices));
  if (found === null || found.kind !== failure.kind) return null;
  const taken = [...run.choices];
  const switches = taken.filter((choice, i) => i > 0 && choice !== taken[i - 1]).length;
  return { choices: taken, preemptions: run.preemptions, switches, steps: taken.length };
}

function isSimpler(a: Candidate, b: Candidate): boolean {
  if (a.preemptions !== b.preemptions) return a.preemptions < b.preemptions;
  if (a.switches !== b.switches) return a.switches < b.switches;
  return a.steps < b.steps;
}

/** Leaves out what would be chosen anyway, from the end. */
function withoutDefaults(run: Execution, failure: Failure, choices: readonly number[]): readonly number[] {
  let needed = 0;
  run.run({
    choose(current) {
      const at = current.choices.length;
      const choice = choices[at] ?? chooseOn(current);
      if (at < choices.length && choice !== chooseOn(current)) needed = at + 1;
      return choice;
    },
  });
  const short = choices.slice(0, needed);
  return tryOut(run, failure, short) === null ? choices : short;
}
