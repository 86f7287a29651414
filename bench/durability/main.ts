/**
 * `node dist/bench/durability/main.js [sync] [shared] [create] [recovery] [price]`: what durability costs, each figure beside what
 * it is meant to reach. In the directory of TMPDIR; `--quick` shows that it works, and not how fast it is. `--effort=0.1` makes
 * a tenth of the calls, for devices that take their time. `--flush-ms=1` makes every flush of `sync` and `shared` a millisecond
 * longer.
 */
import { performance } from 'node:perf_hooks';
import { parseArgs } from 'node:util';
import { formatTable, printLine } from '../../src/cli/print.js';
import { takesDirectIo, temporaryDirectory } from '../micro/fixture.js';
import { claimLine } from '../micro/measure.js';
import { formatCount, formatLatency } from '../workloads/summary.js';
import { createFiles } from './create.js';
import { measurePrice } from './price.js';
import { measureRecovery } from './recovery.js';
import { measureShared } from './shared-commits.js';
import { CLAIMS, measureSync } from './sync-cost.js';

const MIB = 1024 * 1024;
const THREADS = 8;
const SHARED_AT_LEAST = 4;
/** Eight threads that compile the same code on two processors take about so long. */
const WARM_MS = 20_000;
const FILES_PER_SECOND_AT_LEAST = 50_000;
const RECOVERY_MS_AT_MOST = 2000;
const PRICE_AT_MOST = 0.05;

interface Context {
  directory: string;
  isQuick: boolean;
  effort: number;
  flushMs: number;
}

function claim(holds: boolean, text: string): void {
  printLine(`${holds ? 'ok  ' : 'MISS'} ${text}`);
}

async function sync({ directory, isQuick, effort, flushMs }: Context): Promise<void> {
  const turns = isQuick ? 2 : Math.ceil(400 * effort);
  const figures = await measureSync(directory, (isQuick ? 2 : 64) * MIB, turns, flushMs);
  const rows = [...figures].map(([name, ns]) => [name, formatLatency(ns)]);
  printLine(formatTable(['sync', 'one call'], rows, ['one call']));
  for (const each of CLAIMS) printLine(claimLine(each, figures));
}

async function shared({ directory, isQuick, effort, flushMs }: Context): Promise<void> {
  const threads = isQuick ? 2 : THREADS;
  const figures = await measureShared(directory, {
    threads,
    calls: isQuick ? 10 : Math.ceil(3000 * effort),
    rounds: isQuick ? 1 : 3,
    warmMs: isQuick ? 10 : WARM_MS,
    flushMs,
  });
  const { alone, together, commits, syncs } = figures;
  printLine(`1 thread: ${formatCount(alone)} syncs/s; ${threads} threads: ${formatCount(together)} syncs/s`);
  const ratio = together / alone;
  const detail = `${(syncs / commits).toFixed(1)} syncs to a commit`;
  claim(
    ratio >= SHARED_AT_LEAST,
    `${threads} threads sync ${ratio.toFixed(2)} times as often as one (at least ${SHARED_AT_LEAST}), ${detail}`,
  );
}

async function create({ directory, isQuick }: Context): Promise<void> {
  const files = isQuick ? 500 : 100_000;
  const { ordered, hashed } = await createFiles(directory, files);
  for (const [order, rate] of [
    ['in order', ordered],
    ['in no order', hashed],
  ] as const) {
    claim(
      rate >= FILES_PER_SECOND_AT_LEAST,
      `${files} files with names ${order}, and a sync: ${formatCount(rate)} files/s (at least ${formatCount(FILES_PER_SECOND_AT_LEAST)})`,
    );
  }
}

async function recovery({ directory, isQuick }: Context): Promise<void> {
  const figures = await measureRecovery(directory, (isQuick ? 4 : 64) * MIB);
  const { journalBytes, usedBytes, transactions, recoveredMs, cleanMs } = figures;
  const what = `${(usedBytes / MIB).toFixed(1)} of ${journalBytes / MIB} MiB of journal, ${transactions} transactions`;
  claim(
    recoveredMs <= RECOVERY_MS_AT_MOST,
    `opening with ${what} to replay: ${recoveredMs.toFixed(0)} ms (at most ${RECOVERY_MS_AT_MOST}); without: ${cleanMs.toFixed(0)} ms`,
  );
}

async function price({ directory, isQuick, effort }: Context): Promise<void> {
  const { share, bounds, pairs, commits, intervalMs } = await measurePrice(directory, isQuick, effort);
  const percent = (part: number) => `${(part * 100).toFixed(1)}%`;
  claim(
    share <= PRICE_AT_MOST,
    `a commit every ${intervalMs} ms costs ${percent(share)} of the comparison's operations (at most ${percent(PRICE_AT_MOST)}); between ${percent(bounds[0])} and ${percent(bounds[1])}, by ${pairs} pairs with ${commits} commits`,
  );
}

const SUITES: Record<string, (context: Context) => Promise<void>> = { sync, shared, create, recovery, price };

const { values, positionals: chosen } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    effort: { type: 'string', default: '1' },
    'flush-ms': { type: 'string', default: '0' },
  },
  allowPositionals: true,
});
const context: Context = {
  directory: temporaryDirectory(),
  isQuick: values.quick,
  effort: Number(values.effort),
  flushMs: Number(values['flush-ms']),
};
if (!takesDirectIo(context.directory)) {
  printLine(`skipped: the host refuses O_DIRECT in ${context.directory}`);
} else {
  for (const name of chosen.length > 0 ? chosen : Object.keys(SUITES)) {
    const suite = SUITES[name];
    if (suite === undefined) throw new Error(`no suite '${name}'; there are ${Object.keys(SUITES).join(', ')}`);
    const startMs = performance.now();
    await suite(context);
    printLine(`${name}: ${((performance.now() - startMs) / 1000).toFixed(1)} s`);
  }
}
