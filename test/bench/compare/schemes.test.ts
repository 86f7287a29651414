/** The benchmarks that take the schemes apart, short: that they work, and what does not hang on how fast the machine is. */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { measureHalves } from '#dist/bench/compare/halves.js';
import { createStore } from '#dist/src/index.js';
import { temporaryDirectory } from '../../support/temporary.js';

const MIB = 1024 * 1024;
const SCALING = fileURLToPath(new URL('../../../dist/bench/compare/scaling.js', import.meta.url));
const directory = temporaryDirectory(true);

test('under range-lock no fill of one half of a file waits for the punches of the other half', async () => {
  const image = join(directory, 'halves.img');
  await createStore(image, { sizeBytes: 256 * MIB });
  const apart = await measureHalves(image, 'range-lock', 1, 300);
  expect(apart.fills).toBeGreaterThan(5);
  expect(apart.punches).toBeGreaterThan(5);
  expect(apart.waits).toBe(0);
  // Far from what it is, as the machine may be busy; docs/benchmarks.md has the figure.
  expect(apart.stormP50).toBeLessThan(10 * apart.calmP50);
  const together = await measureHalves(image, 'invalidate-lock', 1, 300);
  expect(together.waits).toBeGreaterThan(0);
});

test('schemes are measured over numbers of threads', async () => {
  const args = [SCALING, '--scheme=invalidate-lock,optimistic', '--threads=1,2', '--runtime=0.05'];
  const { stdout, stderr } = await promisify(execFile)(process.execPath, args, {
    env: { ...process.env, TMPDIR: directory },
  });
  expect(stderr).toBe('');
  for (const scheme of ['invalidate-lock', 'optimistic']) {
    expect(stdout.match(new RegExp(`${scheme} .*[\\d.]+[kM]? `, 'g'))?.length).toBe(2);
  }
});
