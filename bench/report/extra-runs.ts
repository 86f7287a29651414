/**
 * Runs that only the report asks for, after those of the verdict and apart from them: the jobs over numbers of threads, and with
 * the locks' times taken, which slows them down.
 */
import type { LockTimeBins } from '../../src/index.js';
import type { Job, Plan } from '../workloads/plan.js';
import type { RunResult } from '../workloads/result.js';
import { type RunContext, withStore } from '../workloads/run-context.js';
import { runJobs, warm } from '../workloads/scheme-run.js';
import { iopsOf } from '../workloads/summary.js';

const SHORT_SECONDS = 1;
const SHORT_RAMP_SECONDS = 0.5;

/** What a run came to, all jobs together. Threads are those of the jobs, without storms. */
export interface Throughput {
  threads: number;
  readsPerSecond: number;
  writesPerSecond: number;
}

export interface LockRun extends Throughput {
  locks: Record<string, LockTimeBins>;
}

export function throughputOf(run: RunResult): Throughput {
  const rate = (name: 'read' | 'write') => run.jobs.reduce((sum, job) => sum + iopsOf(job[name]), 0);
  return {
    threads: threadsOf(run.jobs.map(({ job }) => job)),
    readsPerSecond: rate('read'),
    writesPerSecond: rate('write'),
  };
}

export function threadsOf(jobs: readonly Job[]): number {
  return jobs.reduce((sum, job) => sum + job.numjobs, 0);
}

/** The jobs, short, with `count` threads in the largest group and as many in the others as their share is. */
function shortened(plan: Plan, count: number): Plan {
  const largest = Math.max(...plan.jobs.map((job) => job.numjobs));
  const jobs = plan.jobs.map((job) => ({
    ...job,
    numjobs: Math.max(1, Math.round((job.numjobs * count) / largest)),
    runtime: job.runtime > 0 ? Math.min(job.runtime, SHORT_SECONDS) : SHORT_SECONDS,
    ramp_time: Math.min(job.ramp_time, SHORT_RAMP_SECONDS),
    time_based: true,
    number_ios: 0,
  }));
  return { ...plan, jobs, run: { ...plan.run, report: '' } };
}

/** The jobs under one scheme with each number of threads, in one store that is warmed once. */
export async function runOverThreads(context: RunContext, scheme: string): Promise<Throughput[]> {
  const { plan, monitor } = context;
  const counts = [...new Set(plan.run.threads)].sort((a, b) => a - b);
  if (counts.length === 0) return [];
  return withStore(context, scheme, async (store) => {
    await warm(context, store, scheme);
    const found: Throughput[] = [];
    for (const count of counts) {
      const short = shortened(plan, count);
      monitor.setPrefix(`${scheme}, ${threadsOf(short.jobs)} threads`);
      found.push(throughputOf(await runJobs(context, store, short, scheme)));
    }
    return found;
  });
}

/** The jobs as they are, for a short time, in a store that times its locks. */
export async function runWithLockTimes(context: RunContext, scheme: string): Promise<LockRun> {
  const { plan, monitor } = context;
  monitor.setPrefix(`${scheme}, timing locks`);
  const use = { lockTimes: true };
  return withStore(
    context,
    scheme,
    async (store) => {
      await warm(context, store, scheme);
      const run = await runJobs(context, store, shortened(plan, largestGroup(plan)), scheme);
      return { ...throughputOf(run), locks: store.stats().lockTimes ?? {} };
    },
    use,
  );
}

function largestGroup({ jobs }: Plan): number {
  return Math.max(...jobs.map((job) => job.numjobs));
}
