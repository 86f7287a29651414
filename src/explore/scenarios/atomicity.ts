/** Reads and writes of two pages at once: all of the write or nothing of it, where the scheme claims that; and who waits how long. */
import type { Scenario, ScenarioOperation } from '../scenario.js';
import { VICTIM } from './against.js';

const write: ScenarioOperation = { kind: 'write', file: VICTIM, at: 0.5, length: 1 };
const read: ScenarioOperation = { kind: 'read', file: VICTIM, at: 0, length: 2 };
const drop: ScenarioOperation = { kind: 'dontneed', file: VICTIM, at: 0, length: 2 };

export const ATOMICITY: readonly Scenario[] = [
  {
    name: 'read-write',
    family: 'atomicity',
    description: 'a read of two cached pages meets a write across both',
    files: [{ name: VICTIM, pages: 3, cached: [0, 1] }],
    threads: [
      { name: 'writer', operations: [write] },
      { name: 'reader', operations: [read] },
    ],
  },
  {
    name: 'miss-write',
    family: 'atomicity',
    description: 'a read of two pages that are not cached meets a write across both',
    files: [{ name: VICTIM, pages: 3 }],
    threads: [
      { name: 'writer', operations: [write] },
      { name: 'reader', operations: [read] },
    ],
  },
  {
    name: 'starved-punch',
    family: 'atomicity',
    description: 'a punch among readers that keep missing',
    files: [{ name: VICTIM, pages: 2 }],
    stepMs: 1,
    threads: [
      { name: 'puncher', operations: [{ kind: 'punch', file: VICTIM, at: 0, length: 1 }] },
      ...['first', 'second'].map((name) => ({
        name,
        operations: new Array<ScenarioOperation[]>(8).fill([read, drop]).flat(),
      })),
    ],
  },
  {
    name: 'passed-punch',
    family: 'atomicity',
    description: 'a punch that queues behind one reader while another one comes',
    files: [{ name: VICTIM, pages: 2 }],
    threads: [
      { name: 'puncher', operations: [{ kind: 'punch', file: VICTIM, at: 0, length: 1 }] },
      { name: 'first', operations: [{ kind: 'read', file: VICTIM, at: 0, length: 1 }] },
      { name: 'second', operations: [{ kind: 'readahead', file: VICTIM, at: 0, length: 1 }] },
    ],
  },
  {
    name: 'passed-write',
    family: 'atomicity',
    description: 'a write among writers that keep coming',
    files: [{ name: VICTIM, pages: 2 }],
    stepMs: 1,
    threads: [
      { name: 'writer', operations: [write] },
      ...['first', 'second'].map((name) => ({
        name,
        operations: new Array<ScenarioOperation[]>(6).fill([write, drop]).flat(),
      })),
    ],
  },
];
