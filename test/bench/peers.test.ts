import { execFile } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { temporaryDirectory } from '../support/temporary.js';

const SCRIPT = fileURLToPath(new URL('../../bench/peers/durable-writes.mjs', import.meta.url));
const directory = temporaryDirectory(true);

test('durable writes are compared with the peers that are there, and the others are named', async () => {
  const { stdout } = await promisify(execFile)(process.execPath, [SCRIPT, '--quick'], {
    env: { ...process.env, TMPDIR: directory },
  });
  for (const name of ['emmental, datasync', 'emmental, sync', 'writeSync and fdatasyncSync']) {
    expect(stdout).toMatch(new RegExp(`^${name} +\\d+ µs, p99 +\\d+ µs, \\d+\\.\\d\\d times plain$`, 'm'));
  }
  for (const name of ['lmdb', 'better-sqlite3']) {
    expect(stdout).toMatch(
      new RegExp(`^${name}, .*(: left out, (not installed|needs Node 22)|\\d+ µs, .* times plain)$`, 'm'),
    );
  }
  expect(readdirSync(directory)).toEqual([]);
});
