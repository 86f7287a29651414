/**
 * The options of a workload: fio's names with fio's meanings, and ours beside them.
 *
 * One table serves the command line, job files and the help. An option of scope `job` may differ from job to job; one of
 * scope `run` holds for all jobs, and stands on the command line or under [global]. Names are as in job files; on the
 * command line they follow two dashes.
 */
import { parseSize } from '../../src/cli/size.js';
import { UsageError } from '../../src/cli/usage-error.js';

/** `random_distribution`. */
export type Distribution = { kind: 'random' } | { kind: 'zipf'; theta: number };
export const READ_WRITE = ['read', 'write', 'randread', 'randwrite', 'rw', 'randrw'] as const;
export type ReadWrite = (typeof READ_WRITE)[number];
export const VERIFY = ['none', 'crc32c', 'crc32'] as const;
export type Verify = (typeof VERIFY)[number];
export const OUTPUT_FORMATS = ['normal', 'json', 'json+'] as const;
export type OutputFormat = (typeof OUTPUT_FORMATS)[number];
/** Queueing policies of the engine's rwsems; the first is the default. */
export const POLICIES = ['kernel', 'fifo', 'reader-preferring'] as const;
export type Policy = (typeof POLICIES)[number];

/** What the options of one job come to. Times in seconds, sizes in bytes. */
export interface JobOptions {
  name: string;
  rw: ReadWrite;
  rwmixread: number;
  bs: number;
  size: number;
  offset: number;
  offset_increment: number;
  filename: string;
  numjobs: number;
  runtime: number;
  time_based: boolean;
  ramp_time: number;
  pre_read: boolean;
  number_ios: number;
  random_distribution: Distribution;
  randseed: number;
  randrepeat: boolean;
  fsync: number;
  end_fsync: boolean;
  verify: Verify;
  verify_interval: number;
  readers: number;
  writers: number;
}

export interface RunOptions {
  'output-format': OutputFormat;
  output: string;
  scheme: string[];
  unsafe: boolean;
  policy: Policy;
  device: string;
  cache: number;
  dirty_ratio: number;
  /** Seconds. */
  commit_interval: number;
  punch: number;
  truncate: number;
  willneed: number;
  hugepages: boolean;
  repeats: number;
  report: string;
  threads: number[];
  monitor: boolean;
}

type Value<T> = (text: string, name: string) => T;
interface OptionOf<Scope, T> {
  scope: Scope;
  value: Value<T>;
  help: string;
  /** How the help writes the value. */
  form?: string;
  /** Given without a value, as fio's flags may be. */
  bare?: string;
  aliases?: string[];
}
type Table<T, Scope> = { [K in keyof T]-?: OptionOf<Scope, T[K]> };
export type OptionName = keyof JobOptions | keyof RunOptions;
export type Option = OptionOf<'job' | 'run', unknown>;

const text: Value<string> = (value) => value;
const size: Value<number> = (value, name) => parseSize(value, name);

const positiveSize: Value<number> = (value, name) => {
  const bytes = parseSize(value, name);
  if (bytes === 0) throw new UsageError(`${name} must not be 0`);
  return bytes;
};

const integer =
  (min: number, max = Number.MAX_SAFE_INTEGER): Value<number> =>
  (value, name) => {
    const number = Number(value);
    if (value.trim() !== '' && Number.isSafeInteger(number) && number >= min && number <= max) return number;
    const range = max === Number.MAX_SAFE_INTEGER ? `at least ${min}` : `from ${min} to ${max}`;
    throw new UsageError(`${name} must be a whole number ${range}, not '${value}'`);
  };

const flag: Value<boolean> = (value, name) => {
  if (value === '1' || value === 'true') return true;
  if (value === '0' || value === 'false') return false;
  throw new UsageError(`${name} is on (1) or off (0), not '${value}'`);
};

function oneOf<const T extends string>(values: readonly T[], synonyms: Record<string, T> = {}): Value<T> {
  return (value, name) => {
    const found = values.find((known) => known === value) ?? synonyms[value];
    if (found !== undefined) return found;
    throw new UsageError(`${name} must be one of ${values.join(', ')}, not '${value}'`);
  };
}

const SECONDS: Record<string, number> = { us: 1e-6, ms: 1e-3, s: 1, m: 60, h: 3600, '': 1 };

const seconds: Value<number> = (value, name) => {
  const match = /^(\d+(?:\.\d+)?)(us|ms|s|m|h|)$/.exec(value.trim());
  if (match === null)
    throw new UsageError(`${name} '${value}' is no time; write seconds, or a number with us, ms, s, m, h`);
  return Number(match[1]) * SECONDS[match[2]];
};

/** `100/s`, or just `100`. */
const rate: Value<number> = (value, name) => {
  const match = /^(\d+(?:\.\d+)?)(?:\/s)?$/.exec(value.trim());
  if (match === null) throw new UsageError(`${name} '${value}' is no rate; write it as 100/s`);
  return Number(match[1]);
};

const ratio: Value<number> = (value, name) => {
  const number = Number(value);
  if (value.trim() !== '' && number > 0 && number <= 1) return number;
  throw new UsageError(`${name} must be above 0 and at most 1, not '${value}'`);
};

const distribution: Value<Distribution> = (value, name) => {
  const [kind, parameter, ...rest] = value.split(':');
  if (kind === 'random' && parameter === undefined) return { kind };
  const theta = parameter === undefined ? 1.1 : Number(parameter); // fio's default
  if (kind === 'zipf' && rest.length === 0 && parameter !== '' && theta > 0 && theta !== 1 && theta < 100) {
    return { kind, theta };
  }
  throw new UsageError(`${name} must be random or zipf:THETA with THETA above 0 and not 1, not '${value}'`);
};

const names: Value<string[]> = (value, name) => {
  const list = value.split(',').map((item) => item.trim());
  if (list.includes('')) throw new UsageError(`${name} '${value}' has an empty name in it`);
  return list;
};

const counts: Value<number[]> = (value, name) =>
  value === '0' ? [] : value.split(',').map((item) => integer(1, 256)(item, name));

/** Options of fio that say what is always so here. Any other value is refused rather than passed over. */
export const FIXED: Record<string, { values: string[]; because: string }> = {
  ioengine: { values: ['sync', 'psync'], because: 'each thread has one synchronous operation in flight' },
  iodepth: { values: ['1'], because: 'each thread has one synchronous operation in flight' },
  direct: { values: ['0'], because: "all I/O goes through the store's page cache" },
  norandommap: { values: ['1'], because: 'offsets are drawn independently' },
  thread: { values: ['1'], because: 'jobs are worker threads' },
  group_reporting: { values: ['1'], because: 'the threads of a job are reported together' },
};

const JOB_OPTIONS: Table<JobOptions, 'job'> = {
  name: { scope: 'job', value: text, help: "the job's name" },
  rw: {
    scope: 'job',
    value: oneOf(READ_WRITE, { readwrite: 'rw' }),
    form: READ_WRITE.join('|'),
    help: 'kind of I/O',
    aliases: ['readwrite'],
  },
  rwmixread: { scope: 'job', value: integer(0, 100), form: 'percent', help: 'share of reads in a mixed job (50)' },
  bs: { scope: 'job', value: positiveSize, form: 'size', help: 'bytes of one operation (4k)', aliases: ['blocksize'] },
  size: {
    scope: 'job',
    value: positiveSize,
    form: 'size',
    help: "bytes of the file, and of one thread's I/O if no time is given",
  },
  offset: { scope: 'job', value: size, form: 'size', help: 'where in the file a job begins (0)' },
  offset_increment: {
    scope: 'job',
    value: size,
    form: 'size',
    help: 'added to the offset for each further thread (0)',
  },
  filename: { scope: 'job', value: text, form: 'name', help: 'file in the store; jobs share one by default' },
  numjobs: { scope: 'job', value: integer(1, 256), form: 'n', help: 'threads of the job (1)' },
  runtime: { scope: 'job', value: seconds, form: 'time', help: 'how long to run, in seconds or with a unit' },
  time_based: {
    scope: 'job',
    value: flag,
    form: '0|1',
    bare: '1',
    help: 'run for the whole runtime (1 when a runtime is given); 0 ends a thread once it has moved size bytes',
  },
  ramp_time: { scope: 'job', value: seconds, form: 'time', help: 'run that long before measuring (0)' },
  pre_read: {
    scope: 'job',
    value: flag,
    form: '0|1',
    bare: '1',
    help: 'read the file into the cache first (1); 0 starts with a cold cache',
  },
  number_ios: { scope: 'job', value: integer(1), form: 'n', help: 'end a thread after that many operations' },
  random_distribution: {
    scope: 'job',
    value: distribution,
    form: 'random|zipf:theta',
    help: 'of random offsets (random)',
  },
  randseed: { scope: 'job', value: integer(0), form: 'n', help: 'seed of offsets and data' },
  randrepeat: { scope: 'job', value: flag, form: '0|1', bare: '1', help: '0: another seed in each run (1)' },
  fsync: { scope: 'job', value: integer(0), form: 'n', help: 'sync the file after every n writes (0: never)' },
  end_fsync: { scope: 'job', value: flag, form: '0|1', bare: '1', help: 'sync the file at the end of a thread (0)' },
  verify: {
    scope: 'job',
    value: oneOf(VERIFY, { '0': 'none' }),
    form: VERIFY.join('|'),
    help: 'stamp what is written with offset, generation and checksum; verify what is read, and the file afterwards',
  },
  verify_interval: {
    scope: 'job',
    value: positiveSize,
    form: 'size',
    help: "bytes under one stamp (the store's block, or bs if less): what a read is sure not to see torn",
  },
  readers: {
    scope: 'job',
    value: integer(0, 256),
    form: 'n',
    help: 'threads that only read; a group beside the writers',
  },
  writers: { scope: 'job', value: integer(0, 256), form: 'n', help: 'threads that only write, on the same file' },
};

const RUN_OPTIONS: Table<RunOptions, 'run'> = {
  'output-format': {
    scope: 'run',
    value: oneOf(OUTPUT_FORMATS),
    form: OUTPUT_FORMATS.join('|'),
    help: 'json is in the shape of fio; json+ has the latency bins too',
  },
  output: { scope: 'run', value: text, form: 'file', help: 'write the result there' },
  scheme: {
    scope: 'run',
    value: names,
    form: 'name[,name]',
    help: "locking scheme, or schemes to compare: 'emmental schemes' lists them",
  },
  unsafe: { scope: 'run', value: flag, form: '0|1', bare: '1', help: 'allow schemes that break something (0)' },
  policy: {
    scope: 'run',
    value: oneOf(POLICIES),
    form: POLICIES.join('|'),
    help: 'queueing policy of the reader-writer locks',
  },
  device: { scope: 'run', value: text, form: 'path', help: 'a store, or a blank device (a temporary sparse image)' },
  cache: { scope: 'run', value: positiveSize, form: 'size', help: 'page cache (all files and a quarter more)' },
  dirty_ratio: { scope: 'run', value: ratio, form: 'share', help: 'share of the cache that may be dirty (0.9)' },
  commit_interval: {
    scope: 'run',
    value: seconds,
    form: 'time',
    help: 'time after which the journal commits by itself (5)',
  },
  punch: { scope: 'run', value: rate, form: 'n/s', help: 'holes punched into the first file per second (0)' },
  truncate: { scope: 'run', value: rate, form: 'n/s', help: 'times per second its tail is cut off and put back (0)' },
  willneed: { scope: 'run', value: rate, form: 'n/s', help: 'WILLNEED advices of 2 MiB on it per second (0)' },
  report: { scope: 'run', value: text, form: 'file.html', help: 'write the result as a page, too' },
  threads: {
    scope: 'run',
    value: counts,
    form: 'n[,n]',
    help: 'with a report: short runs with that many threads in the largest group (powers of two below it; 0: none)',
  },
  monitor: { scope: 'run', value: flag, form: '0|1', bare: '1', help: "let 'emmental top' watch (0)" },
  hugepages: {
    scope: 'run',
    value: flag,
    form: '0|1',
    bare: '1',
    help: 'the cache in huge pages where the host has them, in a process started for that (1)',
  },
  repeats: { scope: 'run', value: integer(1, 100), form: 'n', help: 'compare: runs of each scheme, interleaved (2)' },
};

export const OPTIONS: Readonly<Record<string, Option>> = { ...JOB_OPTIONS, ...RUN_OPTIONS };

const ALIASES = new Map<string, string>(
  Object.entries(OPTIONS).flatMap(([name, option]) => (option.aliases ?? []).map((alias) => [alias, name] as const)),
);

export type OptionValues = Partial<JobOptions & RunOptions>;

/** Puts one option into `values`; throws a UsageError that names it when it or its value is unknown. */
export function setOption(values: OptionValues, given: string, value: string | undefined): void {
  const name = ALIASES.get(given) ?? given;
  if (Object.hasOwn(FIXED, name)) {
    const fixed = FIXED[name];
    const actual = value ?? '1';
    if (fixed.values.includes(actual)) return;
    throw new UsageError(`${name}=${actual} is not to be had: ${fixed.because}`);
  }
  if (!Object.hasOwn(OPTIONS, name)) throw new UsageError(`unknown option '${given}'`);
  const option = OPTIONS[name];
  const actual = value ?? option.bare;
  if (actual === undefined) throw new UsageError(`option '${given}' needs a value`);
  (values as Record<string, unknown>)[name] = option.value(actual, name);
}

export function isRunOption(given: string): boolean {
  return Object.hasOwn(RUN_OPTIONS, given);
}
