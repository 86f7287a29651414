import { execFile } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { temporaryDirectory } from '../support/temporary.js';

const MAIN = fileURLToPath(new URL('../../dist/bench/durability/main.js', import.meta.url));
const directory = temporaryDirectory(true);

/** A few calls show that it works, not what anything costs. */
const PARTS = ['sync', 'shared', 'create', 'recovery', 'price'];

test('the parts of the benchmark of durability run, tell what they are held to, and clean up', async () => {
  const { stdout, stderr } = await promisify(execFile)(process.execPath, [MAIN, '--quick', ...PARTS], {
    env: { ...process.env, TMPDIR: directory },
  });
  expect(stderr).toBe('');
  if (!stdout.startsWith('skipped: ')) {
    const claims = stdout.match(/^(ok {3}|MISS )\S.*$/gm) ?? [];
    for (const subject of [
      'sync after 4 KiB over old ones',
      'sync after 4 KiB at the end',
      '2 threads sync',
      '500 files with names in no order',
      'MiB of journal',
      'a commit every 25 ms',
    ]) {
      expect(claims.filter((line) => line.includes(subject))).toHaveLength(1);
    }
    const replayed = /(\d+) transactions to replay/.exec(stdout)?.[1];
    expect(Number(replayed)).toBeGreaterThan(1);
  }
  expect(readdirSync(directory)).toEqual([]);
});
