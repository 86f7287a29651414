/** SQLite on a store: its journal modes, several threads on one database, one of them killed, and no room. */
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { afterAll, describe, expect, it } from 'vitest';
import { createStore, openStore, type Store } from '#dist/src/index.js';
import { openSqlite } from '#dist/src/wa-sqlite.js';
import { attachStore, type SyncStore } from '#dist/src/worker.js';
import { bundledThread } from '../../support/bundled-thread.js';
import { temporaryDirectory } from '../../support/temporary.js';

/** Of each of four threads. */
const TRANSACTIONS = Number(process.env.EMMENTAL_SQLITE_TRANSACTIONS ?? 200);
const SEED = Number(process.env.EMMENTAL_SQLITE_SEED ?? Math.floor(Math.random() * 2 ** 31));
const ACCOUNTS = 50;

const directory = temporaryDirectory(true);
let images = 0;
/** Threads that are through with one database and have SQLite, and the engine, loaded and compiled for the next. */
const idle: Worker[] = [];
afterAll(() => Promise.all(idle.map((worker) => worker.terminate())));

async function onStore(sizeBytes: number, use: (store: Store, sync: SyncStore) => Promise<void>): Promise<void> {
  const path = join(directory, `${images++}.img`);
  await createStore(path, { sizeBytes });
  const store = await openStore(path, { threads: 2, cacheBytes: 16 * 2 ** 20, verify: true });
  const sync = attachStore(store.handle);
  try {
    await use(store, sync);
  } finally {
    sync.close();
    await store.close();
  }
}

type Connection = Awaited<ReturnType<typeof connect>>;

async function connect(sync: SyncStore, name: string) {
  const sqlite = await openSqlite(sync);
  const db = await sqlite.open_v2(name);
  return {
    /** The rows' first columns. */
    async exec(sql: string): Promise<unknown[]> {
      const rows: unknown[] = [];
      await sqlite.exec(db, sql, (row) => rows.push(row[0]));
      return rows;
    },
    close: () => sqlite.close(db),
  };
}

async function makeAccounts({ exec }: Connection, journal: string): Promise<void> {
  expect(await exec(`pragma journal_mode=${journal}`)).toEqual([journal]);
  await exec(`create table accounts (id integer primary key, balance); create table moves (client, n, padding);
    with recursive ids(id) as (select 0 union all select id + 1 from ids where id < ${ACCOUNTS - 1})
    insert into accounts select id, 1000 from ids`);
}

describe.each(['delete', 'truncate', 'persist', 'wal'])('journal mode %s', (journal) => {
  it('commits, rolls back, and keeps what it committed', () =>
    onStore(32 * 2 ** 20, async (_store, sync) => {
      const first = await connect(sync, 'db');
      await makeAccounts(first, journal);
      await first.exec('begin; update accounts set balance = 0; rollback');
      expect(await first.exec('select sum(balance) from accounts')).toEqual([1000 * ACCOUNTS]);
      await first.exec('update accounts set balance = 7 where id = 3');
      await first.close();
      const again = await connect(sync, 'db');
      expect(await again.exec('select balance from accounts where id = 3')).toEqual([7]);
      expect(await again.exec('pragma integrity_check')).toEqual(['ok']);
      await again.close();
    }));
});

describe.each(['delete', 'truncate', 'wal'])('four threads, journal mode %s', (journal) => {
  it(`moves amounts though one is killed, seed ${SEED}`, () =>
    onStore(64 * 2 ** 20, async (store, sync) => {
      const name = `bank/${journal}`;
      const check = await connect(sync, name);
      await makeAccounts(check, journal);
      const start = (client: number, stopsAt: number): Worker => {
        const worker = idle.pop() ?? new Worker(bundledThread('client'));
        worker.postMessage({
          ...{ handle: store.handle, name, journal, client, stopsAt },
          ...{ transactions: TRANSACTIONS, seed: SEED + client, total: 1000 * ACCOUNTS },
        });
        return worker;
      };
      const survivors = [0, 1, 2].map((client) => start(client, -1));
      const ends = survivors.map(answer);
      const victim = start(3, Math.floor(TRANSACTIONS / 2));
      expect(await answer(victim)).toBe('in the middle');
      expect(sync.stat(`${name}-${journal === 'wal' ? 'wal' : 'journal'}`).size).toBeGreaterThan(512);
      await victim.terminate();
      // This thread waits for the lock of the dead without a turn of its event loop.
      expect(await check.exec('pragma busy_timeout=30000')).toEqual([30000]);
      expect(await check.exec('select sum(balance) from accounts')).toEqual([1000 * ACCOUNTS]);
      expect(await Promise.all(ends)).toEqual(survivors.map(() => TRANSACTIONS));
      expect(await check.exec('pragma integrity_check')).toEqual(['ok']);
      expect(await check.exec('select sum(balance) from accounts')).toEqual([1000 * ACCOUNTS]);
      // What the victim had committed is there, and nothing of what it had not.
      expect(await check.exec('select count(*) from moves group by client order by client')).toEqual([
        ...survivors.map(() => TRANSACTIONS),
        Math.floor(TRANSACTIONS / 2),
      ]);
      expect(await check.exec('select max(length(padding)) from moves')).toEqual([200]);
      await check.close();
      idle.push(...survivors);
    }));
});

function answer(worker: Worker): Promise<unknown> {
  return new Promise((resolve, reject) => {
    worker.once('message', resolve);
    worker.once('error', reject);
  });
}

describe('a database', () => {
  it('takes a log for one connection alone', () =>
    onStore(32 * 2 ** 20, async (_store, sync) => {
      const { exec, close } = await connect(sync, 'db');
      await exec('pragma locking_mode=exclusive');
      await makeAccounts({ exec, close }, 'wal');
      expect([sync.exists('db-wal'), sync.exists('db-shm')]).toEqual([true, false]);
      const other = await connect(sync, 'db');
      await expect(other.exec('select * from accounts')).rejects.toThrow('locked');
      await other.close();
      await close();
    }));

  it('excludes other connections as SQLite says', () =>
    onStore(32 * 2 ** 20, async (_store, sync) => {
      const [a, b] = [await connect(sync, 'db'), await connect(sync, 'db')];
      await makeAccounts(a, 'delete');
      await a.exec('begin immediate; update accounts set balance = 1 where id = 0');
      expect(await b.exec('select balance from accounts where id = 0')).toEqual([1000]); // readers beside RESERVED
      await expect(b.exec('begin immediate')).rejects.toThrow('locked');
      await b.exec('begin; select * from accounts');
      await expect(a.exec('commit')).rejects.toThrow('locked'); // not while b reads
      const late = await connect(sync, 'db');
      await expect(late.exec('select * from accounts')).rejects.toThrow('locked'); // a is PENDING
      await b.exec('commit');
      await a.exec('commit');
      expect(await late.exec('select balance from accounts where id = 0')).toEqual([1]);
      for (const connection of [a, b, late]) await connection.close();
    }));

  it.each([
    ['delete', 'full', 1],
    ['delete', 'extra', 2],
    ['truncate', 'full', 2],
    ['persist', 'full', 0],
  ])('commits the store as often as it must, journal mode %s, synchronous %s', (journal, synchronous, commits) =>
    onStore(32 * 2 ** 20, async (store, sync) => {
      const transactions = 40;
      const { exec, close } = await connect(sync, 'db');
      expect(await exec(`pragma journal_mode=${journal}; pragma synchronous=${synchronous}`)).toEqual([journal]);
      await exec('create table t (n)');
      for (let i = 0; i < 5; i++) await exec('insert into t values (1)');
      const before = store.stats().journal.commits;
      for (let i = 0; i < transactions; i++) await exec('insert into t values (1)');
      // The rest are commits by the clock, and the database growing by a page.
      expect(store.stats().journal.commits - before).toBeLessThan((commits + 0.5) * transactions);
      await close();
    }),
  );

  it('is read as it was while others write its log, and believes no index of an earlier time', () =>
    onStore(32 * 2 ** 20, async (_store, sync) => {
      const writer = await connect(sync, 'db');
      await makeAccounts(writer, 'wal');
      const reader = await connect(sync, 'db');
      const sum = 'select sum(balance) from accounts';
      await reader.exec('begin');
      expect(await reader.exec(sum)).toEqual([1000 * ACCOUNTS]);
      await writer.exec('update accounts set balance = 1');
      expect(await writer.exec('pragma wal_checkpoint(full)')).toEqual([1]); // the reader is in its way
      expect(await reader.exec(sum)).toEqual([1000 * ACCOUNTS]);
      await reader.exec('commit');
      expect(await reader.exec(sum)).toEqual([ACCOUNTS]);
      expect(await writer.exec('pragma wal_checkpoint(truncate)')).toEqual([0]);
      expect(sync.stat('db-wal').size).toBe(0);
      await reader.exec('update accounts set balance = 2');
      expect(await writer.exec(sum)).toEqual([2 * ACCOUNTS]);
      const index = sync.open('db-shm', 'r');
      const stale = index.readFile() as Buffer;
      index.close();
      for (const connection of [writer, reader]) await connection.close();
      expect([sync.exists('db-wal'), sync.exists('db-shm')]).toEqual([false, false]);
      const planted = sync.open('db-shm', 'w');
      planted.writeFile(stale);
      planted.close();
      const later = await connect(sync, 'db');
      expect(await later.exec(sum)).toEqual([2 * ACCOUNTS]);
      await later.exec('update accounts set balance = 3');
      expect(await later.exec(sum)).toEqual([3 * ACCOUNTS]);
      expect(await later.exec('pragma integrity_check')).toEqual(['ok']);
      await later.close();
    }));

  it('is as it was when the store is full', () =>
    onStore(16 * 2 ** 20, async (_store, sync) => {
      const connection = await connect(sync, 'db');
      await makeAccounts(connection, 'delete');
      await expect(connection.exec('insert into moves values (0, 0, zeroblob(40000000))')).rejects.toThrow('full');
      expect(await connection.exec('pragma integrity_check')).toEqual(['ok']);
      await connection.exec('insert into moves values (0, 0, zeroblob(4000))');
      expect(await connection.exec('select count(*) from moves')).toEqual([1]);
      await connection.close();
    }));
});
