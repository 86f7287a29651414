/** A punch, and a zeroing, against everything that fills, dirties or writes back the page that is taken out. */
import type { Scenario } from '../scenario.js';
import { againstAll, VICTIM } from './against.js';

export const PUNCH: readonly Scenario[] = [
  ...againstAll('punch', 'a punch of the page', 'punch', 3, [{ kind: 'punch', file: VICTIM, at: 1, length: 1 }]),
  // Its edges are zeroed in the cache, and no page goes whole.
  ...againstAll('edge', 'a punch of part of the page', 'punch', 3, [
    { kind: 'punch', file: VICTIM, at: 1.5, length: 1 },
  ]),
  {
    name: 'punch-wide',
    family: 'punch',
    description: 'a punch in the middle of what one read brings in at once',
    // A fill takes a small part of the cache at most.
    frames: 128,
    files: [{ name: VICTIM, pages: 4 }],
    threads: [
      { name: 'punch', operations: [{ kind: 'punch', file: VICTIM, at: 1, length: 2 }] },
      { name: 'read', operations: [{ kind: 'read', file: VICTIM, at: 0, length: 4 }] },
    ],
  },
  ...againstAll('zero', 'a zeroing of the page', 'punch', 3, [{ kind: 'zero', file: VICTIM, at: 1, length: 1 }]),
];
