/**
 * Bundles the scripts of the tests' threads, and of the process that a test kills again and again, into dist/test/, once for each run of the tests, before the first of them: a
 * thread that loads the engine as two hundred files takes longer to start than most tests take to run.
 */
import { existsSync, rmSync, statSync } from 'node:fs';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { rolldown } from 'rolldown';
import type { TestProject } from 'vitest/node';
import { bundle as bundleEntries } from '../../scripts/bundle.mjs';

const SCRIPTS = [
  'adapters/wa-sqlite/client',
  'allocator/alloc-jobs',
  'crash/kill-child',
  'crash/kill-thread',
  'crash/record-thread',
  'crash/recorder',
  'inode/size-jobs',
  'pagecache/cache-jobs',
  'stress/thread',
  'support/claimant',
  'support/remote-thread',
  'support/worker',
  'sync/lock-jobs',
];

declare module 'vitest' {
  export interface ProvidedContext {
    threads: string;
  }
}

export default async function bundleThreads({ provide }: TestProject): Promise<() => void> {
  const root = fileURLToPath(new URL('../..', import.meta.url));
  if (!areEntriesFresh(`${root}dist/src`)) await bundleEntries(root);
  // A folder of its own, because two runs may go on at once.
  const dir = `${root}dist/test/${process.pid}`;
  const input = Object.fromEntries(SCRIPTS.map((script) => [script.replace(/.*\//, ''), `${root}test/${script}.mjs`]));
  const bundle = await rolldown({ input, external: /^[^./]/, platform: 'node' });
  await bundle.write({ dir });
  provide('threads', pathToFileURL(dir).href);
  return () => rmSync(dir, { recursive: true, force: true });
}

/** Not after the compiler alone, which writes no bundles: those that are there are of what was compiled before. */
function areEntriesFresh(dir: string): boolean {
  const [compiled, bundled] = [`${dir}/index.js`, `${dir}/entry/index.js`];
  return existsSync(bundled) && statSync(bundled).mtimeMs >= statSync(compiled).mtimeMs;
}
