/** The tables that other schemes are described by: the two safe ones that are compared, and the one that protects nothing. */
import { row, type SchemeTable } from './scheme.js';

/** Fills take the invalidate lock shared, invalidations take it exclusive. */
export const INVALIDATE_LOCK_TABLE: SchemeTable = {
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
};

/** The same, and reads are serialised with writes. */
export const I_RWSEM_TABLE: SchemeTable = {
  ...INVALIDATE_LOCK_TABLE,
  readHit: row('shared', 'none'),
  readMiss: row('shared', 'shared'),
  willNeed: row('shared', 'shared'),
  allocate: row('exclusive', 'exclusive'),
};

/** Changes come one after the other, and that is all. */
export const UNPROTECTED_TABLE: SchemeTable = {
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
};
