/**
 * A thread that attaches to the stores whose handles it is sent, one after the other, and runs the functions it is sent, as
 * source text (remote-thread.ts). `keep` lives as long as the attachment: files and pins go there.
 */
import { parentPort } from 'node:worker_threads';
import { attachStore } from '../../dist/src/worker.js';

let scope;

parentPort.on('message', ({ id, handle, source, args }) => {
  try {
    if (handle !== undefined) {
      scope = { store: attachStore(handle), keep: {} };
      return parentPort.postMessage({ id });
    }
    // biome-ignore lint/security/noGlobalEval: the test's own function, in another thread
    const job = (0, eval)(`(${source})`);
    parentPort.postMessage({ id, value: job(scope, ...args) });
  } catch (error) {
    const { message, code, errno, syscall, path, stack } = error;
    const atMs = performance.timeOrigin + performance.now();
    parentPort.postMessage({ id, error: { message, code, errno, syscall, path, stack, atMs } });
  }
});
