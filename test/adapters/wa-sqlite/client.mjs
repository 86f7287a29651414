// One thread of the SQLite test: moves amounts between accounts in transactions, looks now and then whether the sum is what it
// was, and says how many transactions were committed. Then it waits for the next database.
import { parentPort } from 'node:worker_threads';
import { openSqlite } from '../../../dist/src/wa-sqlite.js';
import { attachStore } from '../../../dist/src/worker.js';

parentPort.on('message', async (task) => {
  const { handle, name, journal, client, transactions, seed, stopsAt, total } = task;
  const store = attachStore(handle);
  const sqlite = await openSqlite(store);
  const db = await sqlite.open_v2(name);
  // Threads end here, and not the machine: what is written need not be durable.
  await sqlite.exec(db, `pragma busy_timeout=20000; pragma journal_mode=${journal}; pragma synchronous=off`);

  let state = seed;
  const below = (n) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state % n;
  };

  /** SQLite's own waiting sleeps up to 100 ms at a time, which would be most of this test. */
  const sleep = new Int32Array(new SharedArrayBuffer(4));
  /** Begins or commits; the latter waits for others that look whether they may begin, which makes them readers for a moment. */
  async function insist(sql, take) {
    for (;;) {
      try {
        return await sqlite.exec(db, sql, take);
      } catch (error) {
        if (error.message !== 'database is locked') throw error;
        Atomics.wait(sleep, 0, 0, 0.2 + Math.random());
      }
    }
  }

  /** Twice in one transaction, while others commit and write their log back: every snapshot is whole, and stays. */
  async function checkSum() {
    await insist('begin');
    for (let i = 0; i < 2; i++) {
      let sum = 0;
      await insist('select sum(balance) from accounts', (row) => {
        sum = row[0];
      });
      if (sum !== total) throw new Error(`client ${client}: the accounts sum up to ${sum}`);
    }
    await insist('commit');
  }

  // A log is written back, and begun anew, every few transactions.
  await sqlite.exec(db, 'pragma busy_timeout=0; pragma wal_autocheckpoint=20');
  for (let i = 0; i < transactions; i++) {
    const [from, to, amount] = [below(50), below(50), below(100)];
    await insist('begin immediate');
    await sqlite.exec(
      db,
      `update accounts set balance = balance - ${amount} where id = ${from};
       update accounts set balance = balance + ${amount} where id = ${to};
       insert into moves values (${client}, ${i}, randomblob(200));`,
    );
    if (i === stopsAt) {
      // More than the cache holds: pages of an unfinished transaction are in the database now, and only the journal knows.
      await sqlite.exec(
        db,
        `pragma busy_timeout=20000; pragma cache_spill=1; pragma cache_size=2; update moves set padding = randomblob(300)`,
      );
      parentPort.postMessage('in the middle');
      Atomics.wait(sleep, 0, 0);
    }
    await insist('commit');
    if (i % 4 === client) await checkSum();
  }
  await sqlite.close(db);
  store.close();
  parentPort.postMessage(transactions);
});
