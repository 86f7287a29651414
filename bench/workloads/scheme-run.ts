/**
 * One run of a plan under one scheme: open, warm the cache, run the crew, verify, close.
 *
 * Each run opens the store afresh, so that every run starts from the same cache: empty, then read once through.
 */
import { performance } from 'node:perf_hooks';
import type { Store } from '../../src/index.js';
import { type CrewResult, runCrew } from './crew.js';
import { runPass, stampFor } from './files.js';
import { byFile, filesOf, type Plan } from './plan.js';
import { collect, type RunResult } from './result.js';
import { type RunContext, withStore } from './run-context.js';
import type { ThreadArea } from './thread-memory.js';
import type { PassTask, ThreadTask } from './thread-task.js';
import { Timeline } from './timeline.js';

export async function runScheme(context: RunContext, scheme: string): Promise<RunResult> {
  const { plan } = context;
  return withStore(context, scheme, async (store) => {
    const { blockBytes } = await store.statfs();
    await warm(context, store, scheme);
    const result = await runJobs(context, store, plan, scheme);
    for (const [file, jobs] of byFile(plan.jobs)) {
      if (jobs[0].verify === 'none') continue;
      const { verifyErrors } = await runPass(
        context,
        store,
        passTask('verify', plan, scheme, file, blockBytes),
        'verifying',
      );
      if (verifyErrors[0] !== null) result.verifyErrors.push(`${file}, after the run: ${verifyErrors[0]}`);
    }
    return result;
  });
}

/** Reads the files through once, but for those of jobs that start cold. */
export async function warm(context: RunContext, store: Store, scheme: string): Promise<void> {
  const { plan } = context;
  const { blockBytes } = await store.statfs();
  for (const [file, jobs] of byFile(plan.jobs)) {
    if (!jobs.some((job) => job.pre_read)) continue;
    await runPass(context, store, passTask('warm', plan, scheme, file, blockBytes), 'warming');
  }
}

/** Runs the jobs of `plan`, which may be another than the context's, on an open store. */
export async function runJobs(context: RunContext, store: Store, plan: Plan, scheme: string): Promise<RunResult> {
  const { monitor } = context;
  const { blockBytes } = await store.statfs();
  const tasks = tasksOf(plan, scheme, blockBytes);
  const rampMs = 1000 * Math.max(...plan.jobs.map((job) => job.ramp_time));
  const runtimeSeconds = Math.max(...plan.jobs.map((job) => job.runtime));
  monitor.begin('running', rampMs + runtimeSeconds * 1000);
  const startMs = performance.now();
  const sampled: { timeline: Timeline | null } = { timeline: null };
  let crew: CrewResult;
  try {
    crew = await runCrew(store.handle, tasks, {
      runtimeSeconds,
      interruption: context.interruption,
      onTick: () => monitor.reach(performance.now() - startMs),
      onStart: (areas: ThreadArea[]) => {
        if (plan.run.report !== '') sampled.timeline = new Timeline(store, tasks, areas, rampMs);
      },
    });
  } finally {
    sampled.timeline?.stop();
  }
  const intervals = sampled.timeline?.intervalsOf(runtimeSeconds * 1000) ?? [];
  const stats = { ...store.stats() } as Record<string, unknown>;
  const result = collect(plan, scheme, tasks, crew, stats, intervals);
  monitor.end();
  return result;
}

function passTask(kind: 'warm' | 'verify', plan: Plan, scheme: string, file: string, blockBytes: number): PassTask {
  return { kind, file, sizeBytes: filesOf(plan.jobs).get(file)!, stamp: stampFor(plan, scheme, file, blockBytes) };
}

function tasksOf(plan: Plan, scheme: string, blockBytes: number): ThreadTask[] {
  const tasks: ThreadTask[] = plan.jobs.flatMap((job) => {
    const stamp = stampFor(plan, scheme, job.filename, blockBytes);
    return Array.from({ length: job.numjobs }, (_, index) => ({ kind: 'job' as const, job, index, stamp }));
  });
  const [{ filename: file, bs, randseed: seed }] = plan.jobs;
  const sizeBytes = filesOf(plan.jobs).get(file)!;
  for (const kind of ['punch', 'truncate', 'willneed'] as const) {
    const perSecond = plan.run[kind];
    if (perSecond > 0) tasks.push({ kind, file, sizeBytes, bs, perSecond, seed });
  }
  return tasks;
}
