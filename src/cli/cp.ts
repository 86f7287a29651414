/**
 * `emmental cp SRC DST`: copies into, out of, within and between stores; holes stay holes.
 *
 * A file of a store appears under its name when it is complete: it is written under a temporary name and renamed, so that
 * a copy that fails leaves what was there. A host file is overwritten in place, as cp does.
 */
import { randomBytes } from 'node:crypto';
import { type FileHandle, open, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { Command } from 'commander';
import type { Store } from '../index.js';
import { type Place, parsePlace } from './address.js';
import { printJson } from './print.js';
import { bytesProgress } from './progress.js';
import { withFile, withStore } from './session.js';
import {
  copySparse,
  hostSink,
  hostSource,
  type Sink,
  type Source,
  storeSink,
  storeSource,
  streamSink,
  streamSource,
  writeFully,
} from './sparse-copy.js';
import { UsageError } from './usage-error.js';

export function registerCp(program: Command): void {
  program
    .command('cp')
    .description('copy a file; either side is DEVICE:NAME, a host path, or - for standard input or output')
    .argument('<src>')
    .argument('<dst>')
    .option('--json', 'print the result as JSON, unless the copy itself goes to standard output')
    .action(cp);
}

async function cp(src: string, dst: string, options: { json?: boolean }): Promise<void> {
  const from = parsePlace(src);
  const to = await completeTarget(parsePlace(dst), from);
  if (from.kind === 'store' && from.name === '') throw new UsageError(`'${src}' names no file; write DEVICE:NAME`);
  const bytes = await withSource(from, to, (source, store) =>
    withSink(to, store, async (sink) => {
      const progress = bytesProgress(basename(src), source.size);
      try {
        return await copySparse(source, sink, progress.advance);
      } finally {
        progress.stop();
      }
    }),
  );
  if (options.json && to.kind !== 'pipe') printJson({ from: src, to: dst, bytes });
}

/** A host directory, or a store without a name, gets the source's last name. */
async function completeTarget(to: Place, from: Place): Promise<Place> {
  const isDirectory = to.kind === 'host' && (await stat(to.path).catch(() => undefined))?.isDirectory() === true;
  if (!isDirectory && !(to.kind === 'store' && to.name === '')) return to;
  if (from.kind === 'pipe') throw new UsageError('standard input has no name; name the file to write');
  const name = basename(from.kind === 'store' ? from.name : from.path);
  return to.kind === 'store' ? { ...to, name } : { kind: 'host', path: join((to as { path: string }).path, name) };
}

/** Opens the source; hands the source's store on, when the target lies in the same one: a store opens once. */
async function withSource<T>(
  from: Place,
  to: Place,
  use: (source: Source, store: Store | undefined) => Promise<T>,
): Promise<T> {
  if (from.kind === 'pipe') return use(streamSource(process.stdin), undefined);
  if (from.kind === 'host') {
    return withHandle(await open(from.path, 'r'), async (handle) => {
      const stats = await handle.stat();
      return use(hostSource(handle, stats.isFile() ? stats.size : undefined), undefined);
    });
  }
  const inSameStore = to.kind === 'store' && to.device === from.device;
  return withStore(from.device, { readOnly: !inSameStore }, (store) =>
    withFile(store, from.name, 'r', async (file) =>
      use(storeSource(file, (await file.stat()).size), inSameStore ? store : undefined),
    ),
  );
}

async function withSink<T>(to: Place, store: Store | undefined, use: (sink: Sink) => Promise<T>): Promise<T> {
  if (to.kind === 'store') {
    const into = (target: Store) => replaceFile(target, to.name, use);
    return store === undefined ? withStore(to.device, {}, into) : into(store);
  }
  if (to.kind === 'pipe') return use(streamSink(writeToStdout));
  return withHandle(await open(to.path, 'w'), async (handle) => {
    const isFile = (await handle.stat()).isFile();
    return use(isFile ? hostSink(handle) : streamSink((bytes) => writeFully(handle, bytes, null)));
  });
}

/** Ends when the bytes are taken, so that the caller may reuse them. */
function writeToStdout(bytes: Buffer): Promise<void> {
  return new Promise((resolve, reject) => {
    process.stdout.write(bytes, (error) => (error ? reject(error) : resolve()));
  });
}

async function withHandle<T>(handle: FileHandle, use: (handle: FileHandle) => Promise<T>): Promise<T> {
  try {
    return await use(handle);
  } finally {
    await handle.close();
  }
}

async function replaceFile<T>(store: Store, name: string, use: (sink: Sink) => Promise<T>): Promise<T> {
  // The name is checked before the copy, not at the rename after it.
  await store.exists(name);
  const temporary = `.emmental-cp-${randomBytes(6).toString('hex')}`;
  try {
    const result = await withFile(store, temporary, 'wx+', (file) => use(storeSink(file)));
    await store.rename(temporary, name);
    return result;
  } catch (error) {
    await store.unlink(temporary).catch(() => undefined);
    throw error;
  }
}
