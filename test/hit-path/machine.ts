/**
 * A machine for small models of concurrent code: shared words, a few processors with x86's store buffers, programs of steps.
 *
 * One state is one array of 16-bit words: the shared ones, then for each processor its program counter, its buffered
 * stores and its registers. So a state is copied, compared and remembered as a whole.
 *
 *  1. A step has one shared access that others can interfere with, and is what a processor does without interruption.
 *  2. Loads happen in program order. A store waits in its processor's buffer; its own loads see it at once, others when it
 *     is flushed, which is a move of its own, in the order of the stores. That is x86-TSO.
 *  3. A locked step (every read-modify-write and every Atomics.store) takes place only once the buffer is empty.
 *  4. A step that answers WAIT has changed nothing: it is tried again later.
 *  5. Ghost words and registers are for the invariants alone. No step goes another way because of them.
 */
import assert from 'node:assert/strict';

export const WAIT = '(waits)';
export const END = '(ends)';

export interface Step {
  label: string;
  /** The function that it stands for, as `file: function`, and a piece of its text; empty where it is the model's own. */
  source: string;
  code: string;
  locked: boolean;
  /** Answers the label of the next step. */
  run(cpu: Cpu): string;
}

export interface Program {
  name: string;
  steps: Step[];
  next: Map<string, number>;
}

const BUFFER = 4;
const PC = 0;
const BUFFERED = 1;
const STORES = 2;
const REGISTERS = STORES + 2 * BUFFER;
export const REGISTER_COUNT = 10;
/** The only register that outlives its program. */
export const ANSWER = 0;
const PROCESS_WORDS = REGISTERS + REGISTER_COUNT;
const DONE = 0xffff;

export function programOf(name: string, steps: Step[]): Program {
  const next = new Map(steps.map((step, pc) => [step.label, pc]));
  assert.equal(next.size, steps.length, `${name}: a label is there twice`);
  next.set(END, DONE);
  return { name, steps, next };
}

export class Cpu {
  state: Uint16Array = new Uint16Array(0);
  private base = 0;
  private locked = false;

  constructor(private readonly sharedWords: number) {}

  initial(shared: Uint16Array, programs: number): Uint16Array {
    const state = new Uint16Array(this.sharedWords + programs * PROCESS_WORDS);
    state.set(shared);
    return state;
  }

  isDone(state: Uint16Array, process: number): boolean {
    const at = this.sharedWords + process * PROCESS_WORDS;
    return state[at + PC] === DONE && state[at + BUFFERED] === 0;
  }

  registerOf(state: Uint16Array, process: number, register: number): number {
    return state[this.sharedWords + process * PROCESS_WORDS + REGISTERS + register];
  }

  /** The step that the process comes to next, if it can take it now. */
  ready(state: Uint16Array, process: number, program: Program): Step | undefined {
    const at = this.sharedWords + process * PROCESS_WORDS;
    if (state[at + PC] === DONE) return undefined;
    const step = program.steps[state[at + PC]];
    return step.locked && state[at + BUFFERED] !== 0 ? undefined : step;
  }

  /** Takes the step in `state`, a copy of the caller's; false when it waits. */
  take(state: Uint16Array, process: number, program: Program, step: Step): boolean {
    this.state = state;
    this.base = this.sharedWords + process * PROCESS_WORDS;
    this.locked = step.locked;
    const label = step.run(this);
    if (label === WAIT) return false;
    const pc = program.next.get(label);
    assert(pc !== undefined, `${program.name}: no step ${label}`);
    state[this.base + PC] = pc;
    if (pc === DONE) state.fill(0, this.base + REGISTERS + ANSWER + 1, this.base + PROCESS_WORDS);
    return true;
  }

  /** Makes the oldest buffered store visible to all; false when there is none. */
  flush(state: Uint16Array, process: number): boolean {
    const at = this.sharedWords + process * PROCESS_WORDS;
    if (state[at + BUFFERED] === 0) return false;
    const first = at + STORES;
    state[state[first]] = state[first + 1];
    state.copyWithin(first, first + 2, first + 2 * BUFFER);
    state.fill(0, first + 2 * (BUFFER - 1), first + 2 * BUFFER);
    state[at + BUFFERED]--;
    return true;
  }

  get(register: number): number {
    return this.state[this.base + REGISTERS + register];
  }

  set(register: number, value: number): number {
    this.state[this.base + REGISTERS + register] = value;
    return value;
  }

  load(word: number): number {
    const first = this.base + STORES;
    for (let i = this.state[this.base + BUFFERED] - 1; i >= 0; i--) {
      if (this.state[first + 2 * i] === word) return this.state[first + 2 * i + 1];
    }
    return this.state[word];
  }

  store(word: number, value: number): void {
    const buffered = this.state[this.base + BUFFERED]++;
    assert(buffered < BUFFER, 'the store buffer is full');
    this.state[this.base + STORES + 2 * buffered] = word;
    this.state[this.base + STORES + 2 * buffered + 1] = value;
  }

  /** Atomics.store and all read-modify-writes; answers what was there. */
  swap(word: number, value: number): number {
    assert(this.locked, 'a locked operation in a step that is not');
    const old = this.state[word];
    this.state[word] = value;
    return old;
  }

  compareSwap(word: number, expected: number, value: number): boolean {
    assert(this.locked, 'a locked operation in a step that is not');
    if (this.state[word] !== expected) return false;
    this.state[word] = value;
    return true;
  }
}
