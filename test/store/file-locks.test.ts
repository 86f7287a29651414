/** Advisory locks of files: against their definition, by real threads, and after the death of a holder. */
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createStore, openStore, type Store } from '#dist/src/index.js';
import { attachStore, type LockMode, type SyncStore } from '#dist/src/worker.js';
import { expectCode } from '../support/expect-code.js';
import { seededRandom } from '../support/random.js';
import { temporaryDirectory } from '../support/temporary.js';

const directory = temporaryDirectory(true);
const LANES = 8;
let store: Store;
let sync: SyncStore;

beforeAll(async () => {
  const path = join(directory, 'locks.img');
  await createStore(path, { sizeBytes: 16 * 2 ** 20 });
  store = await openStore(path, { threads: 2, verify: true });
  sync = attachStore(store.handle);
  sync.open('locked', 'w').close();
});
afterAll(async () => {
  sync.close();
  await store.close();
});

const SEED = Number(process.env.EMMENTAL_SEED ?? Math.floor(Math.random() * 2 ** 31));

it(`are what a table of holders says, seed ${SEED}`, () => {
  const random = seededRandom(SEED);
  const names = ['one', 'two'];
  for (const name of names) sync.open(name, 'w').close();
  const files = Array.from({ length: 6 }, (_, i) => sync.open(names[i % 2], 'r'));
  const held = files.map(() => new Array<LockMode | undefined>(LANES));
  for (let step = 0; step < 3000; step++) {
    const i = Math.floor(random() * files.length);
    const lane = Math.floor(random() * LANES);
    const others = held.filter((_, j) => j !== i && j % 2 === i % 2).map((lanes) => lanes[lane]);
    expect(files[i].isLocked(lane)).toBe(others.some((mode) => mode !== undefined));
    if (random() < 0.3) {
      files[i].unlock(lane);
      held[i][lane] = undefined;
      continue;
    }
    const mode: LockMode = random() < 0.6 ? 'shared' : 'exclusive';
    const isFree = mode === 'shared' ? !others.includes('exclusive') : others.every((other) => other === undefined);
    expect(files[i].tryLock(lane, mode)).toBe(isFree);
    if (isFree) held[i][lane] = mode;
  }
  for (const file of files) file.close();
});

it('go with the open file that held them', async () => {
  const [a, b] = [sync.open('locked'), sync.open('locked')];
  expect(a.tryLock(7, 'exclusive')).toBe(true);
  expect(b.tryLock(7, 'shared')).toBe(false);
  a.close();
  expect(b.isLocked(7)).toBe(false);
  expect(b.tryLock(7, 'exclusive')).toBe(true);
  await expectCode('EBADF', () => a.tryLock(7, 'shared'));
  await expectCode('ERR_OUT_OF_RANGE', () => b.tryLock(8, 'shared'));
  await expectCode('ERR_OUT_OF_RANGE', () => b.unlock(0.5));
  await expectCode('ERR_INVALID_ARG_TYPE', () => b.tryLock('1' as unknown as number, 'shared'));
  await expectCode('ERR_INVALID_ARG_TYPE', () => b.tryLock(1, 'both' as LockMode));
  b.close();
});

function start(counter: Int32Array, rounds: number): Worker {
  return new Worker(new URL('./lock-taker.mjs', import.meta.url), {
    workerData: { handle: store.handle, counter, rounds },
  });
}

it('exclude threads from each other', async () => {
  const counter = new Int32Array(new SharedArrayBuffer(4));
  const threads = [0, 1, 2].map(() => start(counter, 1000));
  await Promise.all(threads.map((thread) => new Promise((resolve) => thread.once('exit', resolve))));
  expect(counter[0]).toBe(3000);
});

it('are given back by the death of their thread', async () => {
  const thread = start(new Int32Array(new SharedArrayBuffer(4)), 0);
  await new Promise((resolve) => thread.once('message', resolve));
  const file = sync.open('locked');
  expect(file.isLocked(0)).toBe(true);
  await thread.terminate();
  while (!file.tryLock(0, 'exclusive')) await new Promise((resolve) => setTimeout(resolve, 20));
  file.close();
});
