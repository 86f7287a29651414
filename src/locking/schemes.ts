/**
 * The locking schemes: which lock an operation takes, as tables.
 *
 * A scheme is nothing but its table: rows are the operations, columns the locks of an inode, a cell says how the lock is
 * held (lock-types.ts), and each column has a type of lock behind it. The engine asks the table (locking/guard.ts) and never a
 * scheme's name; `docs/locking.md` is printed from it.
 *
 * What makes a scheme safe: for each row that fills the cache and each row that invalidates, some lock is held by both in
 * ways that exclude each other (`excludesFills`).
 */

import { excludes, type Hold, type LockTypeName } from './lock-types.js';

/** The operations that a scheme tells apart; the numbers index `OPERATIONS`. */
export const enum Operation {
  /** A read that finds its page up to date. */
  ReadHit,
  /** A read that has to fill a page, or waits for one that is being filled. */
  ReadMiss,
  /** Filling pages ahead of a reader. */
  Readahead,
  /** Filling pages because `advise('willneed')` asked for it. */
  WillNeed,
  /** Pinning a page that is up to date. */
  FaultHit,
  /** Pinning a page that has to be filled. */
  Fault,
  /** Making a pinned page writable, and its becoming dirty: Linux's page_mkwrite. */
  Mkwrite,
  Write,
  /** Truncation, down and up. */
  Truncate,
  Punch,
  Zero,
  /** Collapsing and inserting ranges. */
  Shift,
  /** Plain fallocate. */
  Allocate,
  Writeback,
}

export const OPERATIONS = [
  'readHit',
  'readMiss',
  'readahead',
  'willNeed',
  'faultHit',
  'fault',
  'mkwrite',
  'write',
  'truncate',
  'punch',
  'zero',
  'shift',
  'allocate',
  'writeback',
] as const;

export type OperationName = (typeof OPERATIONS)[number];

/** The columns, in the order in which the locks are taken. */
export const LOCK_COLUMNS = ['iRwsem', 'invalidateLock'] as const;

export type LockColumn = (typeof LOCK_COLUMNS)[number];

export type SchemeTable = Readonly<Record<OperationName, Readonly<Record<LockColumn, Hold>>>>;

export interface Scheme {
  readonly name: SchemeName;
  readonly description: string;
  readonly table: SchemeTable;
  /** The type of lock behind each column. */
  readonly locks: Readonly<Record<LockColumn, LockTypeName>>;
  /**
   * What a read sees of a concurrent write: 'request' when it sees all of the write or nothing of it, 'none' when it may
   * see any mixture of old and new bytes.
   */
  readonly readAtomicity: 'none' | 'request';
  /** False where fills may meet invalidations, so that a read may return another file's data. */
  readonly safe: boolean;
}

export type SchemeName = 'invalidate-lock' | 'i-rwsem' | 'none';

export const DEFAULT_SCHEME: SchemeName = 'invalidate-lock';

/** Rows that insert pages with content from the device. */
export const FILL_OPERATIONS: readonly OperationName[] = ['readMiss', 'readahead', 'willNeed', 'fault'];

/** Rows that drop pages and then change what the extents say. */
export const INVALIDATE_OPERATIONS: readonly OperationName[] = ['truncate', 'punch', 'zero', 'shift'];

const RWSEMS = { iRwsem: 'rwsem', invalidateLock: 'rwsem' } as const;

const row = (iRwsem: Hold, invalidateLock: Hold) => ({ iRwsem, invalidateLock }) as const;

export const schemes: readonly Scheme[] = [
  {
    name: 'invalidate-lock',
    description:
      'fills take the invalidate lock shared, invalidation takes it exclusive; a read hit takes no lock (ext4 since Linux 5.15)',
    table: {
      readHit: row('none', 'none'),
      readMiss: row('none', 'shared'),
      readahead: row('none', 'shared'),
      willNeed: row('none', 'shared'),
      faultHit: row('none', 'none'),
      fault: row('none', 'shared'),
      mkwrite: row('none', 'shared'),
      write: row('exclusive', 'none'),
      truncate: row('exclusive', 'exclusive'),
      punch: row('exclusive', 'exclusive'),
      zero: row('exclusive', 'exclusive'),
      shift: row('exclusive', 'exclusive'),
      allocate: row('exclusive', 'none'),
      writeback: row('none', 'none'),
    },
    locks: RWSEMS,
    readAtomicity: 'none',
    safe: true,
  },
  {
    name: 'i-rwsem',
    description: 'as invalidate-lock, and reads take i_rwsem shared, so that they are atomic against writes (XFS)',
    table: {
      readHit: row('shared', 'none'),
      readMiss: row('shared', 'shared'),
      readahead: row('none', 'shared'),
      willNeed: row('shared', 'shared'),
      faultHit: row('none', 'none'),
      fault: row('none', 'shared'),
      mkwrite: row('none', 'shared'),
      write: row('exclusive', 'none'),
      truncate: row('exclusive', 'exclusive'),
      punch: row('exclusive', 'exclusive'),
      zero: row('exclusive', 'exclusive'),
      shift: row('exclusive', 'exclusive'),
      allocate: row('exclusive', 'exclusive'),
      writeback: row('none', 'none'),
    },
    locks: RWSEMS,
    readAtomicity: 'request',
    safe: true,
  },
  {
    name: 'none',
    description: 'writers exclude each other, nothing excludes fills from invalidation: the race, to be looked at',
    table: {
      readHit: row('none', 'none'),
      readMiss: row('none', 'none'),
      readahead: row('none', 'none'),
      willNeed: row('none', 'none'),
      faultHit: row('none', 'none'),
      fault: row('none', 'none'),
      mkwrite: row('none', 'none'),
      write: row('exclusive', 'none'),
      truncate: row('exclusive', 'none'),
      punch: row('exclusive', 'none'),
      zero: row('exclusive', 'none'),
      shift: row('exclusive', 'none'),
      allocate: row('exclusive', 'none'),
      writeback: row('none', 'none'),
    },
    locks: RWSEMS,
    readAtomicity: 'none',
    safe: false,
  },
];

/** The scheme of that name, or undefined. */
export function schemeByName(name: string): Scheme | undefined {
  return schemes.find((scheme) => scheme.name === name);
}

/** Whether the scheme keeps every fill away from every invalidation. */
export function excludesFills({ table, locks }: Pick<Scheme, 'table' | 'locks'>): boolean {
  return FILL_OPERATIONS.every((fill) =>
    INVALIDATE_OPERATIONS.every((invalidate) =>
      LOCK_COLUMNS.some((column) => excludes(locks[column], table[fill][column], table[invalidate][column])),
    ),
  );
}
