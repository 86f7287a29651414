/**
 * One run of a plan under one scheme: open, warm the cache, run the crew, verify, close.
 *
 * Each run opens the store afresh, so that every run starts from the same cache: empty, then read once through.
 */
import { performance } from 'node:perf_hooks';
import { runCrew } from './crew.js';
import { runPass, stampFor } from './files.js';
import { byFile, filesOf, type Plan } from './plan.js';
import { collect, type RunResult } from './result.js';
import { type RunContext, withStore } from './run-context.js';
import type { PassTask, ThreadTask } from './thread-task.js';

export async function runScheme(context: RunContext, scheme: string): Promise<RunResult> {
  const { plan, monitor } = context;
  return withStore(context, scheme, async (store) => {
    const { blockBytes } = await store.statfs();
    for (const [file, jobs] of byFile(plan.jobs)) {
      if (!jobs.some((job) => job.pre_read)) continue;
      await runPass(context, store, passTask('warm', plan, scheme, file, blockBytes), 'warming');
    }
    const tasks = tasksOf(plan, scheme, blockBytes);
    const totalMs = Math.max(...plan.jobs.map((job) => (job.ramp_time + job.runtime) * 1000));
    monitor.begin('running', totalMs);
    const startMs = performance.now();
    const crew = await runCrew(store.handle, tasks, {
      runtimeSeconds: Math.max(...plan.jobs.map((job) => job.runtime)),
      interruption: context.interruption,
      onTick: () => monitor.reach(performance.now() - startMs),
    });
    const stats = { ...(await store.stats()) } as Record<string, unknown>;
    const result = collect(plan, scheme, tasks, crew, stats);
    monitor.end();
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
