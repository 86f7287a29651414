/**
 * Schemes over numbers of threads, part by part.
 *
 * `node dist/bench/compare/scaling.js [--scheme=a,b] [--threads=1,2,4] [--runtime=SECONDS] [--rounds=N] [--image=PATH]`. For each number of
 * threads: reads of cached units; reads and writes, half and half; and what a punch takes while that goes on. The schemes
 * take turns within each round, forwards and backwards, on the same image; each figure is the median round's.
 */
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { formatTable, printLine } from '../../src/cli/print.js';
import { createStore } from '../../src/index.js';
import { temporaryDirectory } from '../micro/fixture.js';
import { formatCount, formatLatency } from '../workloads/summary.js';
import { runOrder } from './compare.js';
import { SchemeCrew } from './scheme-crew.js';
import type { Round, Work } from './scheme-thread.js';

const MIB = 1024 * 1024;
const FILE_BYTES = 64 * MIB;
const PUNCHES_PER_SECOND = 200;
const SCHEMES = 'invalidate-lock,i-rwsem,fault-hits,range-lock,two-state,reader-biased,optimistic';

interface Figures {
  readsAlone: number;
  readsAloneP99: number;
  reads: number;
  readP99: number;
  writes: number;
  writeP99: number;
  punchP50: number;
  punchP99: number;
}

const part = (work: Work, perSecond = 0): Round => ({ work, from: 0, to: FILE_BYTES, perSecond });

async function measure(crew: SchemeCrew, threads: number, lengthMs: number): Promise<Figures> {
  const alone = await crew.run(new Array(threads).fill(part('read')), lengthMs);
  const mixed = await crew.run(new Array(threads).fill(part('mixed')), lengthMs);
  const punched = await crew.run(
    [...new Array(threads).fill(part('mixed')), part('punch', PUNCHES_PER_SECOND)],
    lengthMs,
  );
  return {
    readsAlone: alone.reads,
    readsAloneP99: alone.read.percentile(99),
    reads: mixed.reads,
    readP99: mixed.read.percentile(99),
    writes: mixed.writes,
    writeP99: mixed.write.percentile(99),
    punchP50: punched.punch.percentile(50),
    punchP99: punched.punch.percentile(99),
  };
}

function medians(all: Figures[]): Figures {
  const keys = Object.keys(all[0]) as (keyof Figures)[];
  const of = (key: keyof Figures) => all.map((figures) => figures[key]).sort((a, b) => a - b)[all.length >> 1];
  return Object.fromEntries(keys.map((key) => [key, of(key)])) as unknown as Figures;
}

const HEAD = [
  'scheme',
  'threads',
  'reads/s alone',
  'p99',
  'reads/s',
  'p99',
  'writes/s',
  'p99',
  'punch p50',
  'p99',
  'single-thread read, write',
];

/** No punch came to its end in the round. */
function latencyOrNone(ns: number): string {
  return ns === 0 ? '–' : formatLatency(ns);
}

function table(names: string[], counts: number[], found: Map<string, Figures[]>): string {
  const figuresOf = (scheme: string, threads: number) => medians(found.get(`${scheme} ${threads}`)!);
  const rows = names.flatMap((scheme) =>
    counts.map((threads) => {
      const f = figuresOf(scheme, threads);
      const base = figuresOf(names[0], threads);
      const overhead = (mine: number, first: number) =>
        `${first / mine >= 1 ? '+' : ''}${((first / mine - 1) * 100).toFixed(0)}%`;
      return [
        scheme,
        threads,
        formatCount(f.readsAlone),
        formatLatency(f.readsAloneP99),
        formatCount(f.reads),
        formatLatency(f.readP99),
        formatCount(f.writes),
        formatLatency(f.writeP99),
        latencyOrNone(f.punchP50),
        latencyOrNone(f.punchP99),
        threads === 1 ? `${overhead(f.readsAlone, base.readsAlone)}, ${overhead(f.writes, base.writes)}` : '',
      ];
    }),
  );
  return formatTable(HEAD, rows, HEAD.slice(1));
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      scheme: { type: 'string', default: SCHEMES },
      threads: { type: 'string', default: '1,2,4,8,16' },
      runtime: { type: 'string', default: '0.5' },
      rounds: { type: 'string', default: '1' },
      image: { type: 'string' },
    },
  });
  const names = values.scheme.split(',');
  const counts = values.threads.split(',').map(Number);
  const image = values.image ?? join(temporaryDirectory(), 'scaling.img');
  await createStore(image, { sizeBytes: 4 * FILE_BYTES, overwrite: true });
  const found = new Map<string, Figures[]>();
  for (const scheme of runOrder(names, Number(values.rounds))) {
    const crew = await SchemeCrew.start(image, scheme, FILE_BYTES);
    for (const threads of counts) {
      const key = `${scheme} ${threads}`;
      found.set(key, [...(found.get(key) ?? []), await measure(crew, threads, Number(values.runtime) * 1000)]);
    }
    await crew.end();
  }
  printLine(table(names, counts, found));
}

if (process.argv[1]?.endsWith('scaling.js')) await main();
