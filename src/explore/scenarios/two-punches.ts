/** Two punches of one file at once, and a third thread that looks. */
import type { Scenario } from '../scenario.js';
import { VICTIM } from './against.js';

const first = { name: 'first', operations: [{ kind: 'punch', file: VICTIM, at: 0, length: 2 }] } as const;
const second = { name: 'second', operations: [{ kind: 'punch', file: VICTIM, at: 1, length: 2 }] } as const;

export const TWO_PUNCHES: readonly Scenario[] = [
  {
    name: 'two-punches',
    family: 'two-punches',
    description: 'two punches that overlap',
    files: [{ name: VICTIM, pages: 4, dirty: [1] }],
    threads: [first, second],
  },
  {
    name: 'two-punches-read',
    family: 'two-punches',
    description: 'two punches that overlap, and a read of both ranges',
    files: [{ name: VICTIM, pages: 4 }],
    threads: [first, second, { name: 'reader', operations: [{ kind: 'read', file: VICTIM, at: 0, length: 3 }] }],
  },
  {
    name: 'punch-collapse',
    family: 'two-punches',
    description: 'a punch meets a collapse of the same page',
    files: [{ name: VICTIM, pages: 4 }],
    threads: [first, { name: 'collapser', operations: [{ kind: 'collapse', file: VICTIM, at: 1, length: 1 }] }],
  },
];
