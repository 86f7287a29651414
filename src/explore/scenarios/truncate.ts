/** Truncation down, up, and down and up again, against everything that fills, dirties or writes back behind the new end. */
import type { Scenario } from '../scenario.js';
import { againstAll, VICTIM } from './against.js';

export const TRUNCATE: readonly Scenario[] = [
  ...againstAll('shorten', 'a truncation before the page', 'truncate', 3, [{ kind: 'truncate', file: VICTIM, to: 1 }]),
  ...againstAll('cut', 'a truncation inside the page', 'truncate', 3, [{ kind: 'truncate', file: VICTIM, to: 1.375 }]),
  ...againstAll('extend', 'a truncation up, from inside the page', 'truncate', 1.5, [
    { kind: 'truncate', file: VICTIM, to: 3 },
  ]),
  ...againstAll('regrow', 'a truncation down and up again', 'truncate', 3, [
    { kind: 'truncate', file: VICTIM, to: 1 },
    { kind: 'truncate', file: VICTIM, to: 3 },
  ]),
];
