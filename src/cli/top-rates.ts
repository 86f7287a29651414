/** Two snapshots of a store held against each other: what it did in between, for programs and for people. */
import type { Snapshot, StoreStats } from '../index.js';

export interface Rates {
  device: string;
  pid: number;
  scheme: string;
  io: string;
  /** Since the store was opened. */
  openSeconds: number;
  /** Between the two. */
  seconds: number;
  /** Events in a second. */
  perSecond: Record<keyof typeof COUNTERS, number>;
  /** By kind of lock, those that were waited for: acquisitions that waited in a second, and milliseconds of waiting. */
  locks: Record<string, { waitsPerSecond: number; waitMsPerSecond: number }>;
  pages: StoreStats['pages'];
}

const COUNTERS = {
  readHits: (stats: StoreStats) => stats.hits,
  readMisses: (stats: StoreStats) => stats.misses,
  writeHits: (stats: StoreStats) => stats.writeHits,
  writeMisses: (stats: StoreStats) => stats.writeMisses,
  filledPages: (stats: StoreStats) => stats.fillPages,
  readaheadIssued: (stats: StoreStats) => stats.readahead.issued,
  readaheadUsed: (stats: StoreStats) => stats.readahead.used,
  evictions: (stats: StoreStats) => stats.evictions,
  writebackPages: (stats: StoreStats) => stats.writeback.pages,
  writebackRuns: (stats: StoreStats) => stats.writeback.runs,
  punches: (stats: StoreStats) => stats.punches,
  truncations: (stats: StoreStats) => stats.truncates,
  commits: (stats: StoreStats) => stats.journal.commits,
  lockWaits: (stats: StoreStats) => Object.values(stats.locks).reduce((sum, { waits }) => sum + waits, 0),
};

export function ratesOf(before: Snapshot, after: Snapshot): Rates {
  const seconds = Math.max(1e-3, (after.openMs - before.openMs) / 1000);
  const entries = Object.entries(COUNTERS).map(([name, of]) => [name, (of(after.stats) - of(before.stats)) / seconds]);
  const locks: Rates['locks'] = {};
  for (const [name, { waits, waitMs }] of Object.entries(after.stats.locks)) {
    const earlier = before.stats.locks[name];
    if (waits === earlier.waits) continue;
    const waitMsPerSecond = (waitMs - earlier.waitMs) / seconds;
    locks[name] = { waitsPerSecond: (waits - earlier.waits) / seconds, waitMsPerSecond };
  }
  return {
    device: after.device,
    pid: after.pid,
    scheme: after.stats.scheme,
    io: after.stats.io,
    openSeconds: after.openMs / 1000,
    seconds,
    perSecond: Object.fromEntries(entries) as Rates['perSecond'],
    locks,
    pages: after.stats.pages,
  };
}

const NAME_WIDTH = 14;
const NUMBER_WIDTH = 11;

/** One interval, as lines of at most 80 columns. */
export function describeRates(rates: Rates): string[] {
  const { perSecond: n, pages } = rates;
  const row = (name: string, ...cells: [value: number, unit: string][]) =>
    name.padEnd(NAME_WIDTH) +
    cells
      .map(([value, unit]) => `${number(value)} ${unit.padEnd(12)}`)
      .join('')
      .trimEnd();
  const share = (part: number, all: number) => (all === 0 ? '' : `  ${((part / all) * 100).toFixed(1)}%`);
  const locks = Object.entries(rates.locks).map(([name, { waitsPerSecond, waitMsPerSecond }]) =>
    row(`  ${name}`.slice(0, NAME_WIDTH * 2), [waitsPerSecond, 'waits/s'], [waitMsPerSecond, 'ms/s']),
  );
  return [
    `${rates.device}: ${rates.scheme}, ${rates.io} I/O, process ${rates.pid}, open for ${duration(rates.openSeconds)}`,
    '',
    row('reads', [n.readHits, 'hits/s'], [n.readMisses, 'misses/s']) + share(n.readHits, n.readHits + n.readMisses),
    row('writes', [n.writeHits, 'hits/s'], [n.writeMisses, 'misses/s']) +
      share(n.writeHits, n.writeHits + n.writeMisses),
    row('fills', [n.filledPages, 'pages/s']),
    row('readahead', [n.readaheadIssued, 'issued/s'], [n.readaheadUsed, 'used/s']),
    row('evictions', [n.evictions, 'pages/s']),
    row('writeback', [n.writebackPages, 'pages/s'], [n.writebackRuns, 'runs/s']),
    row('punches', [n.punches, 'per second']),
    row('truncations', [n.truncations, 'per second']),
    row('commits', [n.commits, 'per second']),
    row('lock waits', [n.lockWaits, 'per second']),
    ...locks,
    '',
    `cache: ${number(pages.total).trim()} pages, ${number(pages.dirty).trim()} of them dirty, ${number(pages.pinned).trim()} pinned`,
  ];
}

function number(value: number): string {
  const digits = value > 0 && value < 10 && !Number.isInteger(value) ? 1 : 0;
  const text = value.toLocaleString('en-US', { minimumFractionDigits: digits, maximumFractionDigits: digits });
  return text.padStart(NUMBER_WIDTH);
}

function duration(seconds: number): string {
  const whole = Math.floor(seconds);
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60];
  const tail = `${String(minutes).padStart(hours > 0 ? 2 : 1, '0')}:${String(whole % 60).padStart(2, '0')}`;
  return hours > 0 ? `${hours}:${tail}` : tail;
}
