/**
 * The file systems of the Linux series "fs: Hole punch vs page cache filling races" (2021, merged in 5.15), as tables: before
 * it (Linux 5.12) and after it (5.15), and three that it left as they were.
 *
 * A table holds what the file system itself does, with these translations:
 *  - `invalidateLock` is the file system's private lock before the series, whatever it was called.
 *  - Pins stand for faults; for faults on DAX files where the private lock was about these (ext2, fuse).
 *  - Windows that a reader wants ahead are filled in its own thread in Linux, under what its read holds. Here a service thread
 *    fills them, and takes what the row `readahead` says.
 *  - An operation that the file system does not have (`absent`) takes what its `truncate` takes.
 *  - Linux closes the race of truncation by a second look at the size, with the page locked. The engine does not look, and
 *    has only the lock. So who took no lock there before is worse off here; after the series all take it here.
 *  - `mkwrite` takes the lock wherever the file system is safe after the series, since collapsing here relies on it.
 */
import { I_RWSEM_TABLE, INVALIDATE_LOCK_TABLE, UNPROTECTED_TABLE } from './base-tables.js';
import type { LockTypeName } from './lock-types.js';
import {
  type LockColumn,
  type OperationName,
  RWSEMS,
  row,
  type Scheme,
  type SchemeName,
  type SchemeTable,
  type SeriesName,
} from './scheme.js';

interface Entry {
  name: SeriesName;
  description: string;
  protects: string;
  source: string;
  breaks?: string;
  absent?: readonly OperationName[];
}

interface Rules {
  table: SchemeTable;
  locks?: Readonly<Record<LockColumn, LockTypeName>>;
  readAtomicity?: Scheme['readAtomicity'];
  /** Whose table it is. */
  aliasOf?: SchemeName;
}

function scheme({ absent = [], breaks, ...entry }: Entry, rules: Rules): Scheme {
  const { table, locks = RWSEMS, readAtomicity = 'none', aliasOf = null } = rules;
  return { ...entry, aliasOf, breaks: breaks ?? null, absent, table, locks, readAtomicity, safe: breaks === undefined };
}

const STALE_READS =
  'a read, its readahead or WILLNEED that meets a punch caches blocks that are about to be free, and shows or overwrites ' +
  "another file's data; faults are safe";

/** A private lock around faults, which nobody else fills under. */
const FAULTS_ONLY: Rules = {
  table: {
    ...INVALIDATE_LOCK_TABLE,
    readMiss: row('none', 'none'),
    readahead: row('none', 'none'),
    willNeed: row('none', 'none'),
    faultHit: row('none', 'shared'),
  },
};
const LIKE_EXT4_BEFORE: Rules = { ...FAULTS_ONLY, aliasOf: 'ext4-before' };
const LIKE_INVALIDATE_LOCK: Rules = { table: INVALIDATE_LOCK_TABLE, aliasOf: 'invalidate-lock' };

/** Reads hold i_rwsem, fills the invalidate lock, WILLNEED comes without i_rwsem. */
const LOCKED_READS: Rules = {
  table: { ...INVALIDATE_LOCK_TABLE, readHit: row('shared', 'none'), readMiss: row('shared', 'shared') },
  readAtomicity: 'request',
};

const BLOCK_BASED: readonly Scheme[] = [
  scheme(
    {
      name: 'ext4-before',
      description: 'ext4 in Linux 5.12: i_mmap_sem around every fault, nothing around reads',
      protects: 'faults against invalidations',
      source: 'fs/ext4/inode.c: ext4_filemap_fault, ext4_page_mkwrite, ext4_punch_hole; commit ea3d7209ca01',
      breaks: STALE_READS,
    },
    FAULTS_ONLY,
  ),
  scheme(
    {
      name: 'ext4',
      description: 'ext4 since Linux 5.15: the invalidate lock on every fill',
      protects: 'every fill against every invalidation',
      source: 'fs/ext4/inode.c, extents.c: ext4_punch_hole, ext4_zero_range; commit d4f5258eae7b',
    },
    LIKE_INVALIDATE_LOCK,
  ),
  scheme(
    {
      name: 'f2fs-before',
      description:
        'f2fs in Linux 5.12: i_mmap_sem around faults; i_gc_rwsem, which has no counterpart here, against cleaning',
      protects: 'faults against invalidations',
      source: 'fs/f2fs/file.c: f2fs_filemap_fault, punch_hole, f2fs_do_collapse, f2fs_setattr',
      breaks: STALE_READS,
    },
    LIKE_EXT4_BEFORE,
  ),
  scheme(
    {
      name: 'f2fs',
      description: 'f2fs since Linux 5.15: the invalidate lock on every fill',
      protects: 'every fill against every invalidation',
      source: 'fs/f2fs/file.c: punch_hole, f2fs_do_collapse, f2fs_zero_range (f2fs: Convert to using invalidate_lock)',
    },
    LIKE_INVALIDATE_LOCK,
  ),
  scheme(
    {
      name: 'xfs-before',
      description: 'XFS in Linux 5.12: reads and WILLNEED hold i_rwsem shared, every fault holds i_mmaplock shared',
      protects: 'every fill against every invalidation, by one lock or the other, and reads against writes',
      source: 'fs/xfs/xfs_file.c: xfs_file_buffered_read, xfs_file_fadvise, __xfs_filemap_fault, xfs_file_fallocate',
    },
    {
      table: {
        ...I_RWSEM_TABLE,
        readMiss: row('shared', 'none'),
        readahead: row('shared', 'none'),
        willNeed: row('shared', 'none'),
        faultHit: row('none', 'shared'),
      },
      readAtomicity: 'request',
    },
  ),
  scheme(
    {
      name: 'xfs',
      description: 'XFS since Linux 5.15: the invalidate lock in the place of i_mmaplock; reads keep i_rwsem',
      protects: 'every fill against every invalidation, and reads against writes',
      source: 'fs/xfs/xfs_file.c, xfs_inode.c: xfs_ilock (xfs: Convert to use invalidate_lock)',
    },
    { table: I_RWSEM_TABLE, readAtomicity: 'request', aliasOf: 'i-rwsem' },
  ),
  scheme(
    {
      name: 'ext2-before',
      description: 'ext2 in Linux 5.12: dax_sem around faults on DAX files, and around truncation',
      protects: 'DAX faults against truncation',
      source: 'fs/ext2/file.c: ext2_dax_fault; inode.c: ext2_setsize; commit 5726b27b09cc',
      breaks:
        'a read, its readahead or WILLNEED that meets a truncation caches blocks that are about to be free; Linux looks at ' +
        'the size again',
      absent: ['punch', 'zero', 'shift', 'allocate'],
    },
    LIKE_EXT4_BEFORE,
  ),
  scheme(
    {
      name: 'ext2',
      description: 'ext2 since Linux 5.15: truncation takes the invalidate lock, as every fill does',
      protects: 'every fill against truncation',
      source: 'fs/ext2/inode.c: ext2_setsize; file.c: ext2_dax_fault (ext2: Convert to using invalidate_lock)',
      absent: ['punch', 'zero', 'shift', 'allocate'],
    },
    LIKE_INVALIDATE_LOCK,
  ),
  scheme(
    {
      name: 'zonefs-before',
      description: 'zonefs in Linux 5.12: reads hold i_rwsem shared, faults i_mmap_sem; WILLNEED holds nothing',
      protects: 'reads and faults against truncation',
      source: 'fs/zonefs/super.c: zonefs_file_read_iter, zonefs_filemap_fault, zonefs_file_truncate',
      breaks: 'WILLNEED that meets a truncation caches blocks that are about to be free; Linux looks at the size again',
      absent: ['punch', 'zero', 'shift', 'allocate'],
    },
    {
      table: {
        ...LOCKED_READS.table,
        readMiss: row('shared', 'none'),
        readahead: row('shared', 'none'),
        willNeed: row('none', 'none'),
        faultHit: row('none', 'shared'),
      },
      readAtomicity: 'request',
    },
  ),
  scheme(
    {
      name: 'zonefs',
      description: 'zonefs since Linux 5.15: the invalidate lock on every fill; reads keep i_rwsem',
      protects: 'every fill against truncation, and reads against writes',
      source:
        'fs/zonefs/super.c: zonefs_file_read_iter, zonefs_file_truncate (zonefs: Convert to using invalidate_lock)',
      absent: ['punch', 'zero', 'shift', 'allocate'],
    },
    LOCKED_READS,
  ),
];

const REMOTE: readonly Scheme[] = [
  scheme(
    {
      name: 'fuse-before',
      description: 'fuse in Linux 5.12: i_mmap_sem around faults on DAX files, and around what invalidates these',
      protects: 'DAX faults against invalidations',
      source: 'fs/fuse/dax.c: fuse_dax_fault; file.c: fuse_file_fallocate; dir.c: fuse_do_setattr',
      breaks: STALE_READS,
      absent: ['shift'],
    },
    LIKE_EXT4_BEFORE,
  ),
  scheme(
    {
      name: 'fuse',
      description: 'fuse since Linux 5.15, on DAX files: the invalidate lock in the place of i_mmap_sem',
      protects:
        'every fill against every invalidation; in Linux, of DAX files only: on others nobody takes it exclusive',
      source: 'fs/fuse/file.c: fuse_file_fallocate; dir.c: fuse_do_setattr (fuse: Convert to using invalidate_lock)',
      absent: ['shift'],
    },
    LIKE_INVALIDATE_LOCK,
  ),
  scheme(
    {
      name: 'ceph-before',
      description: 'ceph in Linux 5.12: buffered reads hold i_rwsem shared; faults and WILLNEED hold nothing',
      protects: 'reads against punches, as a side effect of keeping buffered and direct I/O apart',
      source: 'fs/ceph/io.c: ceph_start_io_read; file.c: ceph_fallocate; addr.c: ceph_filemap_fault',
      breaks: 'a fault or WILLNEED that meets a punch caches what is about to be zeroed; reads are safe by i_rwsem',
      absent: ['zero', 'shift', 'allocate'],
    },
    {
      table: {
        ...UNPROTECTED_TABLE,
        readHit: row('shared', 'none'),
        readMiss: row('shared', 'none'),
        readahead: row('shared', 'none'),
      },
      readAtomicity: 'request',
    },
  ),
  scheme(
    {
      name: 'ceph',
      description: 'ceph since Linux 5.15: the invalidate lock around dropping the cache and zeroing the objects',
      protects: 'every fill against punches, and reads against writes',
      source:
        'fs/ceph/file.c: ceph_fallocate; addr.c: ceph_filemap_fault (ceph: Fix race between hole punch and page fault)',
      absent: ['zero', 'shift', 'allocate'],
    },
    { ...LOCKED_READS, aliasOf: 'zonefs' },
  ),
  scheme(
    {
      name: 'cifs-before',
      description: 'cifs in Linux 5.12: a punch holds no lock at all, not even i_rwsem',
      protects: 'nothing',
      source: 'fs/cifs/smb2ops.c: smb3_punch_hole',
      breaks: 'any fill or write that meets a punch leaves stale data in the cache',
      absent: ['shift'],
    },
    { table: { ...UNPROTECTED_TABLE, punch: row('none', 'none') } },
  ),
  scheme(
    {
      name: 'cifs',
      description:
        'cifs since Linux 5.15: the invalidate lock around the punch; i_rwsem, and zeroing a range, had to wait for 6.0',
      protects: 'every fill against punches',
      source:
        'fs/cifs/smb2ops.c: smb3_punch_hole (cifs: Fix race between hole punch and page fault), smb3_zero_range ' +
        '(mended in 6.0: smb3: missing inode locks in zero range, in punch hole)',
      breaks:
        'a fill that meets the zeroing of a range leaves stale data in the cache, and so does a write that meets a punch',
      absent: ['shift'],
    },
    { table: { ...INVALIDATE_LOCK_TABLE, punch: row('none', 'exclusive'), zero: row('exclusive', 'none') } },
  ),
];

const LEFT_OUT: readonly Scheme[] = [
  scheme(
    {
      name: 'tmpfs',
      description: 'tmpfs: a punch publishes its range through the inode, and later faults on it wait for its end',
      protects: 'a punch against being starved by faults; not against fills that are on their way',
      source: 'mm/shmem.c: shmem_fault, shmem_fallocate; commits f00cdc6df7d7, 8e205f779d14',
      breaks:
        'any fill but a later fault meets a punch freely. Benign in tmpfs, whose pages have no blocks that could be ' +
        "another file's; a file on a device shows stale data",
      absent: ['readahead', 'zero', 'shift'],
    },
    {
      table: {
        ...UNPROTECTED_TABLE,
        faultHit: row('none', 'waits'),
        fault: row('none', 'waits'),
        punch: row('exclusive', 'publishes'),
      },
      locks: { iRwsem: 'rwsem', invalidateLock: 'published-range' },
    },
  ),
  scheme(
    {
      name: 'gfs2',
      description: 'GFS2 in Linux 5.12: the glock, taken by writes around the copy from the user, and by every fault',
      protects: 'every fill but WILLNEED against every invalidation',
      source:
        'fs/gfs2/file.c: gfs2_fault, gfs2_page_mkwrite, gfs2_file_read_iter; bmap.c: gfs2_iomap_begin; mended in 5.16 by ' +
        'commit 00bfe02f4796 (gfs2: Fix mmap + page fault deadlocks for buffered I/O)',
      breaks:
        'a write from memory that is a page of the same file faults under its own lock, and waits for itself; and ' +
        'WILLNEED meets a punch freely',
      absent: ['zero', 'shift'],
    },
    {
      table: {
        ...INVALIDATE_LOCK_TABLE,
        willNeed: row('none', 'none'),
        faultHit: row('none', 'shared'),
        mkwrite: row('none', 'exclusive'),
        write: row('exclusive', 'exclusive'),
        allocate: row('exclusive', 'exclusive'),
      },
    },
  ),
  scheme(
    {
      name: 'ocfs2',
      description: 'OCFS2 in Linux 5.12: ip_alloc_sem inside the reading of one page; readahead only tries for it',
      protects: 'reads and faults of single pages against invalidations',
      source:
        'fs/ocfs2/aops.c: ocfs2_readpage, ocfs2_readahead; file.c: ocfs2_remove_inode_range. The cover letter says that some ' +
        'paths are not serialised, and not which: the rows without a lock are a choice made here',
      breaks: 'readahead or WILLNEED that meets a punch caches blocks that are about to be free',
      absent: ['zero', 'shift'],
    },
    {
      table: {
        ...INVALIDATE_LOCK_TABLE,
        readahead: row('none', 'none'),
        willNeed: row('none', 'none'),
        mkwrite: row('none', 'exclusive'),
        allocate: row('exclusive', 'exclusive'),
      },
    },
  ),
];

export const series: readonly Scheme[] = [...BLOCK_BASED, ...REMOTE, ...LEFT_OUT];
