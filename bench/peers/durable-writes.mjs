/**
 * 4 KiB durable writes of one thread, beside lmdb, better-sqlite3 and plain system calls, all in one directory of one device.
 *
 * `node bench/peers/durable-writes.mjs [--quick]`, in the directory of TMPDIR. Every side has a file of 16 MiB and overwrites records of
 * it at random, each durable before the next begins. The sides take turns; the figure is the median call. A peer that is not
 * there is left out, by name: `npm ci --ignore-scripts --prefix bench/peers` installs them.
 */
import { closeSync, fdatasyncSync, mkdtempSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { createStore, openStore } from '../../dist/src/index.js';
import { attachStore } from '../../dist/src/worker.js';
import { betterSqlite, filled, installed } from './peer.mjs';

const RECORD_BYTES = 4096;
const RECORDS = 4096;
const MIB = 1024 * 1024;

const isQuick = process.argv.includes('--quick');
const TURNS = isQuick ? 2 : 60;
const CALLS_A_TURN = isQuick ? 5 : 50;

/** Each answers `{ write(record, bytes), close() }`, or a string that says why it is left out. */
const SIDES = {
  'emmental, datasync': (directory) => emmental(directory, 'datasync'),
  'emmental, sync': (directory) => emmental(directory, 'sync'),
  'writeSync and fdatasyncSync': plain,
  'lmdb, putSync': lmdb,
  'better-sqlite3, WAL, synchronous=FULL': sqlite,
};

async function emmental(directory, method) {
  const path = join(directory, `${method}.img`);
  closeSync(filled(path, 128 * MIB));
  await createStore(path, { overwrite: true });
  const store = await openStore(path, { cacheBytes: 64 * MIB, threads: 2 });
  const sync = attachStore(store.handle);
  const file = sync.open('records', 'w+');
  for (let record = 0; record < RECORDS; record++)
    file.write(new Uint8Array(RECORD_BYTES), 0, RECORD_BYTES, record * RECORD_BYTES);
  file.sync();
  return {
    write(record, bytes) {
      file.write(bytes, 0, RECORD_BYTES, record * RECORD_BYTES);
      file[method]();
    },
    async close() {
      file.close();
      sync.close();
      await store.close();
    },
  };
}

function plain(directory) {
  const fd = filled(join(directory, 'plain'), RECORDS * RECORD_BYTES);
  return {
    write(record, bytes) {
      writeSync(fd, bytes, 0, RECORD_BYTES, record * RECORD_BYTES);
      fdatasyncSync(fd);
    },
    close: () => closeSync(fd),
  };
}

/** Without `overlappingSync` a commit has been flushed when `putSync` returns. */
async function lmdb(directory) {
  const module = await installed('lmdb');
  if (module === null) return 'not installed';
  const db = module.open({
    path: join(directory, 'lmdb'),
    encoding: 'binary',
    compression: false,
    overlappingSync: false,
    mapSize: 256 * MIB,
  });
  db.transactionSync(() => {
    for (let record = 0; record < RECORDS; record++) db.putSync(record, Buffer.alloc(RECORD_BYTES));
  });
  return { write: (record, bytes) => db.putSync(record, bytes), close: () => db.close() };
}

async function sqlite(directory) {
  const Database = await betterSqlite();
  if (typeof Database === 'string') return Database;
  const db = new Database(join(directory, 'sqlite.db'));
  db.pragma('journal_mode = WAL');
  db.pragma('synchronous = FULL');
  db.exec('create table records (id integer primary key, bytes blob)');
  const insert = db.prepare('insert into records values (?, ?)');
  db.transaction(() => {
    for (let record = 0; record < RECORDS; record++) insert.run(record, Buffer.alloc(RECORD_BYTES));
  })();
  const update = db.prepare('update records set bytes = ? where id = ?');
  return { write: (record, bytes) => update.run(bytes, record), close: () => db.close() };
}

/** The first half of the turns lets all sides become warm. */
function measure(sides) {
  const times = new Map(sides.map(([name]) => [name, []]));
  const bytes = Buffer.alloc(RECORD_BYTES);
  let random = 1;
  for (let turn = 0; turn < TURNS; turn++) {
    for (const [name, side] of turn % 2 === 0 ? sides : sides.toReversed()) {
      for (let call = 0; call < CALLS_A_TURN; call++) {
        random = (Math.imul(random, 1103515245) + 12345) >>> 0;
        bytes.writeUInt32LE(random);
        const startMs = performance.now();
        side.write((random >>> 8) % RECORDS, bytes);
        if (turn >= TURNS / 2) times.get(name).push((performance.now() - startMs) * 1000);
      }
    }
  }
  return times;
}

function percentile(values, share) {
  return values.sort((a, b) => a - b)[Math.floor(values.length * share)];
}

const directory = mkdtempSync(join(tmpdir(), 'emmental-peers-'));
try {
  const sides = [];
  const missing = [];
  for (const [name, open] of Object.entries(SIDES)) {
    const side = await open(directory);
    if (typeof side === 'string') missing.push(`${name}: left out, ${side}`);
    else sides.push([name, side]);
  }
  const times = measure(sides);
  const least = percentile(times.get('writeSync and fdatasyncSync'), 0.5);
  for (const [name, values] of times) {
    const median = percentile(values, 0.5);
    const p99 = percentile(values, 0.99);
    const ratio = (median / least).toFixed(2);
    console.log(
      `${name.padEnd(38)} ${median.toFixed(0).padStart(6)} µs, p99 ${p99.toFixed(0).padStart(6)} µs, ${ratio} times plain`,
    );
  }
  for (const line of missing) console.log(line);
  for (const [, side] of sides) await side.close();
} finally {
  rmSync(directory, { recursive: true, force: true });
}
