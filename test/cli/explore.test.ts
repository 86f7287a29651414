/** `emmental explore` as a user runs it. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { readTables, scenarios } from '#dist/src/explore.js';
import { temporaryDirectory } from '../support/temporary.js';
import { emmental, emmentalHere } from './emmental.js';

const directory = temporaryDirectory();

test('says what a scheme breaks, and how to see it; a safe one breaks nothing', async () => {
  const args = ['explore', '--scheme=none,invalidate-lock', '--scenario=punch-read', '--unsafe'];
  const { code, stdout, stderr } = await emmental(args);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  const text = stdout.toString();
  expect(text).toMatch(/none .* \*\*stale\*\* `(\w+)`/);
  expect(text).toMatch(/invalidate-lock .* safe \d+/);
  const schedule = /--replay=(\S+)/.exec(text)![1];
  const replayed = await emmental(['explore', `--replay=${schedule}`]);
  expect(replayed.code).toBe(1);
  expect(replayed.stdout.toString()).toMatch(/punch:dropped .* src\/file\/punch\.ts:\d+/);
});

test('prints verdicts and replays as JSON', async () => {
  const args = [
    'explore',
    '--scheme=i-rwsem',
    '--scenario=punch-fault',
    '--strategy=random',
    '--schedules=20',
    '--json',
  ];
  const verdicts = JSON.parse((await emmentalHere(args)).stdout.toString());
  expect(verdicts).toMatchObject([{ scheme: 'i-rwsem', strategy: 'random', schedules: 20, failures: [] }]);
  const replayed = await emmentalHere(['explore', '--replay=1:i-rwsem:punch-fault:', '--json']);
  expect(JSON.parse(replayed.stdout.toString()).events[0]).toMatchObject({ step: 1, threadName: 'punch' });
});

test('writes a table of all schemes', async () => {
  const output = join(directory, 'table.md');
  const { code } = await emmentalHere([
    'explore',
    '--all',
    '--scenario=punch-read',
    '--preemptions=1',
    `--output=${output}`,
  ]);
  expect(code).toBe(0);
  const cells = readTables(readFileSync(output, 'utf8'));
  expect(cells.find(({ scheme }) => scheme === 'none')?.text).toMatch(/^\*\*stale\*\*/);
  expect(cells.find(({ scheme }) => scheme === 'i-rwsem')?.text).toMatch(/^safe \d+/);
});

test.each([
  ['--scheme=nosuch', "unknown scheme 'nosuch'; there are invalidate-lock, "],
  ['--scenario=nosuch', `unknown scenario 'nosuch'; there are ${scenarios[0].name}, `],
  ['--scheme=none', "scheme 'none' is not safe: "],
  ['--replay=0:none:punch-read:A', 'of version 0, and this is version 1'],
  ['--replay=1:none:nosuch:A', "unknown scenario 'nosuch'"],
  ['--strategy=some', 'It must be exhaustive or random'],
  ['--preemptions=x', 'It must be a whole number'],
])('%s is refused in one line', async (arg, message) => {
  const { code, stderr } = await emmentalHere(['explore', arg]);
  expect(stderr).toMatch(/^emmental: .*\n$/);
  expect(stderr).toContain(message);
  expect(code).toBe(2);
});

test('draws a schedule as a page, and only one schedule', async () => {
  const html = join(directory, 'schedule.html');
  const { code, stdout } = await emmentalHere(['explore', '--replay=1:none:punch-read:A5B', `--html=${html}`]);
  expect(code).toBe(1);
  expect(stdout.toString()).toMatch(/schedule\.html: stale: /);
  expect(readFileSync(html, 'utf8')).toMatch(/^<!DOCTYPE html>[\s\S]*punch-read under none[\s\S]*<\/html>\n$/);
  const refused = await emmental(['explore', '--scenario=punch-read', `--html=${html}`]);
  expect(refused.code).toBe(2);
  expect(refused.stderr).toContain('--html shows one schedule');
});
