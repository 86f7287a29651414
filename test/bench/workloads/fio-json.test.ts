import { expect, test } from 'vitest';
import { fioDocument } from '#dist/bench/workloads/fio-json.js';
import { Histogram } from '#dist/bench/workloads/histogram.js';
import { makePlan } from '#dist/bench/workloads/plan.js';
import type { DirectionResult, RunResult } from '#dist/bench/workloads/result.js';

function direction(latenciesNs: number[], bs: number, runtimeMs: number): DirectionResult {
  const latency = new Histogram();
  for (const value of latenciesNs) latency.record(value);
  const active = latenciesNs.length > 0;
  return {
    latency,
    bytes: latenciesNs.length * bs,
    shortIos: 0,
    runtimeMs: active ? runtimeMs : 0,
    series: active ? [60, 40] : [],
  };
}

function document(withBins: boolean) {
  const plan = makePlan({ rw: 'randread', bs: 8192, size: 1024 * 1024, runtime: 2 }, null, ['i-rwsem']);
  const latencies = Array.from({ length: 100 }, (_, i) => 1000 + i * 10);
  const run: RunResult = {
    scheme: 'i-rwsem',
    policy: 'kernel',
    jobs: [
      {
        job: plan.jobs[0],
        read: direction(latencies, 8192, 2000),
        write: direction([], 8192, 0),
        runtimeMs: 2000,
        verifyErrors: 0,
      },
    ],
    storms: [{ kind: 'punch', total: 20, perSecond: 10, latency: new Histogram() }],
    verifyErrors: [],
    stats: {},
    intervals: [],
  };
  // biome-ignore lint/suspicious/noExplicitAny: the shape is what is tested
  return JSON.parse(JSON.stringify(fioDocument(plan, [run], withBins, '/dev/x'))) as any;
}

test("the fields and units are fio's", () => {
  const { jobs, ...top } = document(false);
  expect(top['global options']).toEqual({ scheme: 'i-rwsem', policy: 'kernel', device: '/dev/x' });
  expect(top['emmental version']).toMatch(/^\d+\.\d+\.\d+/);
  const [job] = jobs;
  expect(job).toMatchObject({ jobname: 'job', groupid: 0, error: 0, scheme: 'i-rwsem', policy: 'kernel' });
  expect(job['job options']).toEqual({ name: 'job', rw: 'randread', bs: '8192', size: '1048576', runtime: '2' });
  expect(job.read).toMatchObject({
    io_bytes: 819_200,
    io_kbytes: 800,
    bw_bytes: 409_600,
    bw: 400,
    iops: 50,
    runtime: 2000,
    total_ios: 100,
    iops_min: 40,
    iops_max: 60,
    iops_mean: 50,
    iops_samples: 2,
    iops_log: [60, 40],
  });
  expect(job.read.clat_ns).toMatchObject({ min: 1000, max: 1990, mean: 1495, N: 100 });
  expect(Object.keys(job.read.clat_ns.percentile)).toEqual(
    '1 5 10 20 30 40 50 60 70 80 90 95 99 99.5 99.9 99.95 99.99'.split(' ').map((p) => Number(p).toFixed(6)),
  );
  expect(job.read.clat_ns.percentile['99.000000']).toBeGreaterThanOrEqual(1960);
  expect(job.read.clat_ns.percentile['99.000000']).toBeLessThanOrEqual(1990);
  const storm = { kind: 'punch', scheme: 'i-rwsem', run: 0, total_ops: 20, ops_per_second: 10 };
  expect(top.storms).toEqual([{ ...storm, clat_ns: { min: 0, max: 0, mean: 0, stddev: 0, N: 0 } }]);
});

test('a direction without operations has zeros and no percentiles', () => {
  const { write } = document(false).jobs[0];
  expect(write).toMatchObject({ io_bytes: 0, bw_bytes: 0, iops: 0, runtime: 0, total_ios: 0 });
  expect(write.clat_ns).toEqual({ min: 0, max: 0, mean: 0, stddev: 0, N: 0 });
});

test('json+ has the bins', () => {
  expect(document(false).jobs[0].read.clat_ns.bins).toBeUndefined();
  const bins = document(true).jobs[0].read.clat_ns.bins as Record<string, number>;
  expect(Object.values(bins).reduce((a, b) => a + b, 0)).toBe(100);
  expect(
    Object.keys(bins)
      .map(Number)
      .every((ns) => ns >= 990 && ns <= 2010),
  ).toBe(true);
});
