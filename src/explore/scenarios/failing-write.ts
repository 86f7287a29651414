/** Writes that fail half-way, at a page that cannot be read or at a device that takes no more, and what meets them. */
import type { Scenario, ScenarioOperation } from '../scenario.js';
import { VICTIM } from './against.js';

const twoPages: ScenarioOperation = { kind: 'write', file: VICTIM, at: 0.5, length: 1 };

export const FAILING_WRITE: readonly Scenario[] = [
  {
    name: 'failing-write-read',
    family: 'failing-write',
    description: 'a write whose second page cannot be read, and a read of both',
    files: [{ name: VICTIM, pages: 3 }],
    faults: [{ io: 'read', file: VICTIM, page: 1 }],
    threads: [
      { name: 'writer', operations: [twoPages] },
      { name: 'reader', operations: [{ kind: 'read', file: VICTIM, at: 0, length: 2 }] },
    ],
  },
  {
    name: 'failing-write-punch',
    family: 'failing-write',
    description: 'a write whose second page cannot be read, and a punch of both',
    files: [{ name: VICTIM, pages: 3 }],
    faults: [{ io: 'read', file: VICTIM, page: 1 }],
    threads: [
      { name: 'writer', operations: [twoPages] },
      { name: 'puncher', operations: [{ kind: 'punch', file: VICTIM, at: 0.75, length: 0.5 }] },
    ],
  },
  {
    name: 'failing-writeback-punch',
    family: 'failing-write',
    description: 'writeback that the device refuses, and a punch of the page',
    files: [{ name: VICTIM, pages: 3, dirty: [1] }],
    faults: [{ io: 'write', file: VICTIM, page: 1 }],
    threads: [
      { name: 'writeback', operations: [{ kind: 'writeback', file: VICTIM }] },
      { name: 'puncher', operations: [{ kind: 'punch', file: VICTIM, at: 1, length: 1 }] },
    ],
  },
  {
    name: 'failing-writeback-drop',
    family: 'failing-write',
    description:
      'writeback that the device refuses, and a thread that wants the page out of the cache and reads it again',
    files: [{ name: VICTIM, pages: 3, dirty: [1] }],
    faults: [{ io: 'write', file: VICTIM, page: 1 }],
    threads: [
      { name: 'writeback', operations: [{ kind: 'writeback', file: VICTIM }] },
      {
        name: 'dropper',
        operations: [
          { kind: 'dontneed', file: VICTIM, at: 1, length: 1 },
          { kind: 'read', file: VICTIM, at: 1, length: 1 },
        ],
      },
    ],
  },
  {
    name: 'failing-writeback-delayed',
    family: 'failing-write',
    description: 'writeback of a page without a block that the device refuses, and a read of the page',
    files: [{ name: VICTIM, pages: 2 }],
    faults: [{ io: 'write', file: VICTIM, page: 2 }],
    threads: [
      {
        name: 'writer',
        operations: [
          { kind: 'write', file: VICTIM, at: 2, length: 1 },
          { kind: 'writeback', file: VICTIM },
        ],
      },
      { name: 'reader', operations: [{ kind: 'read', file: VICTIM, at: 1, length: 2 }] },
    ],
  },
  {
    name: 'failing-write-extend',
    family: 'failing-write',
    description: 'a write that would make the file longer and whose page cannot be read, and a read of the end',
    files: [{ name: VICTIM, pages: 1.5 }],
    faults: [{ io: 'read', file: VICTIM, page: 1 }],
    threads: [
      { name: 'writer', operations: [{ kind: 'write', file: VICTIM, at: 1.25, length: 0.5 }] },
      { name: 'reader', operations: [{ kind: 'read', file: VICTIM, at: 1, length: 1 }] },
    ],
  },
  {
    name: 'failing-fill-fault',
    family: 'failing-write',
    description: 'a page that two threads want and that cannot be read at first',
    files: [{ name: VICTIM, pages: 3 }],
    faults: [{ io: 'read', file: VICTIM, page: 1 }],
    threads: [
      { name: 'reader', operations: [{ kind: 'read', file: VICTIM, at: 1, length: 1 }] },
      { name: 'faulter', operations: [{ kind: 'fault', file: VICTIM, at: 1 }] },
    ],
  },
];
