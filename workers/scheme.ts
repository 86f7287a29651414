/** Entry of a thread of the benchmarks that compare schemes part by part (bench/compare/scaling.ts, halves.ts). */
import { parentPort, workerData } from 'node:worker_threads';
import { type RoundMessage, runRound, SchemeThread } from '../bench/compare/scheme-thread.js';

const thread = new SchemeThread(workerData);
parentPort!.postMessage('ready');
parentPort!.on('message', (message: RoundMessage) => {
  parentPort!.postMessage(runRound(thread, message));
});
