/** Events for `node:diagnostics_channel`: what is published, on the thread on which it happens, and nothing for a hit. */
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createStore, openStore, type Store } from '#dist/src/index.js';
import { GlobalLock } from '#dist/src/sync/layout.js';
import { LockRank } from '#dist/src/sync/lockdep.js';
import { acquireExclusive, initRwsem, releaseExclusive } from '#dist/src/sync/rwsem.js';
import { attachStore, type SyncStore } from '#dist/src/worker.js';
import { Actor, ManualDriver } from '../support/actor.js';
import { makeArena } from '../support/arena.js';
import { temporaryDirectory } from '../support/temporary.js';

const MIB = 1024 * 1024;
const CHANNELS = ['fill', 'invalidation', 'commit', 'lock-wait'];
const directory = temporaryDirectory(true);
const device = join(directory, 'channels.img');
let store: Store;
let sync: SyncStore;

beforeAll(async () => {
  await createStore(device, { sizeBytes: 64 * MIB });
  store = await openStore(device, { cacheBytes: 16 * MIB, threads: 2 });
  sync = attachStore(store.handle);
});
afterAll(async () => {
  sync.close();
  await store.close();
});

/** What this thread publishes while `work` runs, without what concerns metadata. */
function heard(work: () => void): [channel: string, message: Record<string, unknown>][] {
  const events: [string, Record<string, unknown>][] = [];
  const listeners = CHANNELS.map((name) => (message: unknown) => {
    const event = message as Record<string, unknown>;
    if (event.ino !== 0) events.push([name, event]);
  });
  for (const [i, name] of CHANNELS.entries()) subscribe(`emmental:${name}`, listeners[i]);
  try {
    work();
  } finally {
    for (const [i, name] of CHANNELS.entries()) unsubscribe(`emmental:${name}`, listeners[i]);
  }
  return events;
}

test('a miss fills, a hit says nothing, a punch invalidates, a sync commits', () => {
  const file = sync.open('told', 'w+');
  file.write(new Uint8Array(16 * 4096).fill(1), 0, 16 * 4096, 0);
  file.sync();
  file.advise('dontneed', 0, 16 * 4096);
  file.advise('random', 0, 16 * 4096);
  const { ino } = file.stat();
  const buffer = new Uint8Array(4096);
  const read = () => file.read(buffer, 0, 4096, 3 * 4096);
  const fills = heard(read);
  expect(fills).toEqual([['fill', { device, ino, firstPage: 3, pages: 1 }]]);
  expect(heard(read)).toEqual([]);
  expect(heard(() => file.punchHole(2 * 4096, 3 * 4096))).toEqual([
    ['invalidation', { device, ino, firstPage: 2, endPage: 5 }],
  ]);
  const [[channel, commit]] = heard(() => file.sync());
  expect(channel).toBe('commit');
  const aNumber = expect.any(Number);
  expect(commit).toEqual({ device, transaction: aNumber, blocks: aNumber, ms: aNumber });
  expect(commit.blocks).toBeGreaterThan(0);
  file.close();
});

test('a wait for a lock is told when it is over', () => {
  const arena = makeArena({ path: 'some.img' });
  const driver = new ManualDriver();
  const lock = arena.layout.locks + GlobalLock.Names;
  initRwsem(arena, lock, LockRank.Names);
  const [first, second] = [new Actor(arena, driver), new Actor(arena, driver)];
  const events = heard(() => {
    first.start(acquireExclusive(first.task, lock));
    second.start(acquireExclusive(second.task, lock));
    driver.nowMs += 3;
    releaseExclusive(first.task, lock);
    second.go();
  });
  releaseExclusive(second.task, lock);
  expect(events).toEqual([['lock-wait', { device: 'some.img', lock: 'names lock', ms: 3 }]]);
});

test('another thread hears its own events alone', async () => {
  const program = `
    import { subscribe } from 'node:diagnostics_channel';
    import { parentPort, workerData } from 'node:worker_threads';
    import { attachStore } from ${JSON.stringify(new URL('../../dist/src/entry/worker.js', import.meta.url).href)};
    const heard = [];
    subscribe('emmental:invalidation', ({ device, firstPage }) => heard.push([device, firstPage]));
    const store = attachStore(workerData);
    const file = store.open('theirs', 'w+');
    file.punchHole(7 * 4096, 4096);
    store.close();
    parentPort.postMessage(heard);
  `;
  const url = new URL(`data:text/javascript,${encodeURIComponent(program)}`);
  const worker = new Worker(url, { workerData: store.handle });
  const mine: unknown[] = [];
  const listen = (message: unknown) => mine.push(message);
  subscribe('emmental:invalidation', listen);
  const theirs = await new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject));
  unsubscribe('emmental:invalidation', listen);
  expect({ theirs, mine }).toEqual({ theirs: [[device, 7]], mine: [] });
});
