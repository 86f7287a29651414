/**
 * The schemes: the project's own, and those of the file systems (series.ts). What a scheme is: scheme.ts.
 *
 * `docs/locking.md` is printed from this list. A scheme with the same cells as another is an alias of it, and says so.
 */
import { I_RWSEM_TABLE, INVALIDATE_LOCK_TABLE, UNPROTECTED_TABLE } from './base-tables.js';
import { RWSEMS, row, type Scheme, type SchemeName } from './scheme.js';
import { series } from './series.js';

export const DEFAULT_SCHEME: SchemeName = 'invalidate-lock';

const own: readonly Scheme[] = [
  {
    name: 'invalidate-lock',
    description: 'fills take the invalidate lock shared, invalidation takes it exclusive; a read hit takes no lock',
    protects: 'every fill against every invalidation',
    source: 'mm/filemap.c since Linux 5.15, commit 730633f0b7f9 (mm: Protect operations adding pages to page cache)',
    aliasOf: null,
    breaks: null,
    absent: [],
    table: INVALIDATE_LOCK_TABLE,
    locks: RWSEMS,
    readAtomicity: 'none',
    safe: true,
  },
  {
    name: 'i-rwsem',
    description: 'as invalidate-lock, and reads take i_rwsem shared, so that they are atomic against writes',
    protects: 'every fill against every invalidation, and reads against writes',
    source: 'fs/xfs/xfs_file.c of Linux 5.15: xfs_file_buffered_read, xfs_file_fadvise, xfs_file_fallocate',
    aliasOf: null,
    breaks: null,
    absent: [],
    table: I_RWSEM_TABLE,
    locks: RWSEMS,
    readAtomicity: 'request',
    safe: true,
  },
  {
    name: 'none',
    description: 'writers exclude each other, nothing excludes fills from invalidation: the race, to be looked at',
    protects: 'nothing but changes against each other',
    source: 'no file system: what is left when the locks of the series are taken away',
    aliasOf: null,
    breaks: 'a fill that meets an invalidation shows stale data, or those of another file, and overwrites them',
    absent: [],
    table: UNPROTECTED_TABLE,
    locks: RWSEMS,
    readAtomicity: 'none',
    safe: false,
  },
  {
    name: 'fault-hits',
    description: 'as invalidate-lock, and a fault takes it shared even where it finds its page up to date',
    protects: 'every fill against every invalidation, and hits of faults, which need no protection',
    source:
      'the series as proposed for Linux 5.14, and refused: filemap_fault takes the lock before it looks for the page',
    aliasOf: null,
    breaks: null,
    absent: [],
    table: { ...INVALIDATE_LOCK_TABLE, faultHit: row('none', 'shared') },
    locks: RWSEMS,
    readAtomicity: 'none',
    safe: true,
  },
];

export const schemes: readonly Scheme[] = [...own, ...series];

/** The scheme of that name, or undefined. */
export function schemeByName(name: string): Scheme | undefined {
  return schemes.find((scheme) => scheme.name === name);
}
