/**
 * The published comparison on this machine: 8 random readers and 8 random writers, 8 KiB, one file of 2 GiB in the cache.
 *
 * `node dist/bench/compare/published.js [--size=2g] [--runtime=12]` runs `emmental compare`, and beside it fio on an ext4 on a
 * loop device. The latter needs root, fio and mkfs.ext4; without one of them it is skipped, by name.
 */
import { execFileSync } from 'node:child_process';
import { closeSync, ftruncateSync, mkdirSync, mkdtempSync, openSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { formatTable, printLine } from '../../src/cli/print.js';
import { parseSize } from '../../src/cli/size.js';
import { formatCount, formatLatency } from '../workloads/summary.js';

interface FioDirection {
  iops: number;
  clat_ns: { percentile?: Record<string, number> };
}

interface Figures {
  name: string;
  reads: number;
  writes: number;
  readP99: number;
  writeP99: number;
}

interface FioJob {
  read: FioDirection;
  write: FioDirection;
}

function figuresOf(name: string, jobs: FioJob[]): Figures {
  const p99 = (direction: FioDirection) => direction.clat_ns.percentile?.['99.000000'] ?? 0;
  return {
    name,
    reads: jobs.reduce((sum, job) => sum + job.read.iops, 0),
    writes: jobs.reduce((sum, job) => sum + job.write.iops, 0),
    readP99: Math.max(...jobs.map((job) => p99(job.read))),
    writeP99: Math.max(...jobs.map((job) => p99(job.write))),
  };
}

/** Why fio cannot run here, or null. */
function reasonToSkip(): string | null {
  if (process.getuid?.() !== 0) return 'needs root';
  for (const program of ['fio', 'mkfs.ext4', 'losetup']) {
    try {
      execFileSync('sh', ['-c', `command -v ${program}`], { stdio: 'ignore' });
    } catch {
      return `${program} is not installed`;
    }
  }
  return null;
}

function runFio(sizeBytes: number, runtime: string): Figures {
  const directory = mkdtempSync(join(tmpdir(), 'emmental-fio-'));
  const image = join(directory, 'ext4.img');
  const mount = join(directory, 'mnt');
  let loop = '';
  let mounted = false;
  try {
    const fd = openSync(image, 'w');
    ftruncateSync(fd, sizeBytes + 512 * 1024 * 1024);
    closeSync(fd);
    mkdirSync(mount);
    loop = execFileSync('losetup', ['-f', '--show', image]).toString().trim();
    execFileSync('mkfs.ext4', ['-q', loop]);
    execFileSync('mount', [loop, mount]);
    mounted = true;
    const common = ['--bs=8k', `--size=${sizeBytes}`, `--filename=${join(mount, 'file')}`, '--ioengine=psync'];
    // Laid out and read into the cache first, as emmental's file is.
    execFileSync('fio', ['--name=warm', '--rw=write', ...common, '--bs=1m'], { stdio: 'ignore' });
    execFileSync('fio', ['--name=warm', '--rw=read', '--invalidate=0', ...common, '--bs=1m'], { stdio: 'ignore' });
    const measured = [
      ...[...common, '--numjobs=8', `--runtime=${runtime}`, '--time_based', '--norandommap', '--randrepeat=0'],
      ...['--invalidate=0', '--ramp_time=2', '--group_reporting', '--thread', '--output-format=json'],
      ...['--name=readers', '--rw=randread', '--new_group', '--name=writers', '--rw=randwrite', '--new_group'],
    ];
    const output = execFileSync('fio', measured, { stdio: ['ignore', 'pipe', 'ignore'] }).toString();
    return figuresOf('fio on ext4 on a loop device', JSON.parse(output.slice(output.indexOf('{'))).jobs);
  } finally {
    if (mounted) execFileSync('umount', [mount]);
    if (loop !== '') execFileSync('losetup', ['-d', loop]);
    rmSync(directory, { recursive: true, force: true });
  }
}

interface CompareDocument {
  jobs: (FioJob & { scheme: string; run: number })[];
  comparison: { schemes: { scheme: string }[]; verdict: string[] };
}

function runCompare(sizeBytes: number, runtime: string): { schemes: Figures[]; verdict: string[] } {
  const main = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url));
  const job = ['--readers=8', '--writers=8', '--bs=8k', `--size=${sizeBytes}`, `--runtime=${runtime}`, '--ramp_time=2'];
  const output = execFileSync(process.execPath, [main, 'compare', ...job, '--repeats=2', '--json'], {
    stdio: ['ignore', 'pipe', 'inherit'],
    maxBuffer: 1e9,
  });
  const { jobs, comparison } = JSON.parse(output.toString()) as CompareDocument;
  const schemes = comparison.schemes.map(({ scheme }) => {
    const runs = new Set(jobs.filter((job) => job.scheme === scheme).map((job) => job.run));
    return meanOf(
      scheme,
      [...runs].map((run) =>
        figuresOf(
          scheme,
          jobs.filter((job) => job.run === run),
        ),
      ),
    );
  });
  return { schemes, verdict: comparison.verdict };
}

function meanOf(name: string, runs: Figures[]): Figures {
  const mean = (key: Exclude<keyof Figures, 'name'>) => runs.reduce((sum, run) => sum + run[key], 0) / runs.length;
  return {
    name,
    reads: mean('reads'),
    writes: mean('writes'),
    readP99: mean('readP99'),
    writeP99: mean('writeP99'),
  };
}

const { values } = parseArgs({
  options: { size: { type: 'string', default: '2g' }, runtime: { type: 'string', default: '12' } },
});
const sizeBytes = parseSize(values.size);
const { schemes, verdict } = runCompare(sizeBytes, values.runtime);
const skipped = reasonToSkip();
const rows = skipped === null ? [...schemes, runFio(sizeBytes, values.runtime)] : schemes;
const HEAD = ['', 'reads/s', 'p99', 'writes/s', 'p99', 'reads+writes/s'];
printLine(
  formatTable(
    HEAD,
    rows.map(({ name, reads, writes, readP99, writeP99 }) => [
      name,
      formatCount(reads),
      formatLatency(readP99),
      formatCount(writes),
      formatLatency(writeP99),
      formatCount(reads + writes),
    ]),
    HEAD.slice(1),
  ),
);
for (const line of verdict) printLine(line);
if (skipped !== null) printLine(`fio on ext4 on a loop device: skipped, ${skipped}`);
