/**
 * Writes and reads whose user bytes are a mapping of the same file, and are faulted in with whatever the operation holds: the
 * reason why no lock may be taken both above and below the fault.
 */
import type { Scenario } from '../scenario.js';
import { VICTIM } from './against.js';

const faulting = { file: VICTIM, at: 2 } as const;
const write = { kind: 'write', file: VICTIM, at: 1.25, length: 0.25, faulting } as const;
const read = { kind: 'read', file: VICTIM, at: 1, length: 1, faulting } as const;
const punch = { name: 'puncher', operations: [{ kind: 'punch', file: VICTIM, at: 1, length: 1 }] } as const;

export const CALLBACK: readonly Scenario[] = [
  {
    name: 'callback-write-punch',
    family: 'callback',
    description: 'a write from a mapping of the file it writes to meets a punch',
    files: [{ name: VICTIM, pages: 3 }],
    threads: [{ name: 'writer', operations: [write] }, punch],
  },
  {
    name: 'callback-read-punch',
    family: 'callback',
    description: 'a read into a mapping of the file it reads from meets a punch',
    files: [{ name: VICTIM, pages: 3 }],
    threads: [{ name: 'reader', operations: [read] }, punch],
  },
  {
    name: 'callback-two-writes',
    family: 'callback',
    description: 'two writes, each from a mapping of the file that the other one writes to',
    files: [
      { name: 'left', pages: 2 },
      { name: 'right', pages: 2 },
    ],
    threads: [
      {
        name: 'leftward',
        operations: [{ kind: 'write', file: 'left', at: 0.25, length: 0.25, faulting: { file: 'right', at: 1 } }],
      },
      {
        name: 'rightward',
        operations: [{ kind: 'write', file: 'right', at: 0.25, length: 0.25, faulting: { file: 'left', at: 1 } }],
      },
    ],
  },
];
