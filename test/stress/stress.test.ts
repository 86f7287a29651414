/**
 * The stress test: real threads read, pin, prefetch, write, punch and truncate files that keep reusing each other's blocks,
 * under a cache much smaller than the files, and everything that anybody sees is held against the ledger (ledger.mjs).
 *
 * EMMENTAL_STRESS_MS sets how long each scheme is run, EMMENTAL_STRESS_SEED the seed of the threads' choices (their
 * interleaving is the machine's), EMMENTAL_SCHEMES the schemes, EMMENTAL_STRESS_BLOCK the block size, EMMENTAL_STRESS_OPTIONS more options of openStore.
 */
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { describe, expect, it } from 'vitest';
import { checkStore, createStore, type File, type OpenOptions, openStore, type Store } from '#dist/src/index.js';
import { Arena } from '#dist/src/sync/arena.js';
import { bundledThread } from '../support/bundled-thread.js';
import { lockReport } from '../support/lock-report.js';
import { temporaryDirectory } from '../support/temporary.js';
import { isTestedInFull, testedSchemes } from '../support/tested-schemes.js';
import { Ledger, type LedgerShape, SECTOR_BYTES } from './ledger.mjs';

const DURATION_MS = Number(process.env['EMMENTAL_STRESS_MS'] ?? 2000);
const SEED = Number(process.env['EMMENTAL_STRESS_SEED'] ?? Math.floor(Math.random() * 2 ** 31));
/** One seed in so many makes stores with data checksums. */
const CHECKSUM_SHARE = 4;
/** A thread that has not finished a step for so long is stuck. */
const STUCK_MS = 10_000;
/** How often each of `doings` has to come, and how long a run waits for that on a slow machine. */
const DOINGS_MIN = 10;
const DOINGS_MS = 60_000;
const PAGE_BYTES = Number(process.env['EMMENTAL_STRESS_BLOCK'] ?? 4096);
const OPTIONS = JSON.parse(process.env['EMMENTAL_STRESS_OPTIONS'] ?? '{}') as OpenOptions;
const SHAPE: LedgerShape = { files: 5, pages: 400, pageBytes: PAGE_BYTES };
const DEVICE_BYTES = 3072 * PAGE_BYTES;
const CACHE_PAGES = 320;
const PARTS = [
  'read',
  'sequence',
  'sequence',
  'write',
  'write',
  'invalidate',
  'pin',
  'advise',
  'churn',
  'shift',
  'shift',
  'rename',
  'rename',
];

interface Report {
  steps: number;
  error?: { message: string; code?: string; stack?: string };
}

class Run {
  readonly control = new Int32Array(new SharedArrayBuffer(4 * (2 + PARTS.length)));
  readonly ledgerBuffer = Ledger.allocate(SHAPE);
  private readonly workers: Worker[] = [];

  constructor(
    private readonly store: Store,
    private readonly seed: number,
  ) {}

  /**
   * Plays for the given time, and on until enough has happened; returns the steps of each part. Throws what the threads found,
   * or that they are stuck.
   */
  async play(durationMs: number): Promise<number[]> {
    const reports = PARTS.map((part, index) => this.start(part, index));
    const all = Promise.all(reports);
    let timer: NodeJS.Timeout | undefined;
    try {
      await Promise.race([all, this.ready()]);
      Atomics.store(this.control, 0, 1);
      Atomics.notify(this.control, 0);
      const startMs = Date.now();
      timer = setInterval(() => {
        const elapsedMs = Date.now() - startMs;
        const isEnough = Math.min(...doings(this.store)) > DOINGS_MIN;
        if (elapsedMs >= durationMs && (isEnough || elapsedMs >= DOINGS_MS)) Atomics.store(this.control, 0, 2);
      }, 50);
      await Promise.race([all, this.watch(all)]);
    } finally {
      clearInterval(timer);
      await Promise.all(this.workers.map((worker) => worker.terminate()));
    }
    const found = await all;
    const errors = found.flatMap(({ error }, i) =>
      error === undefined ? [] : [`${PARTS[i]} ${i}: ${error.stack ?? error.message}`],
    );
    if (errors.length > 0) throw new Error(errors.join('\n'));
    return found.map(({ steps }) => steps);
  }

  private start(part: string, index: number): Promise<Report> {
    const workerData = {
      handle: this.store.handle,
      ledger: this.ledgerBuffer,
      control: this.control.buffer,
      shape: SHAPE,
      part,
      index,
      seed: this.seed,
    };
    const worker = new Worker(bundledThread('thread'), { workerData });
    this.workers.push(worker);
    return new Promise<Report>((resolve, reject) => {
      worker.once('message', resolve);
      worker.once('error', reject);
      worker.once('exit', () => reject(new Error(`${part} ${index} ended without a word`)));
    });
  }

  private async ready(): Promise<void> {
    while (Atomics.load(this.control, 1) < PARTS.length) await new Promise((resolve) => setTimeout(resolve, 10));
  }

  /** Rejects when some thread makes no progress for too long, with what everybody waits for. */
  private async watch(all: Promise<Report[]>): Promise<void> {
    const arena = new Arena(this.store.handle.arena, this.store.handle.layout);
    const seen = PARTS.map(() => -1);
    const since = PARTS.map(() => Date.now());
    let running = true;
    const ended = all.then(
      () => (running = false),
      () => (running = false),
    );
    while (running) {
      await Promise.race([ended, new Promise((resolve) => setTimeout(resolve, 500))]);
      const now = Date.now();
      for (let i = 0; i < PARTS.length && running; i++) {
        const steps = Atomics.load(this.control, 2 + i);
        if (steps !== seen[i]) since[i] = now;
        seen[i] = steps;
        if (now - since[i] > STUCK_MS) {
          throw new Error(
            `${PARTS[i]} ${i} has been stuck for ${STUCK_MS} ms at step ${steps}\n  ${lockReport(arena)}`,
          );
        }
      }
    }
  }
}

/** The opening thread reads and writes too, several calls at a time, until the threads stop. Returns the calls made. */
async function playAsynchronously(store: Store, run: Run): Promise<number> {
  const ledger = new Ledger(run.ledgerBuffer, SHAPE);
  const files: File[] = [];
  for (let number = 1; number <= SHAPE.files; number++) files.push(await store.open(`stress-${number}`, 'r+'));
  let calls = 0;
  const player = async (): Promise<void> => {
    while (Atomics.load(run.control, 0) !== 2) {
      calls += 1;
      const number = 1 + Math.floor(Math.random() * SHAPE.files);
      const page = Math.floor(Math.random() * (SHAPE.pages - 8));
      if (Math.random() < 0.7) await readAndCheck(ledger, number, files[number - 1], page, 1 + (calls % 8));
      else await claimAndWrite(ledger, number, files[number - 1], page, 1 + (calls % 3));
    }
  };
  try {
    await Promise.all([player(), player(), player(), player()]);
  } catch (error) {
    Atomics.store(run.control, 0, 2);
    throw error;
  }
  for (const file of files) await file.close();
  return calls;
}

async function readAndCheck(ledger: Ledger, number: number, file: File, page: number, pages: number): Promise<void> {
  const [position, length] = [page * PAGE_BYTES, pages * PAGE_BYTES];
  const bytes = new Uint8Array(length);
  const notes = ledger.note(number, position, length);
  const { bytesRead } = await file.read(bytes, 0, length, position);
  ledger.check(number, position, length, bytes.subarray(0, bytesRead), notes, 'an awaited read');
}

async function claimAndWrite(ledger: Ledger, number: number, file: File, page: number, pages: number): Promise<void> {
  if (!ledger.tryClaim(number, page, page + pages)) {
    await new Promise((resolve) => setTimeout(resolve, 1));
    return;
  }
  const [first, end] = [page * ledger.sectorsPerPage, (page + pages) * ledger.sectorsPerPage];
  const bytes = new Uint8Array(pages * PAGE_BYTES);
  let done = first;
  ledger.begin(number, first, end, new Int32Array(bytes.buffer));
  try {
    done += (await file.write(bytes, 0, bytes.length, page * PAGE_BYTES)).bytesWritten / SECTOR_BYTES;
  } catch (error) {
    if ((error as { code?: string }).code !== 'ENOSPC') throw error;
  } finally {
    ledger.finish(number, first, done, end);
    ledger.release(number, page, page + pages);
  }
}

/** What has to happen for a run to be worth its name. */
function doings(store: Store): number[] {
  const { evictions, punches, truncates, readahead, writeback } = store.stats();
  return [evictions, punches, truncates, readahead.issued, writeback.pages];
}

async function checkContent(image: string, ledgerBuffer: SharedArrayBuffer, when: string): Promise<void> {
  const ledger = new Ledger(ledgerBuffer, SHAPE);
  const store = await openStore(image, { threads: 2, verify: true, cacheBytes: 1024 * PAGE_BYTES });
  const bytes = Buffer.alloc(SHAPE.pages * PAGE_BYTES);
  for (let number = 1; number <= SHAPE.files; number++) {
    const file = await store.open(`stress-${number}`);
    const notes = ledger.note(number, 0, bytes.length);
    const { bytesRead } = await file.read(bytes, 0, bytes.length, 0);
    ledger.check(number, 0, bytes.length, bytes.subarray(0, bytesRead), notes, when);
    await file.close();
  }
  await store.close();
}

describe('threads that read, write and invalidate the same files', () => {
  const directory = temporaryDirectory(true);
  testedSchemes.filter(isTestedInFull).forEach(({ name, safe }, i) => {
    const seed = SEED + i;
    const dataChecksums = seed % CHECKSUM_SHARE === 0;
    const kind = dataChecksums ? `${name}, data checksums` : name;
    it(`${kind}, ${DURATION_MS} ms, seed ${seed}`, { timeout: 2 * DURATION_MS + 120_000 }, async () => {
      const image = join(directory, `${name}.img`);
      await createStore(image, { sizeBytes: DEVICE_BYTES, blockBytes: PAGE_BYTES, dataChecksums });
      const store = await openStore(image, {
        scheme: name,
        cacheBytes: CACHE_PAGES * PAGE_BYTES,
        threads: 3,
        verify: true,
        unsafe: !safe,
        ...OPTIONS,
      });
      for (let file = 1; file <= SHAPE.files; file++) await (await store.open(`stress-${file}`, 'w')).close();
      await (await store.open('shifted', 'w')).close();
      const run = new Run(store, seed);
      try {
        const [steps, awaited] = await Promise.all([run.play(DURATION_MS), playAsynchronously(store, run)]);
        expect(awaited).toBeGreaterThan(0);
        for (const [thread, part] of PARTS.entries()) expect(steps[thread], part).toBeGreaterThan(0);
        console.log(`${name}: ${PARTS.map((part, thread) => `${part} ${steps[thread]}`).join(', ')} steps`);
        for (const done of doings(store)) expect(done).toBeGreaterThan(DOINGS_MIN);
        await store.close();
      } catch (error) {
        throw new Error(`seed ${seed}: ${(error as Error).message}`, { cause: error });
      }
      expect(await checkStore(image)).toMatchObject({ clean: true, errors: [] });
      await checkContent(image, run.ledgerBuffer, 'after reopening');
    });
  });
});
