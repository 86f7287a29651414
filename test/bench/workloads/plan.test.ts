import { expect, test } from 'vitest';
import { parseJobFile } from '#dist/bench/workloads/job-file.js';
import type { OptionValues } from '#dist/bench/workloads/option-table.js';
import { filesOf, type Job, makePlan } from '#dist/bench/workloads/plan.js';

const MIB = 1024 * 1024;

function jobsOf(values: OptionValues): Job[] {
  return makePlan(values, null, ['a']).jobs;
}

test('without a description: 8 readers and 8 writers of 8 KiB on one file that fits the cache', () => {
  const { jobs, run } = makePlan({}, null, ['invalidate-lock', 'i-rwsem']);
  expect(jobs.map(({ name, rw, numjobs, bs }) => ({ name, rw, numjobs, bs }))).toEqual([
    { name: 'readers', rw: 'randread', numjobs: 8, bs: 8192 },
    { name: 'writers', rw: 'randwrite', numjobs: 8, bs: 8192 },
  ]);
  expect(filesOf(jobs).size).toBe(1);
  expect(run.cache).toBeGreaterThan(jobs[0].size);
  expect(run).toMatchObject({ scheme: ['invalidate-lock', 'i-rwsem'], policy: 'kernel', device: '' });
  expect(jobs[0].time_based).toBe(true);
});

test('one job with the options of fio', () => {
  const [job, ...others] = jobsOf({ rw: 'randrw', numjobs: 3, size: 8 * MIB, bs: 4096 });
  expect(others).toEqual([]);
  expect(job).toMatchObject({ name: 'job', rw: 'randrw', rwmixread: 50, numjobs: 3, runtime: 0, time_based: false });
});

test('readers and writers make two groups of one section, in its kind of order', () => {
  expect(jobsOf({ readers: 2, writers: 1, rw: 'rw', name: 'mix' }).map(({ name, rw }) => [name, rw])).toEqual([
    ['mix.readers', 'read'],
    ['mix.writers', 'write'],
  ]);
  expect(jobsOf({ readers: 2 }).map(({ name, rw }) => [name, rw])).toEqual([['readers', 'randread']]);
});

test('the command line wins over the job file', () => {
  const file = parseJobFile('[global]\nsize=64m\nruntime=9\ncache=1g\n[a]\nrw=randread\n[b]\nrw=write\nsize=16m', 'f');
  const { jobs, run } = makePlan({ runtime: 1, cache: 32 * MIB }, file, ['x']);
  expect(jobs.map(({ name, runtime, size }) => [name, runtime, size])).toEqual([
    ['a', 1, 64 * MIB],
    ['b', 1, 16 * MIB],
  ]);
  expect(run.cache).toBe(32 * MIB);
  expect(filesOf(jobs)).toEqual(new Map([['bench', 64 * MIB]]));
});

test('randrepeat=0 draws a seed', () => {
  const seeds = [jobsOf({ rw: 'read', randrepeat: false }), jobsOf({ rw: 'read', randrepeat: false })].map(
    ([job]) => job.randseed,
  );
  expect(seeds[0]).not.toBe(seeds[1]);
  expect(jobsOf({ rw: 'read' })[0].randseed).toBe(jobsOf({ rw: 'read' })[0].randseed);
});

test.each<[OptionValues, string]>([
  [{ rw: 'read', bs: 8192, size: 4096 }, 'size 4096 is below bs 8192'],
  [{ rw: 'read', size: MIB, offset: MIB }, 'leaves no room'],
  [{ rw: 'read', size: MIB, numjobs: 3, offset_increment: MIB / 2 }, 'leaves no room'],
  [{ rw: 'read', time_based: true }, 'time_based needs a runtime'],
  [{ rw: 'read', numjobs: 257 }, '257 threads are too many'],
  [{ rw: 'read', scheme: ['a', 'a'] }, 'a scheme is named twice'],
  [{ rw: 'read', bs: 4096, verify: 'crc32c', verify_interval: 3000 }, 'no multiple of verify_interval'],
])('%j is refused', (values, message) => {
  expect(() => jobsOf(values)).toThrow(message);
});

test('the jobs on one file agree on verify', () => {
  const file = parseJobFile('[a]\nrw=read\nverify=crc32c\n[b]\nrw=write', 'f');
  expect(() => makePlan({}, file, ['x'])).toThrow('must agree on verify');
});
