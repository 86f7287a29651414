/** The sabotages of scripts/sabotages.mjs: each can still be done, names what exists, and one of them is done and noticed. */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { scenarioByName } from '#dist/src/explore.js';
import { schemeByName } from '#dist/src/locking/schemes.js';
import { editedFiles } from '../../scripts/edited-files.mjs';
import { SABOTAGES } from '../../scripts/sabotages.mjs';

const ROOT = resolve(import.meta.dirname, '../..');
const FOLDERS = ['allocator', 'file', 'inode', 'journal', 'locking', 'pagecache', 'sync'];

function check(...names: string[]): { status: number | null; output: string } {
  const args = [join(ROOT, 'scripts/mutation-check.mjs'), ...names];
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { cwd: ROOT, encoding: 'utf8' });
  return { status, output: stdout + stderr };
}

describe('each sabotage', () => {
  it.each(SABOTAGES.map((sabotage) => [sabotage.name, sabotage] as const))('%s can be done', (_, sabotage) => {
    const files = editedFiles(ROOT, sabotage.edits);
    for (const file of files.keys()) expect(file).toMatch(/^src\/[a-z]+\/[\w-]+\.ts$/);
    expect((sabotage.explore ?? []).length + (sabotage.tests ?? []).length).toBeGreaterThan(0);
    for (const cell of sabotage.explore ?? []) {
      const [scenario, scheme = 'invalidate-lock'] = cell.split(' under ');
      expect(scenarioByName(scenario), cell).toBeDefined();
      expect(schemeByName(scheme)?.safe, cell).toBe(true);
    }
    for (const path of sabotage.tests ?? []) expect(existsSync(join(ROOT, path)), path).toBe(true);
  });

  it('has a name of its own, and none breaks the laboratory that looks for it', () => {
    expect(new Set(SABOTAGES.map(({ name }) => name)).size).toBe(SABOTAGES.length);
    const touched = new Set(SABOTAGES.flatMap(({ edits }) => edits.map(([file]) => file.split('/')[1])));
    expect([...touched].sort()).toEqual(FOLDERS);
  });

  it('is refused where its text is not there, or more than once', () => {
    expect(() => editedFiles(ROOT, [['src/file/read.ts', 'no such text', '']])).toThrow(
      'src/file/read.ts: this is there 0 times, not once',
    );
    expect(() => editedFiles(ROOT, [['src/file/read.ts', 'guard.leave', '']])).toThrow('this is there 2 times');
  });
});

it('a sabotage is done to a copy, compiled, and found', () => {
  const { status, output } = check('ranges-overlap-by-more');
  expect(output).toMatch(/`ranges-overlap-by-more`.*\| punch-read under range-lock \| stale `/);
  expect(output).toMatch(/1 of 1 caught: 1 by scenarios, 0 by tests/);
  expect(status).toBe(0);
}, 180_000);

it('a sabotage that does not exist is named, with those that do', () => {
  const { status, output } = check('read-nothing');
  expect(status).toBe(2);
  expect(output).toMatch(/no sabotage read-nothing; there are read-fills-unlocked, /);
});
