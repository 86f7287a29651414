/**
 * What is to be run: the jobs with every default filled in, and the settings of the run.
 *
 * The order in which options win: the command line, the job's section, [global] before it, the defaults. Without any job
 * description the plan is the project's main job: as many readers as writers, 8 KiB, on one file that fits the cache.
 */
import { UsageError } from '../../src/cli/usage-error.js';
import type { JobFile } from './job-file.js';
import type { JobOptions, OptionValues, RunOptions } from './option-table.js';

/** A group of threads that do the same. */
export interface Job extends Omit<JobOptions, 'readers' | 'writers'> {
  /** What was given for it, as fio's `job options`. */
  given: Record<string, unknown>;
}

export interface Plan {
  jobs: Job[];
  run: RunOptions;
  /** The options of the run that were given, as fio's `global options`. */
  given: Record<string, unknown>;
}

const MIB = 1024 * 1024;
const GIB = 1024 * MIB;
const DEFAULT_SEED = 0x6c1d;
const DEFAULT_RUNTIME = 6;
/** Every thread compiles the engine for itself: on two cores sixteen of them take that long to get to speed. */
const DEFAULT_RAMP = 2;
/** Of a page cache, beside the files: metadata, and slack for reclaim. */
const CACHE_SLACK_BYTES = 64 * MIB;

const RUN_DEFAULTS: Omit<RunOptions, 'scheme' | 'cache' | 'threads'> = {
  'output-format': 'normal',
  output: '',
  unsafe: false,
  policy: 'kernel',
  device: '',
  dirty_ratio: 0.9,
  commit_interval: 5,
  punch: 0,
  truncate: 0,
  willneed: 0,
  hugepages: true,
  repeats: 2,
  report: '',
  monitor: false,
};

/** A file that leaves this machine most of its memory. */
function defaultSize(): number {
  return process.availableMemory() >= 3 * GIB ? 512 * MIB : 128 * MIB;
}

export function makePlan(commandLine: OptionValues, file: JobFile | null, schemes: string[]): Plan {
  const sections = file === null ? [commandLine] : file.jobs.map((section) => ({ ...section, ...commandLine }));
  const jobs = sections.flatMap((values) => expand(values, isBlank(values)));
  const given = { ...file?.global, ...commandLine };
  const run = { ...RUN_DEFAULTS, scheme: schemes, ...given } as RunOptions;
  run.threads = given.threads ?? powersBelow(Math.max(...jobs.map((job) => job.numjobs)));
  run.cache = given.cache ?? Math.ceil(totalBytes(jobs) * 1.25) + CACHE_SLACK_BYTES;
  const plan = { jobs, run, given: onlyGiven(given, RUN_KEYS) };
  check(plan);
  return plan;
}

const RUN_KEYS = new Set(Object.keys(RUN_DEFAULTS).concat('scheme', 'cache', 'threads'));
const DESCRIBES_JOB: (keyof JobOptions)[] = ['rw', 'numjobs', 'readers', 'writers', 'name'];

/** Nothing says what kind of job it is to be. */
function isBlank(values: OptionValues): boolean {
  return !DESCRIBES_JOB.some((name) => values[name] !== undefined);
}

/** The job of one section, or the two groups that `readers` and `writers` make of it. */
function expand(values: OptionValues, isMain: boolean): Job[] {
  const { readers = isMain ? 8 : 0, writers = isMain ? 8 : 0, ...rest } = values;
  if (isMain) rest.bs ??= 8192;
  if (isMain && rest.number_ios === undefined && rest.time_based !== false) {
    rest.ramp_time ??= rest.runtime === undefined ? DEFAULT_RAMP : 0;
    rest.runtime ??= DEFAULT_RUNTIME;
  }
  if (readers === 0 && writers === 0) return [makeJob(rest, rest.name ?? 'job')];
  const isRandom = rest.rw === undefined || rest.rw.startsWith('rand');
  const prefix = rest.name === undefined ? '' : `${rest.name}.`;
  const groups: Job[] = [];
  if (readers > 0) {
    groups.push(makeJob({ ...rest, rw: isRandom ? 'randread' : 'read', numjobs: readers }, `${prefix}readers`));
  }
  if (writers > 0) {
    groups.push(makeJob({ ...rest, rw: isRandom ? 'randwrite' : 'write', numjobs: writers }, `${prefix}writers`));
  }
  return groups;
}

function makeJob(values: OptionValues, name: string): Job {
  const bs = values.bs ?? 4096;
  const runtime = values.runtime ?? 0;
  const job: Job = {
    rw: values.rw ?? 'read',
    rwmixread: values.rwmixread ?? 50,
    bs,
    size: values.size ?? defaultSize(),
    offset: values.offset ?? 0,
    offset_increment: values.offset_increment ?? 0,
    filename: values.filename ?? 'bench',
    numjobs: values.numjobs ?? 1,
    runtime,
    time_based: values.time_based ?? runtime > 0,
    ramp_time: values.ramp_time ?? 0,
    pre_read: values.pre_read ?? true,
    number_ios: values.number_ios ?? 0,
    random_distribution: values.random_distribution ?? { kind: 'random' },
    randseed: values.randseed ?? (values.randrepeat === false ? Math.floor(Math.random() * 2 ** 32) : DEFAULT_SEED),
    randrepeat: values.randrepeat ?? true,
    fsync: values.fsync ?? 0,
    end_fsync: values.end_fsync ?? false,
    verify: values.verify ?? 'none',
    verify_interval: values.verify_interval ?? 0,
    name,
    given: {},
  };
  job.given = { ...onlyGiven(values, new Set(Object.keys(job))), name };
  return job;
}

/** 1, 2, 4 … below `most`. */
function powersBelow(most: number): number[] {
  const powers: number[] = [];
  for (let power = 1; power < most; power *= 2) powers.push(power);
  return powers;
}

function onlyGiven(values: OptionValues, keys: Set<string>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(values).filter(([key]) => keys.has(key)));
}

function check({ jobs, run }: Plan): void {
  for (const job of jobs) {
    const end = job.offset + job.offset_increment * (job.numjobs - 1);
    if (job.bs > job.size) throw new UsageError(`job ${job.name}: size ${job.size} is below bs ${job.bs}`);
    if (end + job.bs > job.size) throw new UsageError(`job ${job.name}: offset ${end} leaves no room for bs ${job.bs}`);
    if (job.time_based && job.runtime === 0) throw new UsageError(`job ${job.name}: time_based needs a runtime`);
    if (job.verify !== 'none' && job.verify_interval > 0 && job.bs % job.verify_interval !== 0) {
      throw new UsageError(`job ${job.name}: bs ${job.bs} is no multiple of verify_interval ${job.verify_interval}`);
    }
  }
  for (const [filename, sharing] of byFile(jobs)) {
    const [first, ...others] = sharing;
    if (others.some((job) => job.verify !== first.verify || job.verify_interval !== first.verify_interval)) {
      throw new UsageError(`the jobs on file ${filename} must agree on verify and verify_interval`);
    }
  }
  const threads = jobs.reduce((sum, job) => sum + job.numjobs, 0);
  if (threads > 256) throw new UsageError(`${threads} threads are too many; 256 is the most`);
  if (new Set(run.scheme).size < run.scheme.length) throw new UsageError('a scheme is named twice');
}

export function readsOnly(job: Job): boolean {
  return job.rw === 'read' || job.rw === 'randread';
}

/** The jobs of each file. */
export function byFile(jobs: Job[]): Map<string, Job[]> {
  const files = new Map<string, Job[]>();
  for (const job of jobs) files.set(job.filename, [...(files.get(job.filename) ?? []), job]);
  return files;
}

/** The files of a plan with their sizes. */
export function filesOf(jobs: Job[]): Map<string, number> {
  return new Map([...byFile(jobs)].map(([name, sharing]) => [name, Math.max(...sharing.map((job) => job.size))]));
}

export function totalBytes(jobs: Job[]): number {
  let bytes = 0;
  for (const size of filesOf(jobs).values()) bytes += size;
  return bytes;
}
