// Bundles compiled entries: the package's, those of threads and of the command. What loads a few files starts in a third of the
// time that it takes to load two hundred.
import { chmodSync } from 'node:fs';
import { join } from 'node:path';
import { rolldown } from 'rolldown';

/** The package's own entries, but for the laboratory. */
const ENTRIES = ['index', 'worker', 'nbd', 'access-handle', 'chunk-store', 'random-access-storage', 'wa-sqlite'];

/** Into `dist/src/entry/`, where paths such as `../../workers` lead from every module to the same place. */
export async function bundle(root) {
  const dist = join(root, 'dist');
  const entries = Object.fromEntries(ENTRIES.map((name) => [`src/entry/${name}`, join(dist, `src/${name}.js`)]));
  // A user's job shares modules with the thread that calls it; and all have one class of errors with the laboratory, which
  // tells the engine's own lines from each other by the modules that they stand in, and so stays as it is.
  await write(dist, { ...entries, 'workers/job': join(dist, 'workers/job.js') }, 'src/entry', /\/errors\.js$/);
  await bundleInPlace(join(dist, 'workers'), ['service', 'load', 'nbd-device', 'scheme']);
  // What the laboratory's command shares with the others: the signal that came, the class of wrong usage.
  await bundleInPlace(join(dist, 'src/cli'), ['main'], /\/(explore|interruption|usage-error)\.js$/);
  chmodSync(join(dist, 'src/cli/main.js'), 0o755);
}

/** What they share goes beside them, so that paths from there stay right. */
function bundleInPlace(dir, names, kept) {
  return write(dir, Object.fromEntries(names.map((name) => [name, join(dir, `${name}.js`)])), '.', kept);
}

async function write(dir, input, shared, kept) {
  const bundle = await rolldown({ input, external: (id) => /^[^./]/.test(id) || kept?.test(id), platform: 'node' });
  await bundle.write({ dir, entryFileNames: '[name].js', chunkFileNames: join(shared, 'shared-[hash].js') });
}
