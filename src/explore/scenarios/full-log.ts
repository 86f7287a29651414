/**
 * Commits that find no room in the journal's log: each has to write back first what the log holds, while others change
 * metadata, wait for room in the transaction, commit, or empty the log as well.
 */
import type { Scenario, ScenarioFile, ScenarioThread } from '../scenario.js';
import { VICTIM } from './against.js';

const OTHER = 'other';
/** Fewer than the smallest of the transactions takes, which a test holds. */
const LOG_FREE = 3;

const puncher: ScenarioThread = {
  name: 'puncher',
  operations: [
    { kind: 'punch', file: VICTIM, at: 1, length: 1 },
    { kind: 'commit', file: VICTIM },
  ],
};

const background: ScenarioThread = { name: 'background', operations: [{ kind: 'checkpoint', file: VICTIM }] };

function onFullLog(
  name: string,
  what: string,
  files: readonly ScenarioFile[],
  threads: readonly ScenarioThread[],
): Scenario {
  return { name, family: 'full-log', description: `${what}, with a full log`, logFree: LOG_FREE, files, threads };
}

export const FULL_LOG: readonly Scenario[] = [
  onFullLog(
    'full-punches',
    'two punches of two files, and a commit after each',
    [VICTIM, OTHER].map((name) => ({ name, pages: 3 })),
    [
      puncher,
      {
        name: 'other-puncher',
        operations: [
          { kind: 'punch', file: OTHER, at: 1, length: 1 },
          { kind: 'commit', file: OTHER },
        ],
      },
    ],
  ),
  onFullLog(
    'full-background',
    'a punch and its commit meet the background that empties the log',
    [{ name: VICTIM, pages: 3 }],
    [puncher, background],
  ),
];
