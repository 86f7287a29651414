/**
 * A thread that is attached to a store and runs the functions it is sent, as source text (remote-thread.ts). `keep` lives as
 * long as the thread: files and pins go there.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { attachStore } from '../../dist/src/worker.js';

const scope = { store: attachStore(workerData.handle), keep: {} };

parentPort.on('message', ({ id, source, args }) => {
  try {
    // biome-ignore lint/security/noGlobalEval: the test's own function, in another thread
    const job = (0, eval)(`(${source})`);
    parentPort.postMessage({ id, value: job(scope, ...args) });
  } catch (error) {
    const { message, code, errno, syscall, path, stack } = error;
    const atMs = performance.timeOrigin + performance.now();
    parentPort.postMessage({ id, error: { message, code, errno, syscall, path, stack, atMs } });
  }
});
parentPort.postMessage({ id: 0 });
