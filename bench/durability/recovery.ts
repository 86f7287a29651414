/**
 * How long a store takes to open when all of its journal must be replayed.
 *
 * Files are created and synced in small steps while the Checkpoint mutex is held, so that nothing leaves the log, until the log is
 * full; then the image is copied, as a power cut would leave it. The copy's recovery is timed by itself, with the image dropped
 * from the host's cache by O_DIRECT.
 */
import { copyFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { openStore, type Store, type StoreStats } from '../../src/index.js';
import { checkpointLock } from '../../src/journal/checkpoint.js';
import { runBlocking } from '../../src/routine/blocking-driver.js';
import { Session } from '../../src/store/session.js';
import { lockMutex, unlockMutex } from '../../src/sync/mutex.js';
import type { SyncStore } from '../../src/worker.js';
import { withPreallocatedStore } from './preallocated.js';

/** Blocks that one step leaves free at least: a step must never need a checkpoint. */
const RESERVE_BLOCKS = 128;
const FILES_A_STEP = 200;

export interface RecoveryFigures {
  journalBytes: number;
  /** Of the journal, when the image was copied. */
  usedBytes: number;
  transactions: number;
  /** Opening the copy, and opening it once more after it was closed. */
  recoveredMs: number;
  cleanMs: number;
}

export async function measureRecovery(directory: string, journalBytes: number): Promise<RecoveryFigures> {
  const path = join(directory, 'journal.img');
  const copy = join(directory, 'cut.img');
  // A cache in which all of the log's blocks may wait to be written in place: they are an eighth of it at the most.
  const open = { cacheBytes: journalBytes * 9, threads: 2, commitIntervalMs: Number.POSITIVE_INFINITY };
  const shape = { sizeBytes: journalBytes * 4, journalBytes, open };
  const usedBytes = await withPreallocatedStore(path, shape, async (store, sync) => {
    return fill(store, sync, journalBytes, () => copyFileSync(path, copy));
  });
  rmSync(path);
  const recovered = await timedOpening(copy);
  const clean = await timedOpening(copy);
  rmSync(copy);
  const { recovered: transactions } = recovered.stats.journal;
  return { journalBytes, usedBytes, transactions, recoveredMs: recovered.ms, cleanMs: clean.ms };
}

/** Fills the log, and calls `whenFull`. Bytes of it in use. */
async function fill(store: Store, sync: SyncStore, journalBytes: number, whenFull: () => void): Promise<number> {
  const session = new Session(store.handle, 'user');
  const { task, arena, journal, blockBytes } = session;
  const total = journalBytes / blockBytes;
  runBlocking(task, journal.checkpoint(task));
  runBlocking(task, lockMutex(task, checkpointLock(arena)));
  try {
    for (let files = 0; journal.logBlocksUsed + RESERVE_BLOCKS < total; ) {
      for (const end = files + FILES_A_STEP; files < end; files++) sync.open(`file-${files}`, 'wx').close();
      sync.sync();
    }
    whenFull();
    return journal.logBlocksUsed * blockBytes;
  } finally {
    unlockMutex(task, checkpointLock(arena));
    session.detach();
  }
}

async function timedOpening(path: string): Promise<{ ms: number; stats: StoreStats }> {
  const startMs = performance.now();
  const store = await openStore(path, { threads: 2 });
  const ms = performance.now() - startMs;
  const stats = await store.stats();
  await store.close();
  return { ms, stats };
}
