/**
 * `npm run bench`: the micro-benchmarks, each figure beside its bare limit. Names of suites as arguments choose some;
 * `--quick` makes everything short, which shows that it works and not how fast it is.
 */
import { join } from 'node:path';
import { formatTable, printLine } from '../../src/cli/print.js';
import { restartWithHugePages } from '../workloads/restart.js';
import { formatLatency } from '../workloads/summary.js';
import { clockSuite } from './clock.js';
import { CLAIMS, type DeviceSizes, measureDevice } from './device.js';
import { takesDirectIo, temporaryDirectory, withStore } from './fixture.js';
import { awaitedHits, syncHits } from './hits.js';
import { locksSuite } from './locks.js';
import { claimLine, FULL_EFFORT, measure, QUICK_EFFORT, reportSuite, type Suite } from './measure.js';
import { metadataSuites } from './metadata.js';
import { namesTable, openLargeMs } from './scale.js';
import { streamSuites } from './streams.js';

const MIB = 1024 * 1024;
const FULL: DeviceSizes = { fileBytes: 512 * MIB, misses: 1000, turns: 5 };
const QUICK: DeviceSizes = { fileBytes: 16 * MIB, misses: 50, turns: 1 };

/** A call is a pass through a file, of some milliseconds. */
const STREAM_EFFORT = { ...FULL_EFFORT, iterations: 16 };

interface Context {
  directory: string;
  isQuick: boolean;
}

async function show(suite: Suite, { isQuick }: Context, effort = FULL_EFFORT): Promise<void> {
  printLine(reportSuite(suite, await measure(suite, isQuick ? QUICK_EFFORT : effort)));
}

async function hits(context: Context): Promise<void> {
  const path = join(context.directory, 'hits.img');
  await withStore(path, 256 * MIB, { cacheBytes: 128 * MIB }, async (store, sync) => {
    const { suites, close } = syncHits(sync, context.directory);
    for (const suite of suites) await show(suite, context);
    close();
    const awaited = await awaitedHits(store, context.directory);
    await show(awaited.suite, context);
    await awaited.close();
  });
}

async function locks(context: Context): Promise<void> {
  const { suite, close } = locksSuite();
  await show(suite, context);
  close();
}

async function metadata(context: Context): Promise<void> {
  const path = join(context.directory, 'metadata.img');
  const extents = context.isQuick ? 1000 : 1_000_000;
  await withStore(path, extents * 8192 + 256 * MIB, { cacheBytes: 128 * MIB }, async (store, sync) => {
    const { suites, close } = metadataSuites(store, sync, extents);
    for (const suite of suites) await show(suite, context);
    close();
  });
}

async function streams(context: Context): Promise<void> {
  const path = join(context.directory, 'streams.img');
  await withStore(path, 128 * MIB, { cacheBytes: 128 * MIB }, async (store, sync) => {
    const { suites, close } = await streamSuites(store, sync, context.directory);
    for (const suite of suites) await show(suite, context, STREAM_EFFORT);
    await close();
  });
}

async function device(context: Context): Promise<void> {
  if (!takesDirectIo(context.directory)) {
    printLine(`device: skipped, the host refuses O_DIRECT in ${context.directory}`);
    return;
  }
  const figures = await measureDevice(context.directory, context.isQuick ? QUICK : FULL);
  const rows = [...figures].map(([name, ns]) => [name, formatLatency(ns)]);
  printLine(formatTable(['device', 'per operation'], rows, ['per operation']));
  for (const claim of CLAIMS) printLine(claimLine(claim, figures));
}

async function scale(context: Context): Promise<void> {
  printLine(await namesTable(context.directory, context.isQuick ? 500 : 100_000));
  const ms = await openLargeMs(context.directory);
  printLine(`${ms < 1000 ? 'ok  ' : 'MISS'} opening a sparse image of 1 TiB: ${ms.toFixed(0)} ms (at most 1000)`);
}

const SUITES: Record<string, (context: Context) => Promise<void>> = {
  hits,
  locks,
  metadata,
  streams,
  device,
  scale,
  clock: (context) => show(clockSuite(), context),
};

const args = process.argv.slice(2);
const isQuick = args.includes('--quick');
if (isQuick || !(await restartWithHugePages())) {
  const context: Context = { directory: temporaryDirectory(), isQuick };
  const chosen = args.filter((arg) => !arg.startsWith('--'));
  for (const name of chosen.length > 0 ? chosen : Object.keys(SUITES)) {
    const suite = SUITES[name];
    if (suite === undefined) throw new Error(`no suite '${name}'; there are ${Object.keys(SUITES).join(', ')}`);
    await suite(context);
  }
}
