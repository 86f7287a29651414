/** `emmental top` beside a store that this process has open. */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { describeRates, ratesOf } from '#dist/src/cli/top-rates.js';
import { createStore, openStore, type Snapshot, type Store } from '#dist/src/index.js';
import { temporaryDirectory } from '../support/temporary.js';
import { emmental, MAIN } from './emmental.js';

const MIB = 1024 * 1024;
const SCRIPT = '/usr/bin/script';
const hasScript = existsSync(SCRIPT);
const directory = temporaryDirectory(true);
const image = join(directory, 'top.img');
const env = { XDG_RUNTIME_DIR: join(directory, 'run') };
const ownRuntime = process.env.XDG_RUNTIME_DIR;
let store: Store;

beforeAll(async () => {
  mkdirSync(env.XDG_RUNTIME_DIR);
  process.env.XDG_RUNTIME_DIR = env.XDG_RUNTIME_DIR;
  await createStore(image, { sizeBytes: 64 * MIB });
  store = await openStore(image, { cacheBytes: 16 * MIB, threads: 2, monitor: true });
  const file = await store.open('busy', 'w+');
  await file.writeFile(Buffer.alloc(MIB));
  await file.close();
});
afterAll(async () => {
  await store.close();
  // The next test file runs in this process, too.
  if (ownRuntime === undefined) delete process.env.XDG_RUNTIME_DIR;
  else process.env.XDG_RUNTIME_DIR = ownRuntime;
});

/** Until the function that it returns is called: reads, and now and then a punch. */
function busy(): () => Promise<void> {
  let ended = false;
  const work = (async () => {
    const file = await store.open('busy', 'r+');
    for (let i = 0; !ended; i++) {
      await file.read(Buffer.alloc(4096), 0, 4096, (i % 256) * 4096);
      if (i % 16 === 0) {
        await file.punchHole((i % 256) * 4096, 4096);
        await new Promise((resolve) => setTimeout(resolve, 1));
      }
    }
    await file.close();
  })();
  return () => {
    ended = true;
    return work;
  };
}

test('a line of JSON for scripts', async () => {
  const stop = busy();
  const { code, stdout, stderr } = await emmental(['top', image, '--once', '--json', '--interval=0.3'], { env });
  await stop();
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  const rates = JSON.parse(stdout.toString()) as ReturnType<typeof ratesOf>;
  expect(rates).toMatchObject({ device: image, pid: process.pid, scheme: 'invalidate-lock' });
  expect(rates.seconds).toBeGreaterThanOrEqual(0.25);
  expect(rates.perSecond.readHits).toBeGreaterThan(0);
  expect(rates.perSecond.punches).toBeGreaterThan(0);
});

test('plain text where there is no terminal, until the store is closed', async () => {
  const other = join(directory, 'short.img');
  await createStore(other, { sizeBytes: 32 * MIB });
  const short = await openStore(other, { cacheBytes: 4 * MIB, threads: 2, monitor: true });
  const child: ChildProcess = spawn(process.execPath, [MAIN, 'top', other, '--interval=0.1'], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let [stdout, stderr] = ['', ''];
  child.stderr!.on('data', (text: Buffer) => {
    stderr += text.toString();
  });
  await new Promise<void>((resolve) => {
    child.stdout!.on('data', (text: Buffer) => {
      stdout += text.toString();
      if (stdout.split('lock waits').length > 2) resolve();
    });
  });
  const ended = new Promise((resolve) => child.once('close', resolve));
  await short.close();
  expect(await ended).toBe(0);
  expect(stderr).toBe(`emmental: the store on ${other} was closed\n`);
  expect(stdout).toMatch(/^reads +0 hits\/s +0 misses\/s$/m);
  expect(stdout).not.toContain('\u001b');
});

test('says that nobody is to be watched', async () => {
  const { code, stderr } = await emmental(['top', join(directory, 'none.img')], { env });
  expect(code).toBe(1);
  expect(stderr).toMatch(/^emmental: nobody lets a store on \S+none\.img be watched; .*\n$/);
  expect((await emmental(['top', image, '--interval=0'], { env })).code).toBe(2);
});

test.skipIf(!hasScript).each([
  ['q', 'q'],
  ['Ctrl-C', '\u0003'],
])(`on a terminal, until %s${hasScript ? '' : ` (skipped: no ${SCRIPT})`}`, async (_name, key) => {
  const command = `${process.execPath} ${MAIN} top ${image} --interval=0.1`;
  const child = spawn(SCRIPT, ['-qec', command, '/dev/null'], { env: { ...process.env, ...env } });
  let screen = '';
  const shown = new Promise<void>((resolve) => {
    child.stdout.on('data', (text: Buffer) => {
      screen += text.toString();
      if (screen.includes('q: quit')) resolve();
    });
  });
  const ended = new Promise((resolve) => child.once('close', resolve));
  await shown;
  child.stdin.write(key);
  expect(await ended).toBe(0);
  // The other screen is left, the cursor is back.
  expect(screen.startsWith('\u001b[?1049h\u001b[?25l')).toBe(true);
  expect(screen.trimEnd().endsWith('\u001b[?25h\u001b[?1049l')).toBe(true);
});

test('rates are differences over the time between', () => {
  const stats = store.stats();
  const at = (openMs: number, more: Partial<typeof stats>): Snapshot => ({
    ...{ emmental: 1, device: '/dev/x', pid: 7, openMs },
    stats: { ...stats, ...more },
  });
  const waits = (n: number) => ({ ...stats.locks, i_rwsem: { waits: n, waitMs: 2 * n } });
  const rates = ratesOf(
    at(60_000, { hits: 1000, misses: 0, locks: waits(10) }),
    at(62_000, { hits: 3_001_000, misses: 1000, locks: waits(30) }),
  );
  expect(rates.perSecond).toMatchObject({ readHits: 1_500_000, readMisses: 500, lockWaits: 10 });
  expect(rates.locks).toEqual({ i_rwsem: { waitsPerSecond: 10, waitMsPerSecond: 20 } });
  const lines = describeRates(rates);
  expect(lines[0]).toBe('/dev/x: invalidate-lock, direct I/O, process 7, open for 1:02'.replace('direct', stats.io));
  expect(lines).toContain('reads           1,500,000 hits/s              500 misses/s  100.0%');
  expect(lines.some((line) => /^ {2}i_rwsem +10 waits\/s +20 ms\/s$/.test(line))).toBe(true);
});
