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
  {
    name: 'shorten-two-writes',
    family: 'truncate',
    description: 'a truncation meets two writes behind the new end, which then make the file longer again',
    files: [{ name: VICTIM, pages: 5 }],
    threads: [
      { name: 'truncater', operations: [{ kind: 'truncate', file: VICTIM, to: 1 }] },
      { name: 'first', operations: [{ kind: 'write', file: VICTIM, at: 2.25, length: 0.25 }] },
      { name: 'second', operations: [{ kind: 'write', file: VICTIM, at: 4.25, length: 0.25 }] },
    ],
  },
  {
    name: 'two-truncations',
    family: 'truncate',
    description: 'truncations of two files, which are recorded in the same list',
    files: [
      { name: VICTIM, pages: 3 },
      { name: 'other', pages: 3 },
    ],
    threads: [VICTIM, 'other'].map((file) => ({
      name: `${file}-truncater`,
      operations: [{ kind: 'truncate', file, to: 1 }],
    })),
  },
];
