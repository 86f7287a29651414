/**
 * Punches of one half of a file, and cold reads of the other half: whom the lock between them hurts.
 *
 * `node dist/bench/compare/halves.js [--scheme=a,b] [--runtime=SECONDS] [--rounds=N] [--punch=N] [--image=PATH]`. Rounds without punches
 * and rounds with so many a second (0: as many as one thread can make) take turns; each figure is the median round's. Under a lock that knows ranges a fill
 * of the other half never waits for a punch. What is left is what the punches cost the device and the processor.
 */
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { formatTable, printLine } from '../../src/cli/print.js';
import { createStore } from '../../src/index.js';
import { temporaryDirectory } from '../micro/fixture.js';
import { formatCount, formatLatency } from '../workloads/summary.js';
import { type RoundFigures, SchemeCrew } from './scheme-crew.js';
import type { Round } from './scheme-thread.js';

const MIB = 1024 * 1024;
const FILE_BYTES = 64 * MIB;
const HALF_BYTES = FILE_BYTES / 2;

const COLD: Round = { work: 'cold', from: HALF_BYTES, to: FILE_BYTES, perSecond: 0 };
/** More than half a processor's worth, and not so many that the reader waits for a processor and not for a lock. */
const PUNCHES_PER_SECOND = 1000;

export interface HalvesFigures {
  scheme: string;
  calmP50: number;
  calmP99: number;
  stormP50: number;
  stormP99: number;
  fills: number;
  punches: number;
  /** Waits for a lock of the file during the storms. */
  waits: number;
}

function median(values: number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1];
}

export async function measureHalves(
  image: string,
  scheme: string,
  rounds: number,
  lengthMs: number,
  perSecond = PUNCHES_PER_SECOND,
): Promise<HalvesFigures> {
  const punch: Round = { work: 'punch', from: 0, to: HALF_BYTES, perSecond };
  const crew = await SchemeCrew.start(image, scheme, FILE_BYTES);
  try {
    await crew.run([COLD, punch], lengthMs / 4);
    const calm: RoundFigures[] = [];
    const storm: RoundFigures[] = [];
    for (let i = 0; i < rounds; i++) {
      calm.push(await crew.run([COLD], lengthMs));
      storm.push(await crew.run([COLD, punch], lengthMs));
    }
    const percentile = (of: RoundFigures[], percent: number) => median(of.map(({ read }) => read.percentile(percent)));
    const sum = (value: (figures: RoundFigures) => number) =>
      storm.reduce((total, figures) => total + value(figures), 0);
    return {
      scheme,
      calmP50: percentile(calm, 50),
      calmP99: percentile(calm, 99),
      stormP50: percentile(storm, 50),
      stormP99: percentile(storm, 99),
      fills: sum(({ read }) => read.count),
      punches: sum((figures) => figures.punch.count),
      waits: sum(({ waits }) => waits),
    };
  } finally {
    await crew.end();
  }
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      scheme: { type: 'string', default: 'invalidate-lock,two-state,range-lock' },
      runtime: { type: 'string', default: '1' },
      rounds: { type: 'string', default: '5' },
      punch: { type: 'string', default: String(PUNCHES_PER_SECOND) },
      image: { type: 'string' },
      json: { type: 'boolean', default: false },
    },
  });
  const image = values.image ?? join(temporaryDirectory(), 'halves.img');
  await createStore(image, { sizeBytes: 4 * FILE_BYTES, overwrite: true });
  const all: HalvesFigures[] = [];
  for (const scheme of values.scheme.split(',')) {
    const lengthMs = Number(values.runtime) * 1000;
    all.push(await measureHalves(image, scheme, Number(values.rounds), lengthMs, Number(values.punch)));
  }
  if (values.json) {
    printLine(JSON.stringify(all));
    return;
  }
  const head = [
    'scheme',
    'fill p50',
    'p99',
    'p50 in the storm',
    'p99 in the storm',
    'p99 ratio',
    'fills',
    'punches',
    'lock waits',
  ];
  const rows = all.map((f) => [
    f.scheme,
    formatLatency(f.calmP50),
    formatLatency(f.calmP99),
    formatLatency(f.stormP50),
    formatLatency(f.stormP99),
    `${(f.stormP99 / f.calmP99).toFixed(2)}×`,
    formatCount(f.fills),
    formatCount(f.punches),
    formatCount(f.waits),
  ]);
  printLine(formatTable(head, rows, head.slice(1)));
}

if (process.argv[1]?.endsWith('halves.js')) await main();
