import { execFile } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { temporaryDirectory } from '../support/temporary.js';

const MAIN = fileURLToPath(new URL('../../dist/bench/micro/main.js', import.meta.url));
const directory = temporaryDirectory();

/** Two calls per case show that the suites work, not how fast anything is; on a busy machine that takes a minute. */
const TIMEOUT_MS = 240_000;

test(
  'every micro-benchmark runs, and tells its ratios',
  async () => {
    const { stdout, stderr } = await promisify(execFile)(process.execPath, [MAIN, '--quick'], {
      env: { ...process.env, TMPDIR: directory },
    });
    expect(stderr).toBe('');
    const claims = stdout.match(/^(ok {3}|MISS )\S.*$/gm) ?? [];
    for (const subject of [
      'read hit',
      'File.read',
      'rwsem shared',
      'lookup among',
      'reserve',
      'createReadStream',
      'opening a sparse image',
    ]) {
      expect(claims.some((line) => line.includes(subject))).toBe(true);
    }
    if (!stdout.includes('device: skipped')) expect(claims.some((line) => line.includes('4 KiB miss'))).toBe(true);
    expect(readdirSync(directory)).toEqual([]);
  },
  TIMEOUT_MS,
);
