/**
 * Runs the command once more, in a process whose caches lie in huge pages: a process can only be started like that.
 *
 * The other process has our standard streams. It is no part of our process group, so that a signal from the terminal comes
 * to it once, from us: the second one would end it before it has closed its store. When we end, it ends.
 */
import { spawn } from 'node:child_process';
import { HUGE_FROM_BYTES } from '../../src/device/huge-pages.js';
import { hugePagesEnvironment } from '../../src/index.js';
import type { Plan } from './plan.js';

/** Whether that is wanted, and the cache large enough. */
export function gainsFromHugePages({ run }: Plan): boolean {
  return run.hugepages && run.cache >= HUGE_FROM_BYTES;
}

/**
 * False at once where there is nothing to gain: the caller goes on. Else true when the other process has ended, and its exit
 * code is that of this process, or 1 where a signal ended it.
 */
export async function restartWithHugePages(interruption?: AbortSignal): Promise<boolean> {
  const variables = hugePagesEnvironment();
  if (variables === null) return false;
  const child = spawn(process.execPath, [...process.execArgv, ...process.argv.slice(1)], {
    stdio: 'inherit',
    detached: true,
    env: { ...process.env, ...variables },
  });
  const forward = () => child.kill('SIGINT');
  const end = () => child.kill('SIGKILL');
  interruption?.addEventListener('abort', forward);
  process.on('exit', end);
  try {
    process.exitCode = await new Promise<number>((resolve, reject) => {
      child.on('error', reject);
      child.on('exit', (code) => resolve(code ?? 1));
    });
    return true;
  } finally {
    interruption?.removeEventListener('abort', forward);
    process.off('exit', end);
  }
}
