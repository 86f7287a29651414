/**
 * Breadth-first search through all states that a model can come to, and the shortest way to the first bad one.
 *
 *  1. From each state every processor that can goes on by one step, or flushes its oldest store: all interleavings.
 *  2. A state that was met before is not entered again. States are compared whole, not by a hash, so none is left out.
 *  3. Bad is: a step that throws, a state that `check` throws about, a state without a move where a program has not ended.
 */
import { Cpu, type Program } from './machine.js';

export interface Model {
  name: string;
  shared: Uint16Array;
  programs: Program[];
  check(state: Uint16Array, cpu: Cpu): void;
  /** What the run came to, looked at once all programs have ended. */
  outcome(state: Uint16Array, cpu: Cpu): string;
}

export interface Verdict {
  states: number;
  outcomes: Set<string>;
  /** Undefined when no state is bad. */
  failure?: { message: string; trace: string[] };
}

export function search(model: Model): Verdict {
  const { programs } = model;
  const cpu = new Cpu(model.shared.length);
  const first = cpu.initial(model.shared, programs.length);
  const bytes = Buffer.from(first.buffer);
  const keys = [bytes.toString('utf16le')];
  const seen = new Set(keys);
  const parents = [-1];
  const moves = [0];
  const outcomes = new Set<string>();
  const current = new Uint16Array(first.length);
  const currentBytes = Buffer.from(current.buffer);
  const next = new Uint16Array(first.length);
  const nextBytes = Buffer.from(next.buffer);
  const failed = (at: number, move: number, error: unknown): Verdict => {
    const message = error instanceof Error ? error.message : String(error);
    const path = move < 0 ? [] : [move];
    for (let i = at; i > 0; i = parents[i]) path.unshift(moves[i]);
    return { states: keys.length, outcomes, failure: { message, trace: replay(model, path) } };
  };
  for (let at = 0; at < keys.length; at++) {
    currentBytes.write(keys[at], 'utf16le');
    let moved = false;
    for (let move = 0; move < 2 * programs.length; move++) {
      const process = move >> 1;
      next.set(current);
      try {
        if ((move & 1) !== 0) {
          if (!cpu.flush(next, process)) continue;
        } else {
          const step = cpu.ready(current, process, programs[process]);
          if (step === undefined || !cpu.take(next, process, programs[process], step)) continue;
        }
        model.check(next, cpu);
      } catch (error) {
        return failed(at, move, error);
      }
      moved = true;
      const key = nextBytes.toString('utf16le');
      if (seen.has(key)) continue;
      seen.add(key);
      keys.push(key);
      parents.push(at);
      moves.push(move);
    }
    if (moved) continue;
    try {
      for (let process = 0; process < programs.length; process++) {
        if (!cpu.isDone(current, process)) throw new Error(`standstill: ${programs[process].name} cannot go on`);
      }
      outcomes.add(model.outcome(current, cpu));
    } catch (error) {
      return failed(at, -1, error);
    }
  }
  return { states: keys.length, outcomes };
}

/** The moves in words. */
function replay(model: Model, path: number[]): string[] {
  const cpu = new Cpu(model.shared.length);
  const state = cpu.initial(model.shared, model.programs.length);
  return path.map((move) => {
    const process = move >> 1;
    const program = model.programs[process];
    if ((move & 1) !== 0) {
      cpu.flush(state, process);
      return `${program.name}: oldest store becomes visible`;
    }
    const step = cpu.ready(state, process, program)!;
    try {
      cpu.take(state, process, program, step);
    } catch {
      // The last step is the bad one; its error is the message.
    }
    return `${program.name}: ${step.label}${step.source === '' ? '' : `  (${step.source}: ${step.code})`}`;
  });
}
