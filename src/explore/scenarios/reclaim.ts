/** Invalidation while the cache is short of frames, so that the same pages are being evicted. */
import type { Scenario } from '../scenario.js';
import { VICTIM } from './against.js';

const OTHER = 'other';
const FRAMES = 11;

export const RECLAIM: readonly Scenario[] = [
  {
    name: 'punch-reclaim',
    family: 'reclaim',
    description: 'a punch of pages that a reader of another file is evicting',
    frames: FRAMES,
    files: [
      { name: VICTIM, pages: 3, cached: [0, 1, 2] },
      { name: OTHER, pages: 3 },
    ],
    threads: [
      { name: 'puncher', operations: [{ kind: 'punch', file: VICTIM, at: 0, length: 2 }] },
      { name: 'reader', operations: [{ kind: 'read', file: OTHER, at: 0, length: 3 }] },
    ],
  },
  {
    name: 'shorten-reclaim',
    family: 'reclaim',
    description: 'a truncation of pages, dirty ones among them, that a reader of another file is evicting',
    frames: FRAMES,
    files: [
      { name: VICTIM, pages: 3, cached: [0, 2], dirty: [1] },
      { name: OTHER, pages: 3 },
    ],
    threads: [
      { name: 'truncater', operations: [{ kind: 'truncate', file: VICTIM, to: 0.5 }] },
      { name: 'reader', operations: [{ kind: 'read', file: OTHER, at: 0, length: 3 }] },
    ],
  },
  {
    name: 'read-reclaim',
    family: 'reclaim',
    description: 'two readers, of which each evicts what the other has read',
    frames: FRAMES,
    files: [
      { name: VICTIM, pages: 3 },
      { name: OTHER, pages: 3 },
    ],
    threads: [
      { name: 'first', operations: [{ kind: 'read', file: VICTIM, at: 0, length: 3 }] },
      { name: 'second', operations: [{ kind: 'read', file: OTHER, at: 0, length: 3 }] },
    ],
  },
];
