/** Runs every program under examples/, and compares what it prints with what it says that it prints. */
import { execFile } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';
import { temporaryDirectory } from './support/temporary.js';

/** Its own test holds it against the README too: test/docs/readme.test.ts. */
const TESTED_ELSEWHERE = ['readme.mjs'];
const working = temporaryDirectory(true);
const directory = fileURLToPath(new URL('../examples/', import.meta.url));
const run = promisify(execFile);

/** What is known of the output beyond the comments. */
const EXPECTED: Record<string, RegExp> = {
  'basics.mjs': /^line\nlogs\/2026\/11 23\n$/,
  'workers.mjs': /^\[ 1, 2, 3, 4 \]\n$/,
  'pin.mjs': /^HELLO false\n$/,
  'holes.mjs': /^1099512676352 917504\n1099511627776 1099511693312\n(\d+ \d+\n){2,}$/,
  'access-handle.mjs': /^24 Storage\n16 InvalidStateError\n$/,
  'chunks.mjs': /^piece 65536\n65536 32768\n$/,
  'explore.mjs': /^invalidate-lock 0\nnone stale\ntrue\n$/,
  'events.mjs': /^fill 3 1\ninvalidation 4 8\n1\n$/,
  'streams.mjs': /^210000\n210000 true\n$/,
  'sqlite.mjs': /^2 second\n\[ 'databases\/notes' \]\n$/,
  'nbd.mjs': /^nbd\+unix:\/\/\/\?socket=nbd\.sock\n18 16384\n$/,
  'compare-schemes.mjs':
    /^invalidate-lock: \d+ reads beside \d+ writes\ni-rwsem: \d+ reads beside \d+ writes\n([a-z0-9-]+: \d+ reads beside \d+ writes\n)*$/,
};

it('knows all examples', () => {
  expect(readdirSync(directory).sort()).toEqual([...Object.keys(EXPECTED), ...TESTED_ELSEWHERE].sort());
});

it('has an example of every public entry', () => {
  const { name, exports } = JSON.parse(readFileSync(`${directory}../package.json`, 'utf8')) as {
    name: string;
    exports: Record<string, unknown>;
  };
  const sources = readdirSync(directory).map((file) => readFileSync(`${directory}${file}`, 'utf8'));
  for (const entry of Object.keys(exports).filter((path) => path !== './package.json')) {
    const specifier = `'${name}${entry.slice(1)}'`;
    expect(
      sources.some((source) => source.includes(`from ${specifier}`)),
      specifier,
    ).toBe(true);
  }
});

it.each(Object.keys(EXPECTED))('%s', async (name) => {
  const { stdout, stderr } = await run(process.execPath, [`${directory}${name}`], { cwd: working, timeout: 30_000 });
  expect(stderr).toBe('');
  expect(stdout).toMatch(EXPECTED[name]);
  expect(readdirSync(working)).toEqual([]);
  const source = readFileSync(`${directory}${name}`, 'utf8');
  for (const [, said] of source.matchAll(/console\.log\(.*\); \/\/ (.+)$/gm)) expect(stdout).toContain(said);
});
