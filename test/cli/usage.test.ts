import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { temporaryDirectory } from '../support/temporary.js';
import { emmental, emmentalHere, type Outcome } from './emmental.js';

const directory = temporaryDirectory();
beforeAll(() => {
  writeFileSync(join(directory, 'bad.fio'), '[global]\nbs=8k\n[job]\nrw=randread\nnosuch=1\n');
});

function refuses({ code, stdout, stderr }: Outcome, message: string): void {
  expect(stderr).toMatch(/^emmental: .*\n$/);
  expect(stderr).toContain(message);
  expect(stdout.length).toBe(0);
  expect(code).toBe(2);
  expect(readdirSync(directory)).toEqual(['bad.fio']);
}

test.each([
  [[], 'no command given'],
  [['nosuch'], "unknown command 'nosuch'"],
  [['format'], "missing required argument 'device'"],
  [['format', 'x.img', '--size', '1q'], "--size '1q' is no size"],
  [['format', 'x.img', '--sise', '1g'], "unknown option '--sise' (Did you mean --size?)"],
  [['ls', 'a', 'b', 'c'], 'too many arguments'],
  [['stat', 'x.img'], "'x.img' is no DEVICE:NAME"],
  [['cp', 'x.img:', 'y'], 'names no file'],
  [['truncate', 'x.img:f', '-1'], "SIZE '-1' is no size"],
  [['punch', 'x.img:f', '1.0001', '1'], 'POSITION'],
  [['bench', '--nosuch=1'], "unknown option '--nosuch=1'"],
  [['bench', '--bs=8q'], "bs '8q' is no size"],
  [['bench', '--reports=x.html'], "unknown option '--reports=x.html'"],
  [['bench', '--report=no/such/x.html'], "the report 'no/such/x.html' cannot be written"],
  [['bench', '--threads=1,x'], "threads must be a whole number from 1 to 256, not 'x'"],
  [['top', 'x.img', '--interval=0'], '--interval must be from 0.05 to 3600 seconds'],
  [['bench', '--scheme=nosuch'], 'scheme must be one of invalidate-lock, i-rwsem, none'],
  [['bench', '--scheme=none'], "scheme 'none' is unsafe: a fill that meets an invalidation shows stale data"],
  [['compare', '--scheme=ext4,ext4-before'], "scheme 'ext4-before' is unsafe: a read, its readahead"],
  [['bench', '--scheme=i-rwsem,none', '--unsafe'], 'bench runs one scheme'],
  [['compare', '--scheme=none', '--unsafe'], 'compare needs two schemes'],
  [['schemes', 'nosuch'], "unknown scheme 'nosuch'; known are invalidate-lock, i-rwsem, none"],
  [['bench', 'bad.fio'], "bad.fio:5: unknown option 'nosuch'"],
])('%j: one line, exit code 2, nothing made', async (args, message) => {
  refuses(await emmentalHere(args, { cwd: directory }), message);
});

test.each([
  [['format', 'x.img', '--sise', '1g'], "unknown option '--sise' (Did you mean --size?)"],
  [['cp', 'x.img:', 'y'], 'names no file'],
  [['bench', 'bad.fio'], "bad.fio:5: unknown option 'nosuch'"],
])('%j: the same of a process', async (args, message) => {
  refuses(await emmental(args, { cwd: directory }), message);
});

test('help and version are no errors', async () => {
  for (const args of [['--help'], ['cp', '--help'], ['bench', '--help'], ['--version']]) {
    const { code, stdout, stderr } = await (args.length === 1 ? emmental : emmentalHere)(args);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout.length).toBeGreaterThan(0);
  }
  expect((await emmentalHere(['bench', '--help'])).stdout.toString()).toContain('--random_distribution');
});
