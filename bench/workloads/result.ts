/** What a run came to: the areas of its threads added up, per job and direction. */
import type { CrewResult } from './crew.js';
import { Histogram } from './histogram.js';
import type { Job, Plan } from './plan.js';
import { Figure, type ThreadArea } from './thread-memory.js';
import { isStorm, type StormTask, type ThreadTask } from './thread-task.js';
import type { Interval } from './timeline.js';

/** What one direction of a job came to, all its threads together. */
export interface DirectionResult {
  latency: Histogram;
  bytes: number;
  shortIos: number;
  runtimeMs: number;
  /** Operations per second of the run. */
  series: number[];
}

export interface JobResult {
  job: Job;
  read: DirectionResult;
  write: DirectionResult;
  runtimeMs: number;
  verifyErrors: number;
}

export interface StormResult {
  kind: StormTask['kind'];
  total: number;
  perSecond: number;
  /** Of one strike. */
  latency: Histogram;
}

export interface RunResult {
  scheme: string;
  policy: string;
  jobs: JobResult[];
  storms: StormResult[];
  /** Told once each; empty when all was well or nothing was verified. */
  verifyErrors: string[];
  stats: Record<string, unknown>;
  /** Tenths of a second; empty where no report is asked for. */
  intervals: Interval[];
}

export function collect(
  plan: Plan,
  scheme: string,
  tasks: ThreadTask[],
  crew: CrewResult,
  stats: Record<string, unknown>,
  intervals: Interval[] = [],
): RunResult {
  const jobs = plan.jobs.map((job) => {
    const areas = crew.areas.filter((_area, thread) => {
      const task = tasks[thread];
      return task.kind === 'job' && task.job === job;
    });
    return collectJob(job, areas);
  });
  const storms = tasks.flatMap((task, thread) => {
    if (!isStorm(task)) return [];
    const { figures, strikes } = crew.areas[thread];
    const seconds = (figures[Figure.EndMs] - figures[Figure.StartMs]) / 1000;
    const total = figures[Figure.Progress];
    const latency = new Histogram();
    latency.add(strikes);
    return [{ kind: task.kind, total, perSecond: seconds > 0 ? total / seconds : 0, latency }];
  });
  const verifyErrors = crew.verifyErrors.flatMap((error, thread) => {
    const task = tasks[thread];
    return error === null || task.kind !== 'job' ? [] : [`${task.job.filename}, read by ${task.job.name}: ${error}`];
  });
  return { scheme, policy: plan.run.policy, jobs, storms, verifyErrors, stats, intervals };
}

function collectJob(job: Job, areas: ThreadArea[]): JobResult {
  const runtimeMs = Math.max(...areas.map(({ figures }) => figures[Figure.EndMs] - figures[Figure.StartMs]));
  const sum = (figure: Figure) => areas.reduce((total, { figures }) => total + figures[figure], 0);
  const direction = (
    latencies: (area: ThreadArea) => Histogram,
    series: (area: ThreadArea) => Uint32Array,
    bytes: Figure,
    short: Figure,
  ): DirectionResult => {
    const latency = new Histogram();
    for (const area of areas) latency.add(latencies(area));
    return {
      latency,
      bytes: sum(bytes),
      shortIos: sum(short),
      runtimeMs: latency.count > 0 ? runtimeMs : 0,
      series: addSeries(areas.map(series), Math.floor(runtimeMs / 1000)),
    };
  };
  return {
    job,
    read: direction(
      (area) => area.reads,
      (area) => area.readSeries,
      Figure.ReadBytes,
      Figure.ReadShort,
    ),
    write: direction(
      (area) => area.writes,
      (area) => area.writeSeries,
      Figure.WriteBytes,
      Figure.WriteShort,
    ),
    runtimeMs,
    verifyErrors: sum(Figure.VerifyErrors),
  };
}

/** Sums of the first `intervals` intervals: those that the run filled. */
function addSeries(series: Uint32Array[], intervals: number): number[] {
  const length = Math.min(intervals, series[0].length - 1);
  return Array.from({ length }, (_, i) => series.reduce((total, counts) => total + counts[i], 0));
}
