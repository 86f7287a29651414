/**
 * Emmental's NBD server beside qemu-nbd and nbdkit's file plugin: the same fio jobs, over a unix socket, on data that are
 * cached, in turn (A B C C B A). Prints a table of medians.
 *
 *   node dist/bench/clients/main.js [--seconds=5] [--size=256m] [--runs=2] [--servers=emmental,qemu-nbd] [--directory=/var/tmp]
 *
 * `--cpu-prof=DIRECTORY` writes a CPU profile of Emmental's server.
 */
import { execFile, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { cpus, release, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs, promisify } from 'node:util';
import { formatTable } from '../../src/cli/print.js';
import { parseSize } from '../../src/cli/size.js';
import { PROGRAMS, SERVERS, type ServerName, startServer } from './servers.js';

const run = promisify(execFile);

interface JobResult {
  read: { iops: number; bw_bytes: number; clat_ns: { percentile?: Record<string, number> } };
  write: { iops: number; bw_bytes: number };
}

interface Job {
  name: string;
  options: string[];
  unit: string;
  figure(result: JobResult): number;
}

const MIB = 1024 * 1024;
const JOBS: Job[] = [
  {
    name: 'randrw 70/30, 4 KiB, depth 16',
    options: ['--rw=randrw', '--rwmixread=70', '--bs=4k', '--iodepth=16'],
    unit: 'thousand a second',
    figure: ({ read, write }) => (read.iops + write.iops) / 1000,
  },
  {
    name: 'read, 1 MiB, depth 4',
    options: ['--rw=read', '--bs=1m', '--iodepth=4'],
    unit: 'MiB/s',
    figure: ({ read }) => read.bw_bytes / MIB,
  },
  {
    name: 'write, 1 MiB, depth 4',
    options: ['--rw=write', '--bs=1m', '--iodepth=4'],
    unit: 'MiB/s',
    figure: ({ write }) => write.bw_bytes / MIB,
  },
];

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '5' },
    size: { type: 'string', default: '256m' },
    runs: { type: 'string', default: '2' },
    servers: { type: 'string', default: SERVERS.join(',') },
    directory: { type: 'string', default: tmpdir() },
    'cpu-prof': { type: 'string' },
  },
});

const directory = mkdtempSync(join(values.directory, 'emmental-clients-'));
const sizeBytes = parseSize(values.size, '--size');

async function fio(uri: string, options: readonly string[]): Promise<JobResult> {
  const { stdout } = await run('fio', [
    ...['--name=job', '--ioengine=nbd', `--uri=${uri}`, `--size=${sizeBytes}`, `--aux-path=${directory}`],
    ...['--norandommap', '--randrepeat=0', '--output-format=json', ...options],
  ]);
  return (JSON.parse(stdout.slice(stdout.indexOf('{'))) as { jobs: JobResult[] }).jobs[0];
}

function median(list: readonly number[]): number {
  const sorted = [...list].sort((a, b) => a - b);
  return (sorted[(sorted.length - 1) >> 1] + sorted[sorted.length >> 1]) / 2;
}

async function measure(names: readonly ServerName[]): Promise<Map<string, number[]>> {
  const profile = values['cpu-prof'];
  const nodeOptions = profile === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${profile}`];
  const figures = new Map<string, number[]>();
  const servers = new Map<ServerName, Awaited<ReturnType<typeof startServer>>>();
  try {
    for (const name of names) {
      const server = await startServer(name, directory, sizeBytes, nodeOptions);
      servers.set(name, server);
      await fio(server.uri, ['--rw=write', '--bs=1m', '--iodepth=4']);
    }
    for (let i = 0; i < Number(values.runs); i++) {
      for (const name of i % 2 === 0 ? names : [...names].reverse()) {
        for (const job of JOBS) {
          const timed = ['--time_based', `--runtime=${values.seconds}`, '--ramp_time=1'];
          const result = await fio(servers.get(name)!.uri, [...job.options, ...timed]);
          const key = `${name} ${job.name}`;
          figures.set(key, [...(figures.get(key) ?? []), job.figure(result)]);
        }
      }
    }
  } finally {
    for (const server of servers.values()) await server.stop();
    rmSync(directory, { recursive: true, force: true });
  }
  return figures;
}

const wanted = SERVERS.filter((name) => values.servers.split(',').includes(name));
const missing = ['fio', ...wanted.flatMap((name) => PROGRAMS[name])].filter(
  (program) => spawnSync('sh', ['-c', `command -v ${program}`]).status !== 0,
);
if (missing.length > 0) throw new Error(`missing: ${missing.join(', ')}; scripts/install-clients.sh installs them`);
const figures = await measure(wanted);
const rows = JOBS.map((job) => [
  job.name,
  job.unit,
  ...wanted.map((name) => {
    const list = figures.get(`${name} ${job.name}`) ?? [];
    const digits = job.unit === 'MiB/s' ? 0 : 1;
    const spread =
      list.length > 1 ? ` (${Math.min(...list).toFixed(digits)}–${Math.max(...list).toFixed(digits)})` : '';
    return median(list).toFixed(digits) + spread;
  }),
]);
process.stdout.write(`${formatTable(['job', 'unit', ...wanted], rows, [...wanted])}\n`);
process.stdout.write(`${cpus().length} CPUs (${cpus()[0]?.model}), Node ${process.version}, Linux ${release()}\n`);
