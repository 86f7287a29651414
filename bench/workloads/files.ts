/** The files of a plan: laid out before the first run, gone through before and after each, removed after the last. */

import { formatSize } from '../../src/cli/size.js';
import { UsageError } from '../../src/cli/usage-error.js';
import { type Store, schemes } from '../../src/index.js';
import { type CrewResult, runCrew } from './crew.js';
import { byFile, filesOf, type Job, type Plan, readsOnly } from './plan.js';
import { type RunContext, withStore } from './run-context.js';
import { UNIT_BYTES_MIN } from './stamp.js';
import { Figure } from './thread-memory.js';
import type { PassTask, StampSettings } from './thread-task.js';

/** Creates and fills the plan's files. Returns the names of those it made: they are to be removed at the end. */
export async function layOut(context: RunContext): Promise<string[]> {
  const { plan } = context;
  const made: string[] = [];
  await withStore(context, plan.run.scheme[0], async (store) => {
    const { blockBytes } = await store.statfs();
    for (const [file, sizeBytes] of filesOf(plan.jobs)) {
      if (await store.exists(file)) {
        await checkExisting(store, file, sizeBytes, byFile(plan.jobs).get(file)!);
        continue;
      }
      made.push(file);
      const stamp = stampFor(plan, plan.run.scheme[0], file, blockBytes);
      await runPass(context, store, { kind: 'layout', file, sizeBytes, stamp }, `laying out ${formatSize(sizeBytes)}`);
    }
  }).catch(async (error) => {
    await removeFiles(context, made).catch(() => undefined);
    throw error;
  });
  return made;
}

/** A file that somebody else made is read at most. */
async function checkExisting(store: Store, file: string, sizeBytes: number, jobs: Job[]): Promise<void> {
  const { size } = await store.stat(file);
  if (!jobs.every(readsOnly))
    throw new Error(`file '${file}' exists, and the job would overwrite it; give another filename`);
  if (jobs.some((job) => job.verify !== 'none')) throw new Error(`file '${file}' exists, and cannot be verified`);
  if (size < sizeBytes)
    throw new Error(`file '${file}' exists, and has ${size} bytes where the job needs ${sizeBytes}`);
}

export async function removeFiles(context: RunContext, files: string[]): Promise<void> {
  if (files.length === 0) return;
  await withStore(context, context.plan.run.scheme[0], async (store) => {
    for (const file of files) await store.unlink(file).catch(() => undefined);
  });
}

export async function runPass(context: RunContext, store: Store, task: PassTask, label: string): Promise<CrewResult> {
  context.monitor.begin(label, task.sizeBytes);
  const result = await runCrew(store.handle, [task], {
    runtimeSeconds: 0,
    interruption: context.interruption,
    onTick: ([area]) => context.monitor.reach(area.figures[Figure.Progress]),
  });
  context.monitor.end();
  return result;
}

/** How a file's jobs stamp it; null when they don't. Without an interval, a unit is what a read never sees torn: a block. */
export function stampFor(plan: Plan, scheme: string, file: string, blockBytes: number): StampSettings | null {
  const jobs = byFile(plan.jobs).get(file)!;
  const { verify, verify_interval } = jobs[0];
  if (verify === 'none') return null;
  const unitBytes = verify_interval > 0 ? verify_interval : Math.min(blockBytes, ...jobs.map((job) => job.bs));
  for (const job of jobs) {
    const isWhole = [job.bs, job.offset, job.offset_increment].every((bytes) => bytes % unitBytes === 0);
    if (isWhole && unitBytes % 8 === 0 && unitBytes >= UNIT_BYTES_MIN) continue;
    throw new UsageError(
      `job ${job.name}: verify works in units of ${unitBytes} bytes; bs and offsets must be multiples of that, ` +
        `and a unit a multiple of 8 of at least ${UNIT_BYTES_MIN}`,
    );
  }
  return {
    verify,
    unitBytes,
    holesAllowed: plan.run.punch > 0 || plan.run.truncate > 0,
    readsMayTear: schemes.find(({ name }) => name === scheme)?.readAtomicity === 'none' && !jobs.every(readsOnly),
  };
}
