// Counts up in plain memory under an advisory lock; or takes the lock and waits to be killed.
import { parentPort, workerData } from 'node:worker_threads';
import { attachStore } from '../../dist/src/entry/worker.js';

const { handle, counter, rounds } = workerData;
const store = attachStore(handle);
const file = store.open('locked', 'r+');
const sleep = new Int32Array(new SharedArrayBuffer(4));
const take = () => {
  while (!file.tryLock(0, 'exclusive')) Atomics.wait(sleep, 0, 0, Math.random());
};
for (let i = 0; i < rounds; i++) {
  take();
  const seen = counter[0];
  for (let spin = 0; spin < 200; spin++) Atomics.load(sleep, 0);
  counter[0] = seen + 1;
  file.unlock(0);
}
if (rounds === 0) {
  take();
  parentPort.postMessage('taken');
  Atomics.wait(sleep, 0, 0);
}
store.close();
