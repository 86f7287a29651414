import { execFile } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { temporaryDirectory } from '../support/temporary.js';

const directory = temporaryDirectory(true);

async function quick(name: string): Promise<string> {
  const script = fileURLToPath(new URL(`../../bench/peers/${name}.mjs`, import.meta.url));
  const { stdout } = await promisify(execFile)(process.execPath, [script, '--quick'], {
    env: { ...process.env, TMPDIR: directory },
  });
  return stdout;
}

test('durable writes are compared with the peers that are there, and the others are named', async () => {
  const stdout = await quick('durable-writes');
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

test('SQLite on a store is compared with better-sqlite3 where that is there, in every journal mode', async () => {
  const stdout = await quick('sqlite');
  for (const journal of ['delete', 'truncate', 'persist', 'wal']) {
    expect(stdout.split('\n').filter((line) => line.includes(` | ${journal} | `))).toHaveLength(4);
  }
  expect(stdout).toMatch(/^\| a second \| journal mode \| emmental \| (better-sqlite3 \| )?wa-sqlite in memory \|$/m);
  expect(stdout).toMatch(/better-sqlite3( \||: left out, (not installed|needs Node 22)$)/m);
  expect(readdirSync(directory)).toEqual([]);
});
