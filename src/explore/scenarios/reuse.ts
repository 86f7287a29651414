/**
 * Freed blocks that are somebody else's at once: the punch is made durable, and a neighbour that is looking right there gets
 * them and writes to them. What comes late then shows the neighbour's bytes, or destroys them.
 */
import type { Scenario } from '../scenario.js';
import { OPPONENTS, VICTIM } from './against.js';

const NEIGHBOUR = 'neighbour';

/** What the opponent leaves dirty is written back too. */
const WRITES = new Set(['mkwrite', 'write']);

export const REUSE: readonly Scenario[] = OPPONENTS.map((opponent) => ({
  name: `reuse-${opponent.name}`,
  family: 'reuse',
  description: `the blocks of a punched page become a neighbour's at once, and meet ${opponent.what}`,
  files: [
    { name: VICTIM, pages: 3, ...opponent.cache },
    { name: NEIGHBOUR, pages: 0, near: { file: VICTIM, page: 1 } },
  ],
  threads: [
    {
      name: 'puncher',
      operations: [
        { kind: 'punch', file: VICTIM, at: 1, length: 1 },
        { kind: 'commit', file: VICTIM },
        { kind: 'write', file: NEIGHBOUR, at: 0, length: 1 },
        { kind: 'writeback', file: NEIGHBOUR },
      ],
    },
    {
      name: opponent.name,
      operations: WRITES.has(opponent.name)
        ? [...opponent.operations, { kind: 'writeback', file: VICTIM }]
        : opponent.operations,
    },
  ],
}));
