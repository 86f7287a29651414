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
  {
    name: 'range-lock',
    description:
      'as invalidate-lock, with locks that know ranges: operations exclude each other only where their pages overlap',
    protects: 'every fill against every invalidation of the same pages; who changes the size holds the file to its end',
    source:
      'range locks as proposed for the page cache: Jan Kara, Fix page cache invalidation races with range locks, 2013',
    aliasOf: null,
    breaks: null,
    absent: [],
    table: INVALIDATE_LOCK_TABLE,
    locks: { iRwsem: 'range', invalidateLock: 'range' },
    readAtomicity: 'none',
    safe: true,
  },
  {
    name: 'two-state',
    description:
      'as range-lock, but a file is filled by many or invalidated by many at a time, never both, whichever the pages',
    protects: 'every fill against every invalidation, and changes of the same pages against each other',
    source: 'the two-state shared lock of bcachefs: fs/bcachefs/two_state_shared_lock.h of Linux 6.7, made fair',
    aliasOf: null,
    breaks: null,
    absent: [],
    table: {
      ...INVALIDATE_LOCK_TABLE,
      readMiss: row('none', 'fill'),
      readahead: row('none', 'fill'),
      willNeed: row('none', 'fill'),
      fault: row('none', 'fill'),
      mkwrite: row('none', 'fill'),
      truncate: row('exclusive', 'invalidate'),
      punch: row('exclusive', 'invalidate'),
      zero: row('exclusive', 'invalidate'),
      shift: row('exclusive', 'invalidate'),
    },
    locks: { iRwsem: 'range', invalidateLock: 'two-state' },
    readAtomicity: 'none',
    safe: true,
  },
  {
    name: 'reader-biased',
    description:
      'as i-rwsem, with locks that a shared hold writes nothing to: readers share no cache line that anybody writes',
    protects: 'every fill against every invalidation, and reads against writes',
    source: 'Dice and Kogan, BRAVO: Biased Locking for Reader-Writer Locks, USENIX ATC 2019',
    aliasOf: null,
    breaks: null,
    absent: [],
    table: I_RWSEM_TABLE,
    locks: { iRwsem: 'reader-biased', invalidateLock: 'reader-biased' },
    readAtomicity: 'request',
    safe: true,
  },
  {
    name: 'optimistic',
    description:
      'as invalidate-lock, and reads are atomic against writes without a lock: they read again what was written meanwhile, and take i_rwsem after some tries',
    protects: 'every fill against every invalidation, and reads against writes and invalidations',
    source: 'no file system: sequence counts as of Linux (seqlock.h), one for each 16 pages, over the whole request',
    aliasOf: null,
    breaks: null,
    absent: [],
    table: { ...INVALIDATE_LOCK_TABLE, readHit: row('validated', 'none') },
    locks: { iRwsem: 'versioned', invalidateLock: 'rwsem' },
    readAtomicity: 'request',
    safe: true,
  },
];

export const schemes: readonly Scheme[] = [...own, ...series];

/** The scheme of that name, or undefined. */
export function schemeByName(name: string): Scheme | undefined {
  return schemes.find((scheme) => scheme.name === name);
}
