/** Invalidation while the cache is short of frames, so that the same pages are being evicted. */
import type { Scenario } from '../scenario.js';
import { VICTIM } from './against.js';

const OTHER = 'other';
/** Metadata take some of them: few enough that every scenario evicts, which a test holds. */
const FRAMES = 8;

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
    name: 'dirty-reclaim',
    family: 'reclaim',
    description: 'a cache full of dirty pages, of which a reader of another file takes what it needs, and a writer',
    frames: FRAMES,
    files: [
      { name: VICTIM, pages: 4, dirty: [0, 1, 2, 3] },
      { name: OTHER, pages: 4 },
    ],
    threads: [
      { name: 'writer', operations: [{ kind: 'write', file: VICTIM, at: 1.25, length: 0.25 }] },
      { name: 'reader', operations: [{ kind: 'read', file: OTHER, at: 0, length: 4 }] },
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
  {
    name: 'two-fills',
    family: 'reclaim',
    description: 'two readers that miss the same page',
    files: [{ name: VICTIM, pages: 3 }],
    threads: ['first', 'second'].map((name) => ({
      name,
      operations: [{ kind: 'read', file: VICTIM, at: 1, length: 1 }],
    })),
  },
  {
    name: 'full-fills',
    family: 'reclaim',
    description: 'a reader and a writer that miss the same page in a full cache, where a frame has to be found first',
    frames: FRAMES,
    files: [
      { name: VICTIM, pages: 2 },
      { name: OTHER, pages: 4, cached: [0, 1, 2, 3] },
    ],
    threads: [
      { name: 'reader', operations: [{ kind: 'read', file: VICTIM, at: 1, length: 1 }] },
      { name: 'writer', operations: [{ kind: 'write', file: VICTIM, at: 1.25, length: 0.25 }] },
    ],
  },
  {
    name: 'recycled-append',
    family: 'reclaim',
    description: 'a write of part of a new page, in a frame that a punch gives back',
    files: [{ name: VICTIM, pages: 3, cached: [1] }],
    threads: [
      { name: 'puncher', operations: [{ kind: 'punch', file: VICTIM, at: 1, length: 1 }] },
      { name: 'writer', operations: [{ kind: 'write', file: VICTIM, at: 3, length: 0.5 }] },
    ],
  },
];
