/**
 * A schedule as a string: `1:SCHEME:SCENARIO:CHOICES`, short enough to paste.
 *
 * The choices are runs of steps: a letter for the thread (A is the scenario's first) and how many steps it takes, in base 35,
 * 1 left out: `Ab` is eleven steps of A. `z` before a letter: that thread dies instead. After the last choice everybody goes
 * on as far as he can, the running thread first, then the scenario's order.
 */
import { StoreError } from '../errors.js';
import { DIES } from './execution.js';

/** Counts up when strings of before would replay as something else. */
export const SCHEDULE_VERSION = 1;

export interface Schedule {
  readonly scheme: string;
  readonly scenario: string;
  readonly choices: readonly number[];
}

const DEATH = 'z';
const RUN = /(z?)([A-H])([0-9a-y]*)/gy;

export function formatSchedule({ scheme, scenario, choices }: Schedule): string {
  let text = '';
  for (let i = 0; i < choices.length; ) {
    let end = i + 1;
    if ((choices[i] & DIES) === 0) while (choices[end] === choices[i]) end++;
    const letter = String.fromCharCode(65 + (choices[i] & (DIES - 1)));
    text += ((choices[i] & DIES) !== 0 ? DEATH : '') + letter + (end - i > 1 ? formatCount(end - i) : '');
    i = end;
  }
  return `${SCHEDULE_VERSION}:${scheme}:${scenario}:${text}`;
}

/** Throws EINVAL for what is no schedule, or one of another version. */
export function parseSchedule(text: string): Schedule {
  const parts = text.split(':');
  if (parts.length !== 4 || !/^\d+$/.test(parts[0])) {
    throw invalid(`'${text}' is no schedule: VERSION:SCHEME:SCENARIO:CHOICES`);
  }
  const [version, scheme, scenario, runs] = parts;
  if (Number(version) !== SCHEDULE_VERSION) {
    throw invalid(`the schedule is of version ${version}, and this is version ${SCHEDULE_VERSION}`);
  }
  const choices: number[] = [];
  RUN.lastIndex = 0;
  while (RUN.lastIndex < runs.length) {
    const at = RUN.lastIndex;
    const match = RUN.exec(runs);
    if (match === null) throw invalid(`'${runs.slice(at)}' is no run of choices`);
    const choice = match[2].charCodeAt(0) - 65 + (match[1] === DEATH ? DIES : 0);
    const count = match[3] === '' ? 1 : parseCount(match[3]);
    if (!(count >= 1 && count <= 100_000)) throw invalid(`'${match[0]}' is no run of choices`);
    for (let i = 0; i < count; i++) choices.push(choice);
  }
  return { scheme, scenario, choices };
}

// `z` is taken: base 35.
function formatCount(count: number): string {
  return count.toString(35);
}

function parseCount(text: string): number {
  return Number.parseInt(text, 35);
}

function invalid(detail: string): StoreError {
  return new StoreError('EINVAL', { syscall: 'explore', detail });
}
