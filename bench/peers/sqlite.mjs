/**
 * SQLite on a store (wa-sqlite) beside better-sqlite3 on the host, in one directory of one device, and beside wa-sqlite with its
 * files in plain memory: what it costs without any.
 *
 * `node bench/peers/sqlite.mjs [--quick]`, in the directory of TMPDIR. The same schema, pragmas and statements on every side,
 * synchronous=FULL. A database of its own for each side and journal mode; sides and modes take turns in every round, and the
 * figure is the median round of the second half, with the least and the most. A peer that is not there is left out, by name:
 * `npm ci --ignore-scripts --prefix bench/peers` installs it.
 */
import { closeSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { createStore, openStore } from '../../dist/src/index.js';
import { openSqlite } from '../../dist/src/wa-sqlite.js';
import { attachStore } from '../../dist/src/worker.js';
import { betterSqlite, filled } from './peer.mjs';

const MIB = 1024 * 1024;
const isQuick = process.argv.includes('--quick');
const STORE_BYTES = (isQuick ? 48 : 256) * MIB;
const ROUNDS = isQuick ? 2 : 16;
const JOURNALS = ['delete', 'truncate', 'persist', 'wal'];
const ROWS = isQuick ? 200 : 20_000;
const VALUE_BYTES = 100;
const SINGLE = isQuick ? 5 : 100;
const BATCH = isQuick ? 20 : 1000;
const READS = isQuick ? 20 : 1000;

/** A log is this connection's alone: a store has no shared memory for it, and the others are given the same. */
const pragmas = (journal) => [
  `pragma locking_mode = ${journal === 'wal' ? 'exclusive' : 'normal'}`,
  `pragma journal_mode = ${journal}`,
  'pragma synchronous = full',
  'pragma cache_size = -16000',
];
const SCHEMA = 'create table items (id integer primary key, value blob)';
const INSERT = 'insert into items values (?, ?)';
const SELECT = 'select value from items where id = ?';

/**
 * Jobs, on what a side gives: `insert` and `read` run one prepared statement, `exec` any. Each answers how often it did what it
 * is about.
 */
const JOBS = {
  async 'one insert a transaction'(db) {
    for (let i = 0; i < SINGLE; i++) await db.insert(db.next++);
    return SINGLE;
  },
  async 'inserts, 1000 a transaction'(db) {
    await db.exec('begin');
    for (let i = 0; i < BATCH; i++) await db.insert(db.next++);
    await db.exec('commit');
    return BATCH;
  },
  async 'read by key, cached by SQLite'(db) {
    for (let i = 0; i < READS; i++) await db.read(anyRow());
    return READS;
  },
  async 'read by key, not cached by SQLite'(db) {
    await db.exec('pragma cache_size = 0');
    for (let i = 0; i < READS; i++) await db.read(anyRow());
    await db.exec('pragma cache_size = -16000');
    return READS;
  },
};

let random = 1;
function anyRow() {
  random = (Math.imul(random, 1103515245) + 12345) >>> 0;
  return (random >>> 8) % ROWS;
}

/** Each answers `{ open(journal), close() }`, or a string that says why it is left out. */
const SIDES = {
  emmental: emmental,
  'better-sqlite3': host,
  'wa-sqlite in memory': inMemory,
};

async function emmental(directory) {
  const path = join(directory, 'store.img');
  closeSync(filled(path, STORE_BYTES));
  await createStore(path, { overwrite: true });
  const store = await openStore(path, { cacheBytes: STORE_BYTES / 2, threads: 2 });
  const sync = attachStore(store.handle);
  const sqlite = await openSqlite(sync);
  return {
    open: async (journal) => waSide(sqlite, await sqlite.open_v2(`databases/${journal}`)),
    async close() {
      sync.close();
      await store.close();
    },
  };
}

async function inMemory() {
  const [SQLite, factory, { MemoryVFS }, { instantiateWasm }] = await Promise.all([
    import('@journeyapps/wa-sqlite'),
    import('@journeyapps/wa-sqlite/dist/wa-sqlite.mjs'),
    import('@journeyapps/wa-sqlite/src/examples/MemoryVFS.js'),
    import('../../dist/src/adapters/wa-sqlite/open-sqlite.js'),
  ]);
  const module = await factory.default({ instantiateWasm });
  const sqlite = SQLite.Factory(module);
  sqlite.vfs_register(await MemoryVFS.create('memory', module), true);
  return { open: async (journal) => waSide(sqlite, await sqlite.open_v2(journal)), close() {} };
}

/** A database of wa-sqlite. */
async function waSide(sqlite, db) {
  const prepare = async (sql) => (await sqlite.statements(db, sql, { unscoped: true }).next()).value;
  let insert = 0;
  let select = 0;
  return {
    next: 0,
    exec: (sql) => sqlite.exec(db, sql),
    async journal() {
      let mode = '';
      await sqlite.exec(db, 'pragma journal_mode', ([is]) => {
        mode = is;
      });
      return mode;
    },
    async prepare() {
      insert = await prepare(INSERT);
      select = await prepare(SELECT);
    },
    async insert(id) {
      sqlite.bind_int(insert, 1, id);
      sqlite.bind_blob(insert, 2, VALUE);
      await sqlite.step(insert);
      await sqlite.reset(insert);
    },
    async read(id) {
      sqlite.bind_int(select, 1, id);
      await sqlite.step(select);
      const value = sqlite.column_blob(select, 0);
      await sqlite.reset(select);
      return value;
    },
    async close() {
      await sqlite.finalize(insert);
      await sqlite.finalize(select);
      await sqlite.close(db);
    },
  };
}

async function host(directory) {
  const Database = await betterSqlite();
  if (typeof Database === 'string') return Database;
  return { open: (journal) => hostSide(new Database(join(directory, `${journal}.db`))), close() {} };
}

function hostSide(db) {
  let insert = null;
  let select = null;
  return {
    next: 0,
    exec: (sql) => db.exec(sql),
    journal: () => db.pragma('journal_mode', { simple: true }),
    prepare() {
      insert = db.prepare(INSERT);
      select = db.prepare(SELECT).pluck();
    },
    insert: (id) => insert.run(id, VALUE),
    read: (id) => select.get(id),
    close: () => db.close(),
  };
}

const VALUE = new Uint8Array(VALUE_BYTES).fill(7);

async function prepared(side, journal) {
  const db = await side.open(journal);
  for (const pragma of pragmas(journal)) await db.exec(pragma);
  const is = await db.journal();
  if (is !== journal) throw new Error(`journal mode ${is} instead of ${journal}`);
  await db.exec(SCHEMA);
  await db.prepare();
  await db.exec('begin');
  while (db.next < ROWS) await db.insert(db.next++);
  await db.exec('commit');
  return db;
}

/** Rates by job, journal mode and side. */
async function measure(sides) {
  const rates = new Map();
  for (let round = 0; round < ROUNDS; round++) {
    for (const [job, run] of Object.entries(JOBS)) {
      for (const journal of JOURNALS) {
        for (const [name, databases] of round % 2 === 0 ? sides : sides.toReversed()) {
          const startMs = performance.now();
          const done = await run(databases.get(journal));
          const rate = (done / (performance.now() - startMs)) * 1000;
          const key = `${job}|${journal}|${name}`;
          if (round >= ROUNDS / 2) rates.set(key, [...(rates.get(key) ?? []), rate]);
        }
      }
    }
  }
  return rates;
}

function cell(values) {
  values.sort((a, b) => a - b);
  const [least, median, most] = [values[0], values[Math.floor(values.length / 2)], values[values.length - 1]];
  return `${short(median)} (${short(least)}–${short(most)})`;
}

function short(rate) {
  return rate >= 100_000
    ? `${(rate / 1000).toFixed(0)}k`
    : rate >= 10_000
      ? `${(rate / 1000).toFixed(1)}k`
      : rate.toFixed(0);
}

const directory = mkdtempSync(join(tmpdir(), 'emmental-sqlite-'));
try {
  const opened = [];
  const sides = [];
  const missing = [];
  for (const [name, open] of Object.entries(SIDES)) {
    const side = await open(directory);
    if (typeof side === 'string') {
      missing.push(`${name}: left out, ${side}`);
      continue;
    }
    const databases = new Map();
    for (const journal of JOURNALS) databases.set(journal, await prepared(side, journal));
    opened.push(side);
    sides.push([name, databases]);
  }
  const rates = await measure(sides);
  console.log(`| a second | journal mode | ${sides.map(([name]) => name).join(' | ')} |`);
  console.log(`| --- | --- |${sides.map(() => ' ---: |').join('')}`);
  for (const job of Object.keys(JOBS)) {
    for (const journal of JOURNALS) {
      const cells = sides.map(([name]) => cell(rates.get(`${job}|${journal}|${name}`)));
      console.log(`| ${job} | ${journal} | ${cells.join(' | ')} |`);
    }
  }
  for (const line of missing) console.log(line);
  for (const [, databases] of sides) for (const db of databases.values()) await db.close();
  for (const side of opened) await side.close();
} finally {
  rmSync(directory, { recursive: true, force: true });
}
