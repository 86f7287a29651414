/** Collapsing and inserting a range against everything that fills, dirties or writes back a page that moves. */
import type { Scenario } from '../scenario.js';
import { againstAll, VICTIM } from './against.js';

export const SHIFT: readonly Scenario[] = [
  ...againstAll('collapse', 'a collapse before the page', 'shift', 3, [
    { kind: 'collapse', file: VICTIM, at: 0, length: 1 },
  ]),
  ...againstAll('insert', 'an insertion before the page', 'shift', 3, [
    { kind: 'insert', file: VICTIM, at: 1, length: 1 },
  ]),
];
