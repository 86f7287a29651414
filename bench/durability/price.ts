/**
 * What the journal costs the comparison of schemes: the same job with the journal's commits and without.
 *
 * The job overwrites a file that is in the cache: what the journal does meanwhile is to commit the files' times, and what writeback
 * changed, every few seconds, and it does that beside the threads that are measured. So the job runs with the interval of commits
 * of five seconds, the default, and with one longer than the run: then nothing is copied, sealed, written to the log or flushed. Runs take
 * turns (A B, B A), each on a store opened anew; the figure is the median over the rounds of what the pair's ratio lacks of 1.
 */
import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

interface Direction {
  iops: number;
}
interface Document {
  jobs: { read: Direction; write: Direction }[];
}

export interface PriceFigures {
  share: number;
  spread: [least: number, most: number];
  /** Intervals that fit a run: at least so many commits were made. */
  commits: number;
}

const MAIN = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url));

export function measurePrice(directory: string, isQuick: boolean, effort: number): Promise<PriceFigures> {
  const rounds = isQuick ? 1 : Math.ceil(4 * effort);
  const runtime = isQuick ? 0.3 : 10;
  const interval = isQuick ? 0.1 : 5;
  const shares: number[] = [];
  for (let round = 0; round < rounds; round++) {
    const order = round % 2 === 0 ? [String(interval), '1h'] : ['1h', String(interval)];
    const rates = new Map(
      order.map((commitInterval) => [commitInterval, run(directory, runtime, isQuick, commitInterval)]),
    );
    shares.push(1 - rates.get(String(interval))! / rates.get('1h')!);
  }
  shares.sort((a, b) => a - b);
  const share = (shares[(rounds - 1) >> 1] + shares[rounds >> 1]) / 2;
  return Promise.resolve({ share, spread: [shares[0], shares[rounds - 1]], commits: Math.floor(runtime / interval) });
}

/** Reads and writes a second. */
function run(directory: string, runtime: number, isQuick: boolean, commitInterval: string): number {
  const threads = isQuick ? 1 : 8;
  const job = [
    `--readers=${threads}`,
    `--writers=${threads}`,
    '--bs=8k',
    `--size=${isQuick ? '16m' : '512m'}`,
    `--runtime=${runtime}`,
  ];
  const output = execFileSync(
    process.execPath,
    [MAIN, 'bench', ...job, `--ramp_time=${isQuick ? 0 : 0.5}`, `--commit_interval=${commitInterval}`, '--json'],
    { stdio: ['ignore', 'pipe', 'ignore'], maxBuffer: 1e9, env: { ...process.env, TMPDIR: directory } },
  );
  const { jobs } = JSON.parse(output.toString()) as Document;
  return jobs.reduce((sum, job) => sum + job.read.iops + job.write.iops, 0);
}
