/** The socket by which another process watches a store: where it is, what it answers, and that nothing about it hurts the store. */
import { chmodSync, existsSync, lstatSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createStore, monitorSocketPath, openStore, type Snapshot, type Store } from '#dist/src/index.js';
import { temporaryDirectory } from '../support/temporary.js';

const MIB = 1024 * 1024;
const directory = temporaryDirectory(true);
const image = join(directory, 'watched.img');
const runtime = join(directory, 'run');
const ownRuntime = process.env.XDG_RUNTIME_DIR;
const OPTIONS = { cacheBytes: 4 * MIB, threads: 2, monitor: true };

let warnings: string[] = [];
const onWarning = (warning: Error) => warnings.push(warning.message);

beforeEach(async () => {
  process.env.XDG_RUNTIME_DIR = runtime;
  mkdirSync(runtime, { recursive: true });
  if (!existsSync(image)) await createStore(image, { sizeBytes: 32 * MIB });
  warnings = [];
  process.on('warning', onWarning);
});

afterEach(() => {
  process.off('warning', onWarning);
  // The next test file runs in this process, too.
  if (ownRuntime === undefined) delete process.env.XDG_RUNTIME_DIR;
  else process.env.XDG_RUNTIME_DIR = ownRuntime;
  rmSync(runtime, { recursive: true, force: true });
});

async function withStore(use: (store: Store, socket: string) => Promise<void>): Promise<void> {
  const store = await openStore(image, OPTIONS);
  try {
    await use(store, monitorSocketPath(image));
  } finally {
    await store.close();
  }
}

function answerTo(socket: Socket, question: string): Promise<Snapshot> {
  return new Promise((resolve, reject) => {
    let text = '';
    socket.on('data', (bytes) => {
      text += bytes.toString();
      if (text.endsWith('\n')) resolve(JSON.parse(text) as Snapshot);
    });
    socket.once('close', () => reject(new Error('closed')));
    socket.write(question);
  });
}

const warned = () => new Promise<string[]>((resolve) => setTimeout(() => resolve(warnings), 50));

test('answers the user alone, with what the store counts', async () => {
  await withStore(async (store, socket) => {
    expect(lstatSync(socket).mode & 0o777).toBe(0o600);
    expect(lstatSync(dirname(socket)).mode & 0o777).toBe(0o700);
    const alias = join(directory, 'alias.img');
    symlinkSync(image, alias);
    expect(monitorSocketPath(alias)).toBe(socket);
    rmSync(alias);

    const file = await store.open('a', 'w+');
    await file.writeFile(Buffer.alloc(8192));
    await file.punchHole(0, 4096);
    const client = connect({ path: socket });
    const { device, pid, stats, openMs } = await answerTo(client, '\n');
    expect({ device, pid, punches: stats.punches }).toEqual({ device: image, pid: process.pid, punches: 1 });
    expect(openMs).toBeGreaterThan(0);
    expect((await store.stats()).punches).toBe(1);
    const closed = new Promise((resolve) => client.once('close', resolve));
    await file.close();
    await store.close();
    await closed;
    expect(existsSync(socket)).toBe(false);
  });
});

test('nobody listens where nobody asked', async () => {
  const store = await openStore(image, { ...OPTIONS, monitor: false });
  expect(existsSync(monitorSocketPath(image))).toBe(false);
  await store.close();
});

test('what a killed process left is replaced', async () => {
  const socket = monitorSocketPath(image);
  mkdirSync(dirname(socket), { recursive: true, mode: 0o700 });
  // A server that closes removes its socket, so this one stays open, under another name.
  const old = createServer().listen({ path: socket });
  await new Promise((resolve) => old.once('listening', resolve));
  await withStore(async () => {
    const { stats } = await answerTo(connect({ path: socket }), 'anything\n');
    expect(stats.scheme).toBe('invalidate-lock');
    expect(await warned()).toEqual([]);
  });
  old.close();
});

test.each([
  ['others could reach the directory', (socket: string) => chmodSync(dirname(socket), 0o755)],
  ['a file has its name', (socket: string) => writeFileSync(socket, 'mine')],
])('a warning, and a store that works: %s', async (_why, spoil) => {
  const socket = monitorSocketPath(image);
  mkdirSync(dirname(socket), { recursive: true, mode: 0o700 });
  spoil(socket);
  await withStore(async (store) => {
    expect(await warned()).toEqual([expect.stringContaining('cannot be watched')]);
    await (await store.open('b', 'w')).writeFile('works');
    expect((await store.stat('b')).size).toBe(5);
  });
  if (existsSync(socket)) expect(lstatSync(socket).isFile()).toBe(true);
});

test('a client that floods loses its connection, one that does not read is not written to', async () => {
  await withStore(async (store, socket) => {
    const flood = connect({ path: socket });
    flood.on('error', () => {});
    const gone = new Promise((resolve) => flood.once('close', resolve));
    flood.write('x'.repeat(64 * 1024));
    await gone;

    const deaf = connect({ path: socket }).pause();
    deaf.on('error', () => {});
    for (let i = 0; i < 2000; i++) deaf.write('\n');
    const hears = connect({ path: socket });
    expect((await answerTo(hears, '\n')).emmental).toBe(1);
    expect(await store.exists('none')).toBe(false);
    deaf.destroy();
    hears.destroy();
  });
});
