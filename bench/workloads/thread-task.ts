/** What a load thread is told to do, and what it answers; both cross threads as plain data. */

import type { Verify } from './option-table.js';
import type { Job } from './plan.js';
import type { CrewMemory } from './thread-memory.js';

/** How the units of a file are stamped and checked. */
export interface StampSettings {
  verify: Exclude<Verify, 'none'>;
  unitBytes: number;
  /** Holes may appear while the job runs: a unit of zeros is right too. */
  holesAllowed: boolean;
  /** The scheme lets a read see half of a write: what looks torn is read again before it is called wrong. */
  readsMayTear: boolean;
}

/** Once over a whole file, in order. */
export interface PassTask {
  kind: 'layout' | 'warm' | 'verify';
  file: string;
  sizeBytes: number;
  stamp: StampSettings | null;
}

/** One of a job's threads. */
export interface JobTask {
  kind: 'job';
  job: Job;
  /** Which of the job's threads, from 0. */
  index: number;
  stamp: StampSettings | null;
}

/** Invalidation or readahead at a given rate, until the others are done. */
export interface StormTask {
  kind: 'punch' | 'truncate' | 'willneed';
  file: string;
  sizeBytes: number;
  /** Of one hole. */
  bs: number;
  perSecond: number;
  seed: number;
}

export type ThreadTask = PassTask | JobTask | StormTask;

export function isStorm(task: ThreadTask): task is StormTask {
  return task.kind === 'punch' || task.kind === 'truncate' || task.kind === 'willneed';
}

/** A load thread's `workerData`. */
export interface ThreadData {
  handle: unknown;
  task: ThreadTask;
  thread: number;
  memory: CrewMemory;
}

export type ThreadMessage =
  | { kind: 'ready' }
  /** `verifyError` tells of the first unit that was wrong. */
  | { kind: 'done'; verifyError: string | null };
