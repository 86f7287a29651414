/**
 * Freed blocks that are somebody else's at once: the punch is made durable, and a neighbour that is looking right there gets
 * them and writes to them. What comes late then shows the neighbour's bytes, or destroys them.
 */
import type { Scenario } from '../scenario.js';
import { OPPONENTS, VICTIM } from './against.js';

const NEIGHBOUR = 'neighbour';
const OTHER = 'other';

/** What the opponent leaves dirty is written back too. */
const WRITES = new Set(['mkwrite', 'write']);

const afterCommit: readonly Scenario[] = OPPONENTS.map((opponent) => ({
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

/** As above with the commit last: until then nobody may have the blocks, since a crash would give them back. */
const beforeCommit: Scenario = {
  name: 'reuse-early',
  family: 'reuse',
  description: 'a neighbour that writes right beside a punched page whose punch is not durable yet, and a read',
  files: [
    { name: VICTIM, pages: 3 },
    { name: NEIGHBOUR, pages: 0, near: { file: VICTIM, page: 1 } },
  ],
  threads: [
    {
      name: 'puncher',
      operations: [
        { kind: 'punch', file: VICTIM, at: 1, length: 1 },
        { kind: 'write', file: NEIGHBOUR, at: 0, length: 1 },
        { kind: 'writeback', file: NEIGHBOUR },
        { kind: 'commit', file: VICTIM },
      ],
    },
    { name: 'reader', operations: [{ kind: 'read', file: NEIGHBOUR, at: 0, length: 1 }] },
  ],
};

/** A commit that began before the punch releases what earlier transactions freed, and not the punched blocks. */
const otherCommit: Scenario = {
  name: 'reuse-other-commit',
  family: 'reuse',
  description: 'a commit that is under way while a page is punched, whose blocks a neighbour is waiting for',
  files: [
    { name: VICTIM, pages: 3 },
    { name: NEIGHBOUR, pages: 0, near: { file: VICTIM, page: 1 } },
    { name: OTHER, pages: 2 },
  ],
  threads: [
    {
      name: 'committer',
      operations: [
        { kind: 'punch', file: OTHER, at: 0, length: 1 },
        { kind: 'commit', file: OTHER },
      ],
    },
    {
      name: 'puncher',
      operations: [
        { kind: 'punch', file: VICTIM, at: 1, length: 1 },
        { kind: 'write', file: NEIGHBOUR, at: 0, length: 1 },
        { kind: 'writeback', file: NEIGHBOUR },
      ],
    },
  ],
};

export const REUSE: readonly Scenario[] = [...afterCommit, beforeCommit, otherCommit];
