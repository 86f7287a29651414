import { execFile } from 'node:child_process';
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { hugePagesEnvironment } from '#dist/src/index.js';
import { emmental, emmentalHere, MAIN } from '../cli/emmental.js';
import { temporaryDirectory } from '../support/temporary.js';

const directory = temporaryDirectory(true);

/** Temporary images go where the test sees them; the cache stays in small pages, which spares a process. */
const run = (...args: string[]) =>
  emmental(args, { env: { TMPDIR: directory, GLIBC_TUNABLES: 'glibc.malloc.hugetlb=0' } });

interface Direction {
  iops: number;
  bw_bytes: number;
  total_ios: number;
  clat_ns: { N: number; percentile?: Record<string, number> };
}
interface Document {
  jobs: { jobname: string; scheme: string; error: number; huge_pages: boolean; read: Direction; write: Direction }[];
  storms: { kind: string; total_ops: number }[];
  comparison?: { policy: string; schemes: { scheme: string; runs: number }[]; verdict: string[] };
}

test('bench: a mixed job with verify and storms', async () => {
  const { code, stdout, stderr } = await run(
    ...['bench', '--rw=randrw', '--bs=8k', '--size=16m', '--numjobs=3', '--runtime=0.5', '--verify=crc32c'],
    ...['--random_distribution=zipf:1.2', '--punch=50/s', '--truncate=20/s', '--willneed=50/s', '--json'],
  );
  expect({ code, stderr: stderr.replace(/^(?!emmental:).*\n/gm, '') }).toEqual({ code: 0, stderr: '' });
  const { jobs, storms } = JSON.parse(stdout.toString()) as Document;
  expect(jobs).toHaveLength(1);
  expect(jobs[0]).toMatchObject({ jobname: 'job', scheme: 'invalidate-lock', error: 0, huge_pages: false });
  for (const direction of [jobs[0].read, jobs[0].write]) {
    expect(direction.iops).toBeGreaterThan(0);
    expect(direction.clat_ns.N).toBe(direction.total_ios);
    expect(direction.clat_ns.percentile?.['99.000000']).toBeGreaterThan(0);
  }
  expect(storms.map(({ kind }) => kind)).toEqual(['punch', 'truncate', 'willneed']);
  for (const storm of storms) expect(storm.total_ops).toBeGreaterThan(0);
  expect(readdirSync(directory)).toEqual([]);
});

test('bench: a job file, on a device of its own, whose files it leaves alone', async () => {
  const image = join(directory, 'own.img');
  const jobs = join(directory, 'mixed.fio');
  const output = join(directory, 'result.json');
  writeFileSync(jobs, '[global]\nsize=8m\nbs=4k\nnumber_ios=500\n[readers]\nrw=read\n[writers]\nrw=write\nfsync=100\n');
  expect((await emmentalHere(['format', image, '--size', '128m'])).code).toBe(0);
  expect((await emmental(['cp', '-', `${image}:mine`], { input: Buffer.from('mine') })).code).toBe(0);
  const { code, stdout } = await run(
    ...['bench', jobs, `--device=${image}`, '--scheme=i-rwsem', '--output-format=json+', `--output=${output}`],
  );
  expect({ code, stdout: stdout.toString() }).toEqual({ code: 0, stdout: '' });
  const result = JSON.parse(readFileSync(output, 'utf8')) as Document;
  expect(result.jobs.map((job) => [job.jobname, job.scheme, job.read.total_ios, job.write.total_ios])).toEqual([
    ['readers', 'i-rwsem', 500, 0],
    ['writers', 'i-rwsem', 0, 500],
  ]);

  const refused = await run('bench', '--rw=write', '--size=4m', '--filename=mine', `--device=${image}`);
  expect(refused.stderr).toContain("emmental: file 'mine' exists, and the job would overwrite it");
  expect(refused.code).toBe(1);
  expect((await emmentalHere(['ls', image])).stdout.toString()).toBe('mine\n');
  expect((await emmentalHere(['cp', `${image}:mine`, '-'])).stdout.toString()).toBe('mine');
  expect((await emmentalHere(['check', image])).stdout.toString()).toBe(`${image}: clean\n`);
  for (const path of [image, jobs, output]) rmSync(path);
});

test('bench: a job file through a pipe is read once', async () => {
  const job = '[global]\nsize=1m\nnumber_ios=10\ncache=64m\n[reader]\nrw=randread\n';
  const pipeline = 'printf "$1" | "$0" "$2" bench /dev/stdin --json';
  const { GLIBC_TUNABLES: _, ...env } = process.env;
  const { stdout } = await promisify(execFile)('sh', ['-c', pipeline, process.execPath, job, MAIN], {
    env: { ...env, TMPDIR: directory },
  });
  const { jobs } = JSON.parse(stdout) as Document;
  expect(jobs).toMatchObject([{ jobname: 'reader', huge_pages: false, read: { total_ios: 10 } }]);
});

test('compare: interleaved runs, a table and a verdict', async () => {
  const { code, stdout, stderr } = await emmental(
    ['compare', '--readers=2', '--writers=2', '--bs=8k', '--size=16m', '--runtime=0.1', '--repeats=2'],
    { env: { TMPDIR: directory } },
  );
  expect(code).toBe(0);
  expect(stderr.includes(' of cache in huge pages;')).toBe(hugePagesEnvironment() !== null);
  const text = stdout.toString();
  expect(text).toMatch(/invalidate-lock .*\n.*i-rwsem /);
  expect(text).toMatch(/^Verdict: under invalidate-lock, reads are .* The rwsem policy was 'kernel'\.$/m);
  const order = [...stderr.matchAll(/run \d of 4, ([a-z-]+): \S+ reads\/s, \S+ writes\/s/g)].map((match) => match[1]);
  expect(order).toEqual(['invalidate-lock', 'i-rwsem', 'i-rwsem', 'invalidate-lock']);
});

test('compare: JSON, and another policy', async () => {
  const { code, stdout } = await run(
    ...[
      'compare',
      '--scheme=invalidate-lock,none',
      '--unsafe',
      '--policy=reader-preferring',
      '--rw=randread',
      '--numjobs=2',
    ],
    ...['--size=8m', '--runtime=0.1', '--repeats=1', '--output-format=json'],
  );
  expect(code).toBe(0);
  const { jobs, comparison } = JSON.parse(stdout.toString()) as Document;
  expect(jobs.map(({ scheme }) => scheme)).toEqual(['invalidate-lock', 'none']);
  expect(comparison?.policy).toBe('reader-preferring');
  expect(comparison?.schemes.map(({ scheme, runs }) => [scheme, runs])).toEqual([
    ['invalidate-lock', 1],
    ['none', 1],
  ]);
});

test('Ctrl-C ends a benchmark, and takes its image away', async () => {
  const { code, signal, stderr } = await emmental(['bench', '--size=8m', '--runtime=30'], {
    env: { TMPDIR: directory },
    interruptAt: 'warming: done',
  });
  expect({ code, signal }).toEqual({ code: null, signal: 'SIGINT' });
  expect(stderr).toContain('emmental: interrupted by SIGINT');
  expect(readdirSync(directory)).toEqual([]);
});
