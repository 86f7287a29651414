/** Jobs in the store's own pool, and threads of others. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { Worker } from 'node:worker_threads';
import { expect, it } from 'vitest';
import { StoreError } from '#dist/src/index.js';
import { expectBytes, pattern } from '../support/bytes.js';
import { expectCode } from '../support/expect-code.js';
import { RemoteThread } from '../support/remote-thread.js';
import { temporaryDirectory } from '../support/temporary.js';
import { conformance } from './conformance.js';

const directory = temporaryDirectory(true);
let modules = 0;

/** A module whose default export is the given function. */
function moduleOf(source: string): URL {
  const path = join(directory, `job-${modules++}.mjs`);
  writeFileSync(path, `export default ${source};\n`);
  return pathToFileURL(path);
}

conformance(
  'threads',
  (context) => {
    it('run a job and give its result', async () => {
      const { owner } = context;
      const bytes = pattern(100_000);
      const name = context.fresh();
      const file = await owner.open(name, 'w');
      await file.writeFile(bytes);
      const sum = moduleOf(`(store, { name, from }) => {
        const bytes = store.open(name).readFile();
        let sum = 0;
        for (let i = from; i < bytes.length; i++) sum += bytes[i];
        store.open(name + '.sum', 'w').writeFile(String(sum));
        return { sum, map: new Map([['size', bytes.length]]) };
      }`);
      const expected = bytes.subarray(10).reduce((total, byte) => total + byte, 0);
      const result = await owner.run<{ sum: number; map: Map<string, number> }>(sum, { name, from: 10 });
      expect(result.sum).toBe(expected);
      expect(result.map.get('size')).toBe(100_000);
      expect(String(await context.content(`${name}.sum`))).toBe(String(expected));
      expect((await owner.run<{ sum: number }>(sum.href, { name, from: 0 })).sum).toBeGreaterThan(expected);
      await file.close();
    });

    it('run many at once, and those that are asynchronous', async () => {
      const append = moduleOf(`async (store, i) => {
        await new Promise((resolve) => setTimeout(resolve, 5));
        const file = store.open('many', 'a');
        file.write(Buffer.from(String.fromCharCode(65 + i).repeat(1000)));
        file.close();
        return i;
      }`);
      const results = await Promise.all(Array.from({ length: 20 }, (_, i) => context.owner.run(append, i)));
      expect(results).toEqual(Array.from({ length: 20 }, (_, i) => i));
      const content = String(await context.content('many'));
      expect(content.length).toBe(20_000);
      for (let i = 0; i < 20; i++) expect(new Set(content.slice(i * 1000, i * 1000 + 1000)).size).toBe(1);
    });

    it('give the errors of a job', async () => {
      const { owner } = context;
      const failing = moduleOf(`() => { throw Object.assign(new RangeError('by design'), { code: 'MINE' }); }`);
      await expect(owner.run(failing)).rejects.toMatchObject({ message: 'by design' });
      const missing = moduleOf(`(store) => store.open('missing')`);
      await expect(owner.run(missing)).rejects.toMatchObject({ code: 'ENOENT' });
      await expect(owner.run(missing)).rejects.toBeInstanceOf(StoreError);
      await expect(owner.run(moduleOf('7'))).rejects.toMatchObject({ code: 'ERR_INVALID_ARG_TYPE' });
      await expect(owner.run(pathToFileURL(join(directory, 'none.mjs')))).rejects.toMatchObject({
        code: 'ERR_MODULE_NOT_FOUND',
      });
      await expectCode('ERR_INVALID_ARG_TYPE', () => owner.run(7 as unknown as string));
      // And the pool goes on, even where a job closes what it was given.
      const closing = moduleOf('(store) => (store.exists("x"), store.close())');
      for (let i = 0; i < 4; i++) await owner.run(closing);
      expect(await owner.run(moduleOf('() => 1'))).toBe(1);
    });

    it('abort a job', async () => {
      const { owner } = context;
      const stuck = moduleOf(`(store, word) => {
        Atomics.store(word, 0, 1);
        Atomics.wait(word, 1, 0);
      }`);
      const word = new Int32Array(new SharedArrayBuffer(8));
      const controller = new AbortController();
      const running = owner.run(stuck, word, { signal: controller.signal });
      running.catch(() => {});
      while (Atomics.load(word, 0) === 0) await new Promise((resolve) => setTimeout(resolve, 1));
      controller.abort();
      await expect(running).rejects.toMatchObject({ name: 'AbortError' });
      await expect(owner.run(stuck, word, { signal: AbortSignal.abort() })).rejects.toMatchObject({
        name: 'AbortError',
      });
      // Its thread held nothing: nobody minds.
      const name = context.fresh();
      await (await owner.open(name, 'w')).writeFile('after');
      expect(await owner.run(moduleOf(`(store, name) => store.open(name).readFile('utf8')`), name)).toBe('after');
    });

    it('share a store with the threads of others', async () => {
      const { owner } = context;
      const name = context.fresh();
      const bytes = pattern(300_000);
      const [writer, reader] = await Promise.all([RemoteThread.start(owner.handle), RemoteThread.start(owner.handle)]);
      await writer.run(
        ({ store, keep }, name, bytes) => {
          keep.file = store.open(name, 'w+');
          keep.file.write(bytes, 0, bytes.length, 0);
        },
        name,
        bytes,
      );
      // At once, without any sync.
      const found = await reader.run(({ store, keep }, name) => {
        keep.file = store.open(name, 'r+');
        return new Uint8Array(keep.file.readFile() as Buffer);
      }, name);
      expectBytes(found, bytes);
      expectBytes(await context.content(name), bytes);
      await reader.run(({ keep }) => keep.file.truncate(1000));
      expect(await writer.run(({ keep }) => keep.file.stat().size)).toBe(1000);
      const error = await writer.run(({ store }) => store.open('missing')).catch((reason) => reason);
      expect(error).toMatchObject({ code: 'ENOENT', path: 'missing', syscall: 'open', errno: -2 });
      await Promise.all([writer.close(), reader.close()]);
    });

    it('pass the handle on', async () => {
      const source = `
        import { Worker, workerData, parentPort } from 'node:worker_threads';
        import { attachStore } from ${JSON.stringify(new URL('../../dist/src/entry/worker.js', import.meta.url).href)};
        const store = attachStore(workerData.handle);
        if (workerData.depth > 0) {
          const inner = new Worker(new URL(import.meta.url), { workerData: { handle: store.handle, depth: workerData.depth - 1 } });
          inner.on('message', (text) => { store.close(); parentPort.postMessage(text); });
        } else {
          const file = store.open('deep', 'w+');
          file.writeFile('from the depth');
          store.close();
          parentPort.postMessage('done');
        }`;
      const path = join(directory, `worker-${modules++}.mjs`);
      writeFileSync(path, source);
      const worker = new Worker(path, { workerData: { handle: context.owner.handle, depth: 2 } });
      const answer = await new Promise((resolve, reject) => {
        worker.once('message', resolve);
        worker.once('error', reject);
      });
      expect(answer).toBe('done');
      expect(String(await context.content('deep'))).toBe('from the depth');
      await worker.terminate();
    });

    it('are refused when there are too many, and only then', async () => {
      const { attachStore } = await import('#dist/src/worker.js');
      const stores: { close(): void }[] = [];
      const attachAll = (): void => {
        for (;;) stores.push(attachStore(context.owner.handle));
      };
      await expectCode('EBUSY', attachAll);
      expect(stores.length).toBeGreaterThan(100);
      for (const store of stores) store.close();
      attachStore(context.owner.handle).close();
    });
  },
  { faces: ['asynchronous'] },
);

conformance(
  'jobs and closing',
  (context) => {
    it('end when the store is closed', async () => {
      const looping = moduleOf(`(store, word) => {
        const file = store.open('looping', 'w+');
        for (let i = 0; ; i++) {
          file.write(Buffer.from('x'.repeat(1000)), 0, 1000, (i % 100) * 1000);
          Atomics.store(word, 0, i);
        }
      }`);
      const word = new Int32Array(new SharedArrayBuffer(4));
      const running = context.owner.run(looping, word);
      running.catch(() => {});
      while (Atomics.load(word, 0) < 10) await new Promise((resolve) => setTimeout(resolve, 1));
      await context.reopen();
      await expect(running).rejects.toMatchObject({ code: 'EBADF' });
      expect((await context.store.stat('looping')).size).toBeGreaterThan(0);
    });
  },
  { faces: ['asynchronous'] },
);
