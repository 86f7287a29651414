/**
 * What a locking scheme is: which lock an operation takes, as a table.
 *
 * A scheme is nothing but its table: rows are the operations, columns the locks of an inode, a cell says how the lock is
 * held (lock-types.ts), and each column has a type of lock behind it. The engine asks the table (guard.ts) and never a
 * scheme's name. The tables: schemes.ts and series.ts.
 *
 * What makes a scheme safe (`isSafe`), each worked out from the table:
 *  1. For each row that fills the cache and each row that invalidates, some lock is held by both in ways that exclude each
 *     other (`excludesFills`). If not, a fill may cache blocks that are about to be another file's.
 *  2. No lock is held around a copy from or to the user's memory that a fault takes too (`faultsUnderOwnLock`): the user's memory
 *     may be a page of the same file, and the thread waits for itself.
 *  3. Writes, and whatever changes extents, exclude each other (`serialisesChanges`).
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

/** The file systems of the series, before it and after it. */
export type SeriesName =
  | 'ext4-before'
  | 'ext4'
  | 'f2fs-before'
  | 'f2fs'
  | 'xfs-before'
  | 'xfs'
  | 'ext2-before'
  | 'ext2'
  | 'zonefs-before'
  | 'zonefs'
  | 'fuse-before'
  | 'fuse'
  | 'ceph-before'
  | 'ceph'
  | 'cifs-before'
  | 'cifs'
  | 'tmpfs'
  | 'gfs2'
  | 'ocfs2';

export type SchemeName =
  | 'invalidate-lock'
  | 'i-rwsem'
  | 'none'
  | 'fault-hits'
  | 'range-lock'
  | 'two-state'
  | 'reader-biased'
  | 'optimistic'
  | SeriesName;

export interface Scheme {
  readonly name: SchemeName;
  readonly description: string;
  /** What its locks keep apart. */
  readonly protects: string;
  /** Where the table comes from: file and function of which kernel, commit, or proposal. */
  readonly source: string;
  /** Another scheme with the same cells, of which this is a second name; null for a table of its own. */
  readonly aliasOf: SchemeName | null;
  /** What goes wrong under it; null where it is safe. */
  readonly breaks: string | null;
  /** Operations that the file system it is named after does not have. The engine has them all the same: they take what `truncate` takes. */
  readonly absent: readonly OperationName[];
  readonly table: SchemeTable;
  /** The type of lock behind each column. */
  readonly locks: Readonly<Record<LockColumn, LockTypeName>>;
  /**
   * What a read sees of a concurrent write: 'request' when it sees all of the write or nothing of it, 'none' when it may
   * see any mixture of old and new bytes.
   */
  readonly readAtomicity: 'none' | 'request';
  /** False where the scheme breaks something; it is then refused unless `unsafe` is given as well. */
  readonly safe: boolean;
}

type Rules = Pick<Scheme, 'table' | 'locks'>;

/** Rows that insert pages with content from the device. */
export const FILL_OPERATIONS: readonly OperationName[] = ['readMiss', 'readahead', 'willNeed', 'fault'];

/** Rows that drop pages and then change what the extents say. */
export const INVALIDATE_OPERATIONS: readonly OperationName[] = ['truncate', 'punch', 'zero', 'shift'];

/** Rows that copy between a page and the user's memory with their locks held. */
const COPY_OPERATIONS: readonly OperationName[] = ['readHit', 'write'];

/** Rows of touching a mapped page. */
const FAULT_OPERATIONS: readonly OperationName[] = ['faultHit', 'fault', 'mkwrite'];

/** Rwsems in both columns. */
export const RWSEMS = { iRwsem: 'rwsem', invalidateLock: 'rwsem' } as const;

/** A row of a table. */
export const row = (iRwsem: Hold, invalidateLock: Hold) => ({ iRwsem, invalidateLock }) as const;

/** Whether two rows exclude each other. */
export function rowsExclude({ table, locks }: Rules, a: OperationName, b: OperationName): boolean {
  return LOCK_COLUMNS.some((column) => excludes(locks[column], table[a][column], table[b][column]));
}

/** Whether a read sees all of a write or nothing of it: they exclude each other, or the read is made again. */
export function readsAtomically(rules: Rules): boolean {
  const isValidated = LOCK_COLUMNS.some(
    (column) => rules.table.readHit[column] === 'validated' && rules.table.write[column] === 'exclusive',
  );
  return isValidated || rowsExclude(rules, 'readHit', 'write');
}

/** Whether the scheme keeps every fill away from every invalidation. */
export function excludesFills(rules: Rules): boolean {
  return FILL_OPERATIONS.every((fill) =>
    INVALIDATE_OPERATIONS.every((invalidate) => rowsExclude(rules, fill, invalidate)),
  );
}

/** Whether a thread that touches a page of the same file while it copies may come to wait for a lock of its own. */
export function faultsUnderOwnLock({ table }: Rules): boolean {
  return LOCK_COLUMNS.some((column) =>
    COPY_OPERATIONS.some((copy) =>
      FAULT_OPERATIONS.some((fault) => table[copy][column] !== 'none' && table[fault][column] !== 'none'),
    ),
  );
}

/** Whether those who change a file's content or extents, faults aside, come one after the other. */
export function serialisesChanges(rules: Rules): boolean {
  const changes: readonly OperationName[] = ['write', ...INVALIDATE_OPERATIONS, 'allocate'];
  return changes.every((a) => changes.every((b) => rowsExclude(rules, a, b)));
}

export function isSafe(rules: Rules): boolean {
  return excludesFills(rules) && !faultsUnderOwnLock(rules) && serialisesChanges(rules);
}
