/** The counters of an open store, as `stats()` tells them. */
import { Header } from '../sync/layout.js';
import { type LockTimeBins, sumLockTimes } from '../sync/lock-times.js';
import { LOCK_RANK_NAMES } from '../sync/lockdep.js';
import { RWSEM_POLICIES } from '../sync/rwsem.js';
import { Count, sumStatistics } from '../sync/statistics.js';
import type { Session } from './session.js';

export interface LockStats {
  /** Acquisitions that had to wait, and for how long in all. */
  waits: number;
  waitMs: number;
}

/** A snapshot; everything counts from the opening of the store, in all threads. */
export interface StoreStats {
  scheme: string;
  io: 'direct' | 'buffered';
  /** Whether the host was asked for huge pages for the cache: how the process was started, see docs/benchmarks.md. */
  hugePages: boolean;
  rwsemPolicy: string;
  blockBytes: number;
  /** Pages of the cache: all, those that hold nothing of a file or of metadata (never used, or given back), and dirty ones of files and of metadata. */
  pages: { total: number; free: number; dirty: number; dirtyMetadata: number; pinned: number };
  /** Pages that reads found in the cache, and those that had to be filled first. */
  hits: number;
  misses: number;
  /** Pages that writes changed at once, and those for which they had to wait for a lock, a frame or room. */
  writeHits: number;
  writeMisses: number;
  fills: number;
  fillPages: number;
  readahead: { issued: number; used: number; wasted: number };
  evictions: number;
  writeback: { pages: number; runs: number; errors: number; throttles: number; directReclaims: number };
  punches: number;
  truncates: number;
  /** By kind of lock. */
  locks: Record<string, LockStats>;
  /** How long locks were waited for and held, by kind of lock: histograms. Null unless the store was opened with `lockTimes`. */
  lockTimes: Record<string, LockTimeBins> | null;
  allocator: {
    blocksFree: number;
    blocksReserved: number;
    blocksQuarantined: number;
    allocated: number;
    freed: number;
    searches: number;
  };
  /**
   * Its size; transactions, and the metadata blocks in them; log blocks written, and in use now; checkpoints, and the blocks
   * that they wrote in place; starts of transactions that had to wait; transactions that recovery replayed at opening.
   */
  journal: {
    sizeBytes: number;
    commits: number;
    blocks: number;
    logBlocks: number;
    logBlocksUsed: number;
    checkpoints: number;
    checkpointBlocks: number;
    handleWaits: number;
    recovered: number;
  };
}

export function snapshotStats(session: Session): StoreStats {
  const { arena, device, handle } = session;
  const { unsigned } = arena;
  const n = sumStatistics(arena);
  return {
    scheme: handle.scheme,
    io: device.io,
    hugePages: session.engine.cache.frames.isHuge,
    rwsemPolicy: RWSEM_POLICIES[unsigned[Header.RwsemPolicy]],
    blockBytes: session.blockBytes,
    pages: {
      total: unsigned[Header.Frames],
      // What is in no queue of reclaim: the free list leaves out what was never used, and what was dropped not long ago.
      free: unsigned[Header.Frames] - unsigned[Header.SmallCount] - unsigned[Header.MainCount],
      dirty: unsigned[Header.PagesDirty],
      dirtyMetadata: unsigned[Header.MetadataDirty],
      pinned: unsigned[Header.Pins],
    },
    hits: n[Count.ReadHits],
    misses: n[Count.ReadMisses],
    writeHits: n[Count.WriteHits],
    writeMisses: n[Count.WriteMisses],
    fills: n[Count.Fills],
    fillPages: n[Count.FillPages],
    readahead: {
      issued: n[Count.ReadaheadIssued],
      used: n[Count.ReadaheadUsed],
      wasted: n[Count.ReadaheadWasted],
    },
    evictions: n[Count.Evictions],
    writeback: {
      pages: n[Count.WritebackPages],
      runs: n[Count.WritebackRuns],
      errors: n[Count.WritebackErrors],
      throttles: n[Count.Throttles],
      directReclaims: n[Count.DirectReclaims],
    },
    punches: n[Count.Punches],
    truncates: n[Count.Truncates],
    locks: lockStats(n),
    lockTimes: sumLockTimes(arena),
    allocator: {
      blocksFree: unsigned[Header.BlocksFree],
      blocksReserved: unsigned[Header.BlocksReserved],
      blocksQuarantined: unsigned[Header.BlocksQuarantined],
      allocated: n[Count.BlocksAllocated],
      freed: n[Count.BlocksFreed],
      searches: n[Count.AllocatorSearches],
    },
    journal: {
      sizeBytes: handle.geometry.journalBlocks * session.blockBytes,
      commits: n[Count.Commits],
      blocks: n[Count.CommitBlocks],
      logBlocks: n[Count.LogBlocks],
      logBlocksUsed: session.journal.logBlocksUsed,
      checkpoints: n[Count.Checkpoints],
      checkpointBlocks: n[Count.CheckpointBlocks],
      handleWaits: n[Count.HandleWaits],
      recovered: handle.recovered,
    },
  };
}

function lockStats(n: readonly number[]): Record<string, LockStats> {
  const locks: Record<string, LockStats> = {};
  LOCK_RANK_NAMES.forEach((name, rank) => {
    if (rank > 0) locks[name] = { waits: n[Count.LockWaits + rank], waitMs: n[Count.LockWaitMs + rank] };
  });
  return locks;
}
