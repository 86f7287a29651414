/** Where the run's bundles of thread scripts are (bundle-threads.ts). */
import { inject } from 'vitest';

/** The URL of the bundle of a script, by its name without the folder. */
export function bundledThread(name: string): URL {
  return new URL(`${inject('threads')}/${name}.js`);
}
