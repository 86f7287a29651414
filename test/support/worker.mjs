/**
 * A thread for tests of shared structures: attaches to the arena in `workerData`, runs the named job, and posts its
 * result, or its error as { code, message }. Plain JavaScript on the built code, since a TypeScript file cannot be a
 * worker on every supported Node.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { BlockingDriver, runBlocking } from '../../dist/src/routine/blocking-driver.js';
import { Arena } from '../../dist/src/sync/arena.js';
import { attachThread, detachThread } from '../../dist/src/sync/threads.js';

const { buffer, layout, module, job, data } = workerData;
const arena = new Arena(buffer, layout);
const jobs = await import(module);
const task = attachThread(arena, new BlockingDriver(arena));
let message;
try {
  message = { result: runBlocking(task, jobs[job](task, arena, data)) };
  detachThread(task);
} catch (error) {
  message = { code: error.code, message: error.message, atMs: performance.timeOrigin + performance.now() };
}
parentPort.postMessage(message);
