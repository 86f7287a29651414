/** Entry of a load thread of `emmental bench` and `emmental compare`. */
import { workerData } from 'node:worker_threads';
import { runLoadThread } from '../bench/workloads/load-thread.js';
import type { ThreadData } from '../bench/workloads/thread-task.js';

runLoadThread(workerData as ThreadData);
