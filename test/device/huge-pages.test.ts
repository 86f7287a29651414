/** Huge pages under the cache: how a process is started for them, and what comes of it. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, test } from 'vitest';
import { hugePagesEnvironment } from '#dist/src/index.js';

const POLICY = '/sys/kernel/mm/transparent_hugepage/enabled';
const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const TUNABLES = process.env.GLIBC_TUNABLES;

function hostRefuses(): string | null {
  try {
    return readFileSync(POLICY, 'utf8').includes('[never]') ? 'the host gives no huge pages' : null;
  } catch {
    return 'the host has no transparent huge pages';
  }
}
const refusal = hostRefuses();

afterEach(() => {
  if (TUNABLES === undefined) delete process.env.GLIBC_TUNABLES;
  else process.env.GLIBC_TUNABLES = TUNABLES;
});

describe.skipIf(refusal !== null)(
  `the environment of a process with huge pages${refusal ? ` (${refusal})` : ''}`,
  () => {
    test('adds to what the C library was told, and leaves alone who speaks for himself', () => {
      delete process.env.GLIBC_TUNABLES;
      expect(hugePagesEnvironment()).toEqual({ GLIBC_TUNABLES: 'glibc.malloc.hugetlb=1' });
      process.env.GLIBC_TUNABLES = 'glibc.malloc.check=1';
      expect(hugePagesEnvironment()).toEqual({ GLIBC_TUNABLES: 'glibc.malloc.check=1:glibc.malloc.hugetlb=1' });
      for (const own of [
        'glibc.malloc.hugetlb=1',
        'glibc.malloc.hugetlb=0',
        'glibc.malloc.check=1:glibc.malloc.hugetlb=2',
      ]) {
        process.env.GLIBC_TUNABLES = own;
        expect(hugePagesEnvironment()).toBeNull();
      }
    });

    /** Writes and reads a store in a process of its own. */
    function storeIn(environment: Record<string, string>, cacheBytes: number) {
      const directory = mkdtempSync(join(tmpdir(), 'emmental-huge-'));
      const program = `
      import { readFileSync } from 'node:fs';
      import { createStore, openStore } from '${ROOT}dist/src/entry/index.js';
      const path = ${JSON.stringify(join(directory, 'image'))};
      await createStore(path, { sizeBytes: 64 << 20 });
      const bytes = new Uint8Array(8 << 20);
      for (let i = 0; i < bytes.length; i++) bytes[i] = i ^ (i >> 12);
      let store = await openStore(path, { cacheBytes: ${cacheBytes} });
      let file = await store.open('f', 'w');
      await file.write(bytes, 0, bytes.length, 0);
      await file.close();
      await store.close();
      store = await openStore(path, { cacheBytes: ${cacheBytes} });
      file = await store.open('f', 'r');
      const back = new Uint8Array(bytes.length);
      await file.read(back, 0, back.length, 0);
      const { io, hugePages, misses, pages } = store.stats();
      const memory = readFileSync('/proc/self/smaps_rollup', 'utf8');
      const hugeBytes = 1024 * Number(/AnonHugePages:\\s+(\\d+)/.exec(memory)[1]);
      await store.close();
      const same = Buffer.compare(bytes, back) === 0;
      console.log(JSON.stringify({ io, hugePages, same, misses, pages: pages.total, hugeBytes }));
    `;
      try {
        const args = ['--input-type=module', '-e', program];
        const { GLIBC_TUNABLES: _, ...env } = process.env;
        return JSON.parse(execFileSync(process.execPath, args, { env: { ...env, ...environment } }).toString());
      } finally {
        rmSync(directory, { recursive: true });
      }
    }

    test('puts a cache into huge pages that direct I/O reads into', () => {
      const plain = storeIn({}, 48 << 20);
      const huge = storeIn(hugePagesEnvironment()!, 48 << 20);
      expect(plain).toMatchObject({ hugePages: false, same: true, pages: 12288 });
      expect(huge).toMatchObject({ hugePages: true, same: true, pages: 12288, io: plain.io });
      expect(huge.misses).toBeGreaterThan(0);
      // What the host really gave is its affair (memory may be in pieces); here there is enough of it.
      expect(huge.hugeBytes).toBeGreaterThan(plain.hugeBytes);
    });

    test('leaves a small cache where it was', () => {
      expect(storeIn(hugePagesEnvironment()!, 8 << 20)).toMatchObject({ hugePages: false, same: true });
    });

    test('is not used where the device does not take the memory', () => {
      const program = `
      import { Frames } from '${ROOT}dist/src/pagecache/frames.js';
      const kinds = [() => true, () => false].map((takes) => {
        const seen = [];
        const buffers = Frames.allocate(300_000, 4096, (memory) => { seen.push(memory.length); return takes(); });
        const frames = new Frames(buffers, 4096, 300_000);
        return { huge: frames.isHuge, seen, last: frames.run(300_000, 1).length };
      });
      console.log(JSON.stringify(kinds));
    `;
      const env = { ...process.env, ...hugePagesEnvironment() };
      const output = execFileSync(process.execPath, ['--input-type=module', '-e', program], { env }).toString();
      const seen = [2 ** 30, 300_000 * 4096 - 2 ** 30];
      expect(JSON.parse(output)).toEqual([
        { huge: true, seen, last: 4096 },
        { huge: false, seen, last: 4096 },
      ]);
    });
  },
);
