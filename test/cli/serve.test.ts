/** `emmental serve`, from its start to a clean end by a signal. */
import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { checkStore, createStore, openStore } from '#dist/src/index.js';
import { Option } from '#dist/src/nbd/constants.js';
import { RawClient } from '../adapters/nbd/raw-client.js';
import { temporaryDirectory } from '../support/temporary.js';
import { emmental, MAIN } from './emmental.js';

const MIB = 1024 * 1024;
const directory = temporaryDirectory(true);
const image = join(directory, 'disk.img');
const socket = join(directory, 'nbd.sock');

beforeAll(async () => {
  await createStore(image, { sizeBytes: 64 * MIB });
  const store = await openStore(image, { cacheBytes: 16 * MIB, threads: 2 });
  for (const name of ['a', 'b', 'c:d']) {
    const file = await store.open(name, 'w');
    await file.truncate(4 * MIB);
    await file.close();
  }
  await store.close();
});

/** Resolves when the server says that it serves. */
function served(args: string[]): Promise<{ child: ChildProcess; uri: string; ended: Promise<string | number | null> }> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [MAIN, 'serve', ...args], { stdio: ['ignore', 'ignore', 'pipe'] });
    const ended = new Promise<string | number | null>((settle) => {
      child.once('close', (code, signal) => settle(signal ?? code));
    });
    let said = '';
    child.stderr.on('data', (chunk: Buffer) => {
      said += chunk.toString();
      const [, uri] = /^emmental: serving (\S+)\n/m.exec(said) ?? [];
      if (uri !== undefined) resolve({ child, uri, ended });
    });
    void ended.then(() => reject(new Error(said)));
  });
}

test('serves the named files, keeps what was written, and leaves a clean store when told to stop', async () => {
  const { child, uri, ended } = await served([`${image}:a`, 'c:d', `--socket=${socket}`, '--cache=16M', '--threads=2']);
  expect(uri).toContain(encodeURIComponent(socket));
  const client = await RawClient.connect(socket);
  await client.greet();
  expect((await client.option(Option.List)).slice(0, -1).map(({ data }) => data.subarray(4).toString())).toEqual([
    'a',
    'c:d',
  ]);
  client.close();
  const writer = await RawClient.connect(socket);
  await writer.enter('c:d');
  expect((await writer.write(1, MIB, Buffer.from('through the network'))).error).toBe(0);
  child.kill('SIGTERM');
  expect(await ended).toBe('SIGTERM');
  expect(await checkStore(image)).toMatchObject({ clean: true, errors: [] });
  const { stdout } = await emmental(['cp', `${image}:c:d`, '-']);
  expect(stdout.subarray(MIB, MIB + 19).toString()).toBe('through the network');
});

test('listens on loopback, read-only, with all files', async () => {
  const { child, uri, ended } = await served([
    image,
    '--listen=localhost:0',
    '--read-only',
    '--cache=16M',
    '--threads=2',
  ]);
  expect(uri).toMatch(/^nbd:\/\/(127\.0\.0\.1|\[::1\]):\d+$/);
  child.kill('SIGINT');
  expect(await ended).toBe('SIGINT');
});

test('refuses what makes no sense', async () => {
  const refusals: [code: number, said: RegExp, ...args: string[]][] = [
    [1, /EACCES.*TLS with client certificates/, image, '--listen=0.0.0.0:0'],
    [1, /ENOENT/, `${image}:nothing`, `--socket=${socket}`],
    [2, /HOST:PORT/, image, '--listen=localhost'],
    [2, /TLS takes all of/, image, '--tls-key=x'],
    [2, /cannot be used with/, image, '--listen=localhost:0', `--socket=${socket}`],
  ];
  for (const [code, said, ...args] of refusals) {
    const answer = await emmental(['serve', ...args, '--threads=2']);
    expect({ args, code: answer.code, said: answer.stderr }).toEqual({ args, code, said: expect.stringMatching(said) });
    expect(answer.stderr.trim().split('\n').length).toBe(1);
  }
});
