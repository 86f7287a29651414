/**
 * Writeback against what dirties, drops or maps the same pages; also of pages whose blocks are only promised (delayed
 * allocation), which get them while they are written.
 */
import type { Scenario, ScenarioOperation } from '../scenario.js';
import { VICTIM } from './against.js';

const PAGES = 3;
const OTHER = 'other';

const writeback: ScenarioOperation = { kind: 'writeback', file: VICTIM };
/** Behind the end of the file: a page without a block. */
const append: ScenarioOperation = { kind: 'write', file: VICTIM, at: PAGES, length: 1 };

function duringWriteback(name: string, what: string, operations: readonly ScenarioOperation[]): Scenario {
  return {
    name: `${name}-writeback`,
    family: 'writeback',
    description: `${what} meets writeback of the same page`,
    files: [{ name: VICTIM, pages: PAGES, dirty: [1] }],
    threads: [
      { name, operations },
      { name: 'writeback', operations: [writeback] },
    ],
  };
}

function afterAppend(name: string, what: string, operation: ScenarioOperation): Scenario {
  return {
    name: `delayed-${name}`,
    family: 'writeback',
    description: `${what} meets the writeback of a page that has no block yet`,
    files: [{ name: VICTIM, pages: PAGES }],
    threads: [
      { name: 'writer', operations: [append, writeback] },
      { name, operations: [operation] },
    ],
  };
}

export const WRITEBACK: readonly Scenario[] = [
  duringWriteback('write', 'a write', [{ kind: 'write', file: VICTIM, at: 1.25, length: 0.25 }]),
  duringWriteback('mkwrite', 'a write through a mapping', [{ kind: 'mkwrite', file: VICTIM, at: 1.25, length: 0.25 }]),
  afterAppend('punch', 'a punch', { kind: 'punch', file: VICTIM, at: PAGES, length: 1 }),
  afterAppend('shorten', 'a truncation', { kind: 'truncate', file: VICTIM, to: 1 }),
  afterAppend('allocate', 'a preallocation', { kind: 'allocate', file: VICTIM, at: PAGES, length: 2 }),
  {
    name: 'two-allocations',
    family: 'writeback',
    description: 'pages of two files get their blocks at the same time and place',
    files: [
      { name: VICTIM, pages: 0 },
      { name: OTHER, pages: 0 },
    ],
    threads: [VICTIM, OTHER].map((file) => ({
      name: `${file}-writer`,
      operations: [
        { kind: 'write', file, at: 0, length: 1 },
        { kind: 'writeback', file },
      ],
    })),
  },
];
