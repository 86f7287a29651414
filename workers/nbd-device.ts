/** The thread of a device behind NBD. */
import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import { type NbdServiceTask, serveNbdDevice } from '../src/device/nbd-service.js';

await serveNbdDevice(workerData as NbdServiceTask, parentPort as MessagePort);
