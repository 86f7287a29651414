/** What may meet an invalidation: the other thread of most scenarios. All of them are about page 1 of the victim. */
import type { Scenario, ScenarioFile, ScenarioOperation } from '../scenario.js';

export const VICTIM = 'victim';

export interface Opponent {
  readonly name: string;
  readonly what: string;
  readonly operations: readonly ScenarioOperation[];
  /** What the victim's cache holds, where it matters. */
  readonly cache?: Pick<ScenarioFile, 'cached' | 'dirty'>;
}

export const OPPONENTS: readonly Opponent[] = [
  { name: 'read', what: 'a read miss', operations: [{ kind: 'read', file: VICTIM, at: 1, length: 1 }] },
  { name: 'readahead', what: 'readahead', operations: [{ kind: 'readahead', file: VICTIM, at: 1, length: 1 }] },
  { name: 'willneed', what: 'WILLNEED', operations: [{ kind: 'willneed', file: VICTIM, at: 1, length: 1 }] },
  { name: 'fault', what: 'a page fault', operations: [{ kind: 'fault', file: VICTIM, at: 1 }] },
  {
    name: 'mkwrite',
    what: 'a write through a mapping',
    operations: [{ kind: 'mkwrite', file: VICTIM, at: 1.25, length: 0.25 }],
  },
  {
    name: 'write',
    what: 'a write of part of the page',
    operations: [{ kind: 'write', file: VICTIM, at: 1.25, length: 0.25 }],
  },
  {
    name: 'writeback',
    what: 'writeback of the page',
    operations: [{ kind: 'writeback', file: VICTIM }],
    cache: { dirty: [1] },
  },
];

/** One scenario for each opponent: `NAME-OPPONENT`. */
export function againstAll(
  name: string,
  what: string,
  family: string,
  pages: number,
  operations: readonly ScenarioOperation[],
): Scenario[] {
  return OPPONENTS.map((opponent) => ({
    name: `${name}-${opponent.name}`,
    family,
    description: `${what} meets ${opponent.what}`,
    files: [{ name: VICTIM, pages, ...opponent.cache }],
    threads: [
      { name, operations },
      { name: opponent.name, operations: opponent.operations },
    ],
  }));
}
