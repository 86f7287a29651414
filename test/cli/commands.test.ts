import { randomBytes } from 'node:crypto';
import { copyFileSync, existsSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { openStore, type Store } from '#dist/src/index.js';
import { temporaryDirectory } from '../support/temporary.js';
import { emmental, emmentalHere, type Outcome } from './emmental.js';

const MIB = 1024 * 1024;
const directory = temporaryDirectory(true);
const image = join(directory, 'disk.img');
let sparse: Buffer;

const ranAlone = new Set<string>();

/** A command's first run is a process, as a user's is; its later ones are done here. */
function ran(args: string[]): Promise<Outcome> {
  const [name] = args;
  if (ranAlone.has(name)) return emmentalHere(args);
  ranAlone.add(name);
  return emmental(args);
}

async function done(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await ran(args);
  expect({ args, code, stderr }).toEqual({ args, code: 0, stderr: '' });
  return stdout.toString();
}

async function json<T>(...args: string[]): Promise<T> {
  return JSON.parse(await done(...args, '--json')) as T;
}

async function failed(message: string, ...args: string[]): Promise<void> {
  fails(message, await ran(args));
}

function fails(message: string, { code, stderr }: Outcome): void {
  expect(stderr).toMatch(/^emmental: .*\n$/);
  expect(stderr).toContain(message);
  expect(code).toBe(1);
}

interface Stat {
  size: number;
  allocatedBytes: number;
  extents: { position: number; length: number }[];
}

/** A command takes a process with threads; what only prepares or looks is done in one go, here. */
async function inStore<T>(path: string, use: (store: Store) => Promise<T>): Promise<T> {
  const store = await openStore(path, { cacheBytes: 32 * MIB, threads: 2 });
  try {
    return await use(store);
  } finally {
    await store.close();
  }
}

async function write(store: Store, name: string, content: Buffer | string): Promise<void> {
  const file = await store.open(name, 'w');
  await file.writeFile(content);
  await file.close();
}

async function read(store: Store, name: string): Promise<Buffer> {
  const file = await store.open(name);
  const content = await file.readFile();
  await file.close();
  return Buffer.from(content);
}

beforeAll(async () => {
  // Data at both ends, and 6 MiB of zeros between them.
  sparse = Buffer.alloc(8 * MIB + 123);
  randomBytes(MIB).copy(sparse);
  randomBytes(MIB + 123).copy(sparse, 7 * MIB);
  await done('format', image, '--size', '128M', '--label', 'test');
});

test('format makes a sparse file of that size, and keeps its hands off what is there', async () => {
  expect(statSync(image).size).toBe(128 * MIB);
  expect(statSync(image).blocks * 512).toBeLessThan(16 * MIB);
  await failed('EEXIST', 'format', image);
  const info = await json<{ blockBytes: number; blocks: number; files: number }>('info', image);
  expect(info).toMatchObject({ blockBytes: 4096, blocks: (128 * MIB) / 4096, files: 0 });
  expect(await done('info', image)).toContain('128 MiB');
});

test('format takes the size of the journal, info shows it, and what is in it is told and not touched', async () => {
  const open = join(directory, 'open.img');
  const copy = join(directory, 'cut.img');
  expect(await done('format', open, '--size', '64M', '--journal', '6M')).toMatch(/Journal: +6.00 MiB\n/);
  await failed('the least is 80 blocks', 'format', join(directory, 'none.img'), '--size', '64M', '--journal', '64K');
  await inStore(open, async (store) => {
    await write(store, 'kept', 'what a power cut must not take');
    await store.sync();
    copyFileSync(open, copy);
  });
  const before = readFileSync(copy);
  const { journal } = await json<{ journal: { sizeBytes: number; recovered: number } }>('info', copy);
  expect(journal.sizeBytes).toBe(6 * MIB);
  expect(journal.recovered).toBeGreaterThan(0);
  expect(await done('info', copy)).toContain(`6.00 MiB (transactions to replay: ${journal.recovered})`);
  expect(await done('check', copy)).toContain(`not closed; replayed in memory only: ${journal.recovered}`);
  expect(readFileSync(copy).equals(before)).toBe(true);
  expect(await inStore(copy, (store) => read(store, 'kept'))).toEqual(Buffer.from('what a power cut must not take'));
});

test('a file goes in and out with its holes', async () => {
  const host = join(directory, 'sparse.bin');
  const back = join(directory, 'back.bin');
  writeFileSync(host, sparse);
  expect(await json('cp', host, `${image}:data/sparse`)).toMatchObject({ bytes: sparse.length });
  const stat = await json<Stat>('stat', `${image}:data/sparse`);
  expect(stat.size).toBe(sparse.length);
  expect(stat.allocatedBytes).toBeLessThan(3 * MIB);
  expect(stat.extents[0].position).toBe(0);
  await done('cp', `${image}:data/sparse`, back);
  expect(readFileSync(back).equals(sparse)).toBe(true);
  expect(statSync(back).blocks * 512).toBeLessThan(3 * MIB);
  expect(await done('stat', `${image}:data/sparse`)).toMatch(/position.*device.*length/);
});

test('pipes carry a file in and out', async () => {
  const piped = await emmental(['cp', '-', `${image}:piped`], { input: sparse });
  expect({ code: piped.code, stderr: piped.stderr }).toEqual({ code: 0, stderr: '' });
  expect((await inStore(image, (store) => store.stat('piped'))).size).toBe(sparse.length);
  const { code, stdout } = await emmental(['cp', `${image}:piped`, '-']);
  expect(code).toBe(0);
  expect(stdout.equals(sparse)).toBe(true);
});

test('copies within a store and between stores', async () => {
  const other = join(directory, 'other.img');
  await done('format', other, '--size', '64M');
  await inStore(image, (store) => write(store, 'twin', 'something to be replaced'));
  await done('cp', `${image}:piped`, `${image}:twin`);
  await done('cp', `${image}:twin`, `${other}:`);
  const [content, { allocatedBytes }] = await inStore(other, async (store) => [
    await read(store, 'twin'),
    await (await store.open('twin')).stat(),
  ]);
  expect(content.equals(sparse)).toBe(true);
  expect(allocatedBytes).toBeLessThan(3 * MIB);
  expect(await done('check', other)).toBe(`${other}: clean\n`);
});

test('ls, mv, rm', async () => {
  await inStore(image, async (store) => {
    for (const name of ['ls/b', 'ls/a', 'ls/é', 'ls/c:d']) await write(store, name, name);
  });
  expect(await done('ls', image, 'ls/')).toBe('ls/a\nls/b\nls/c:d\nls/é\n');
  await done('mv', `${image}:ls/a`, 'ls/z');
  await done('mv', `${image}:ls/b`, `${image}:ls/é`);
  const entries = await json<{ name: string; size: number }[]>('ls', image, 'ls/');
  expect(entries.map(({ name, size }) => [name, size])).toEqual([
    ['ls/c:d', 6],
    ['ls/z', 4],
    ['ls/é', 4],
  ]);
  expect((await inStore(image, (store) => read(store, 'ls/é'))).toString()).toBe('ls/b');
  await done('rm', `${image}:ls/z`, `${image}:ls/c:d`, `${image}:ls/é`);
  expect(await done('ls', image, '--long')).toMatch(/^( +\d+ +\d+ +\d+ \d{4}-\d\d-\d\dT[\d:]+Z [^l].*\n)+$/);
});

test('truncate and punch', async () => {
  await done('truncate', `${image}:grown`, '1M', '--create');
  await done('punch', `${image}:piped`, '4k', '1016k');
  await inStore(image, async (store) => {
    expect(await store.stat('grown')).toMatchObject({ size: MIB, allocatedBytes: 0 });
    const file = await store.open('piped');
    expect((await file.extents())[0]).toMatchObject({ position: 0, length: 4096 });
    await file.close();
    expect((await read(store, 'piped')).equals(Buffer.from(sparse).fill(0, 4096, MIB - 4096))).toBe(true);
  });
});

test('what cannot be done is said in one line, and changes nothing', async () => {
  const missing = join(directory, 'missing.img');
  const foreign = join(directory, 'foreign.img');
  writeFileSync(foreign, Buffer.alloc(MIB));
  await failed('ENOENT', 'info', missing);
  await failed('no Emmental store', 'ls', foreign);
  await failed('ENOENT', 'cp', `${image}:nosuch`, '-');
  await failed('ENOENT', 'truncate', `${image}:nosuch`, '1k');
  await failed('ENOENT', 'mv', `${image}:nosuch`, 'x');
  await failed('ENAMETOOLONG', 'cp', `${image}:grown`, `${image}:${'x'.repeat(256)}`);
  await failed('ENOENT', 'cp', join(directory, 'nosuch'), `${image}:x`);
  expect(existsSync(missing)).toBe(false);
  await inStore(image, async () => fails('EBUSY', await emmental(['rm', `${image}:grown`])));
  expect(await done('check', image)).toBe(`${image}: clean\n`);
});

test('a copy that does not fit leaves the old file, and a clean store', async () => {
  const small = join(directory, 'small.img');
  await done('format', small, '--size', '16M');
  await inStore(small, (store) => write(store, 'file', 'old'));
  const { code, stderr } = await emmental(['cp', '-', `${small}:file`], { input: randomBytes(32 * MIB) });
  expect(stderr).toContain('ENOSPC');
  expect(code).toBe(1);
  expect((await inStore(small, (store) => read(store, 'file'))).toString()).toBe('old');
  expect(await done('ls', small)).toBe('file\n');
  expect(await done('check', small)).toBe(`${small}: clean\n`);
});

test('check finds what is wrong, and says so with exit code 1', async () => {
  const broken = join(directory, 'broken.img');
  await done('format', broken, '--size', '16M');
  const bytes = readFileSync(broken);
  bytes[4096 + 100] ^= 1; // in the first bitmap
  writeFileSync(broken, bytes);
  const { code, stdout } = await emmental(['check', broken, '--json']);
  expect(code).toBe(1);
  const report = JSON.parse(stdout.toString()) as { clean: boolean; errors: { message: string }[] };
  expect(report.clean).toBe(false);
  expect(report.errors.length).toBeGreaterThan(0);
  truncateSync(broken, 8 * MIB);
  expect((await ran(['check', broken])).code).toBe(1);
});
