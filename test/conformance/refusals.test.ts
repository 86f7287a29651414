/** Making, opening and checking stores: what is refused, how, and that nothing is changed by a refusal. */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { copyFileSync, existsSync, mkdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { checkStore, createStore, type OpenOptions, openStore, type Store, schemes } from '#dist/src/index.js';
import { attachStore } from '#dist/src/worker.js';
import { expectBytes, pattern } from '../support/bytes.js';
import { expectCode } from '../support/expect-code.js';
import { RemoteThread } from '../support/remote-thread.js';
import { temporaryDirectory } from '../support/temporary.js';

const MIB = 1024 * 1024;
const directory = temporaryDirectory(true);
let images = 0;

function freshPath(): string {
  images += 1;
  return join(directory, `${images}.img`);
}

async function freshStore(options: Parameters<typeof createStore>[1] = {}): Promise<string> {
  const path = freshPath();
  await createStore(path, { sizeBytes: 8 * MIB, ...options });
  return path;
}

const open = (path: string, options: OpenOptions = {}): Promise<Store> =>
  openStore(path, { threads: 2, cacheBytes: 4 * MIB, ...options });

function hashOf(path: string): string {
  return createHash('sha256').update(readFileSync(path)).digest('hex');
}

/** Runs the calls, and expects the file to be as before. */
async function expectUntouched(path: string, ...calls: (() => Promise<unknown>)[]): Promise<void> {
  const before = hashOf(path);
  for (const call of calls) await call();
  expect(hashOf(path)).toBe(before);
}

function mkfs(path: string): boolean {
  try {
    execFileSync('mkfs.ext4', ['-q', '-F', path], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

describe('createStore', () => {
  it('makes what openStore opens, at any block size', async () => {
    for (const blockBytes of [4096, 8192, 16_384, 32_768, 65_536]) {
      const path = await freshStore({ sizeBytes: 16 * MIB, blockBytes, label: 'a label, ä' });
      expect(await checkStore(path)).toMatchObject({ clean: true, errors: [] });
      const store = await openStore(path, { threads: 2, cacheBytes: 256 * blockBytes });
      expect(await store.statfs()).toMatchObject({ blockBytes, blocks: (16 * MIB) / blockBytes, files: 0 });
      await store.close();
    }
  });

  it('leaves nothing behind where it refuses a new file', async () => {
    const cases: [Parameters<typeof createStore>[1], string][] = [
      [{}, 'ENOENT'],
      [{ sizeBytes: 0 }, 'EINVAL'],
      [{ sizeBytes: 4096 }, 'EINVAL'],
      [{ sizeBytes: 64 * 1024 }, 'EINVAL'],
      [{ sizeBytes: 8 * MIB + 1 }, 'EINVAL'],
      [{ sizeBytes: 8 * MIB + 4096, blockBytes: 8192 }, 'EINVAL'],
      [{ sizeBytes: 8 * MIB, blockBytes: 0 }, 'EINVAL'],
      [{ sizeBytes: 8 * MIB, blockBytes: 2048 }, 'EINVAL'],
      [{ sizeBytes: 8 * MIB, blockBytes: 12_288 }, 'EINVAL'],
      [{ sizeBytes: 8 * MIB, blockBytes: 131_072 }, 'EINVAL'],
      [{ sizeBytes: 8 * MIB, label: 'x'.repeat(65) }, 'EINVAL'],
      [{ sizeBytes: 8 * MIB, label: 'ä'.repeat(33) }, 'EINVAL'],
      [{ sizeBytes: 2 ** 52 }, 'EFBIG'],
      [{ sizeBytes: -1 }, 'ERR_OUT_OF_RANGE'],
      [{ sizeBytes: 1.5 }, 'ERR_OUT_OF_RANGE'],
      [{ sizeBytes: '8M' as unknown as number }, 'ERR_INVALID_ARG_TYPE'],
      [{ sizeBytes: 8 * MIB, blockBytes: '4096' as unknown as number }, 'ERR_INVALID_ARG_TYPE'],
      [{ sizeBytes: 8 * MIB, label: 7 as unknown as string }, 'ERR_INVALID_ARG_TYPE'],
    ];
    for (const [options, code] of cases) {
      const path = freshPath();
      const error = await expectCode(code, () => createStore(path, options));
      if (!code.startsWith('ERR_')) expect(error.path, JSON.stringify(options)).toBe(path);
      expect(existsSync(path), JSON.stringify(options)).toBe(false);
    }
    await expectCode('ENOENT', () => createStore(join(directory, 'no', 'such', 'directory'), { sizeBytes: 8 * MIB }));
    for (const path of [undefined, null, 7, {}]) {
      await expectCode('ERR_INVALID_ARG_TYPE', () => createStore(path as unknown as string, { sizeBytes: 8 * MIB }));
    }
  });

  it('refuses what holds something, unless it may be overwritten', async () => {
    const path = await freshStore({ label: 'first' });
    const store = await open(path);
    await (await store.open('x', 'w')).writeFile('content');
    await store.close();
    await expectUntouched(
      path,
      () => expectCode('EEXIST', () => createStore(path)),
      () => expectCode('EEXIST', () => createStore(path, { sizeBytes: 8 * MIB })),
    );
    await createStore(path, { overwrite: true });
    const again = await open(path);
    expect(await again.exists('x')).toBe(false);
    await again.close();
  });

  it('refuses a file system, and says which', async ({ skip }) => {
    const path = freshPath();
    writeFileSync(path, '');
    truncateSync(path, 8 * MIB);
    if (!mkfs(path)) skip('mkfs.ext4 is not there');
    await expectUntouched(path, async () => {
      const error = await expectCode('EEXIST', () => createStore(path));
      expect(error.message).toMatch(/ext/i);
      const opening = await expectCode('EINVAL', () => openStore(path));
      expect(opening.message).toMatch(/ext/i);
    });
  });

  it('refuses a partition table', async () => {
    const path = freshPath();
    const bytes = Buffer.alloc(8 * MIB);
    bytes.write('EFI PART', 512, 'latin1');
    bytes.writeUInt32LE(92, 524);
    bytes[450] = 0xee;
    bytes.writeUInt32LE(1, 454);
    bytes.writeUInt32LE(16_383, 458);
    bytes[510] = 0x55;
    bytes[511] = 0xaa;
    writeFileSync(path, bytes);
    await expectUntouched(
      path,
      () => expectCode('EEXIST', () => createStore(path)),
      () => expectCode('EINVAL', () => openStore(path)),
    );
  });

  it('formats an existing empty file at its size, or at the size that is wanted', async () => {
    const path = freshPath();
    writeFileSync(path, Buffer.alloc(8 * MIB));
    await createStore(path);
    const store = await open(path);
    expect((await store.statfs()).blocks).toBe(2048);
    await store.close();
    await createStore(path, { overwrite: true, sizeBytes: 12 * MIB });
    const larger = await open(path);
    expect((await larger.statfs()).blocks).toBe(3072);
    await larger.close();
  });
});

describe('openStore', () => {
  it('refuses what is no store', async () => {
    await expectCode('ENOENT', () => openStore(join(directory, 'missing')));
    await expectCode('EINVAL', () => openStore(directory));
    await expectCode('EINVAL', () => openStore('/dev/null'));
    for (const content of ['', 'text', Buffer.alloc(MIB), pattern(MIB)]) {
      const path = freshPath();
      writeFileSync(path, content);
      await expectUntouched(path, async () => {
        const error = await expectCode('EINVAL', () => openStore(path));
        expect(error.path).toBe(path);
        expect(error.message).toMatch(/no Emmental store/);
      });
    }
    for (const path of [undefined, null, 7, {}]) {
      await expectCode('ERR_INVALID_ARG_TYPE', () => openStore(path as unknown as string));
    }
  });

  it('refuses options that it does not know or cannot follow', async () => {
    const path = await freshStore();
    const cases: [object, string, RegExp][] = [
      [{ scheme: 'fast' }, 'EINVAL', /fast.*invalidate-lock/],
      [{ scheme: 'none' }, 'EINVAL', /'none' is unsafe: a fill that meets .* unsafe: true/],
      [{ scheme: 'ext4-before' }, 'EINVAL', /'ext4-before' is unsafe: a read, .* unsafe: true/],
      [{ scheme: '' }, 'EINVAL', /scheme/],
      [{ io: 'mapped' }, 'EINVAL', /mapped/],
      [{ rwsemPolicy: 'random' }, 'EINVAL', /random/],
      [{ cacheBytes: 0 }, 'EINVAL', /cache/],
      [{ cacheBytes: 4096 }, 'EINVAL', /cache/],
      [{ cacheBytes: -1 }, 'ERR_OUT_OF_RANGE', /cacheBytes/],
      [{ cacheBytes: '1G' }, 'ERR_INVALID_ARG_TYPE', /cacheBytes/],
      [{ dirtyRatio: 0 }, 'ERR_OUT_OF_RANGE', /dirtyRatio/],
      [{ dirtyRatio: 1.1 }, 'ERR_OUT_OF_RANGE', /dirtyRatio/],
      [{ dirtyRatio: '1' }, 'ERR_INVALID_ARG_TYPE', /dirtyRatio/],
      [{ dirtyExpireMs: -1 }, 'ERR_OUT_OF_RANGE', /dirtyExpireMs/],
      [{ commitIntervalMs: 0 }, 'ERR_OUT_OF_RANGE', /commitIntervalMs/],
      [{ threads: 1 }, 'ERR_OUT_OF_RANGE', /threads/],
      [{ threads: 2.5 }, 'ERR_OUT_OF_RANGE', /threads/],
      [{ threads: 'all' }, 'ERR_INVALID_ARG_TYPE', /threads/],
    ];
    await expectUntouched(path, async () => {
      for (const [options, code, message] of cases) {
        const error = await expectCode(code, () => openStore(path, options as OpenOptions));
        expect(error.message).toMatch(message);
      }
    });
    // None of them holds the device.
    await (await open(path)).close();
  });

  it('lists its schemes', () => {
    expect(schemes.slice(0, 3).map(({ name }) => name)).toEqual(['invalidate-lock', 'i-rwsem', 'none']);
    for (const scheme of schemes) {
      expect(scheme.description.length).toBeGreaterThan(10);
      expect(Object.keys(scheme.table)).toEqual(expect.arrayContaining(['readHit', 'readMiss', 'punch', 'write']));
      expect(scheme.safe).toBe(scheme.breaks === null);
    }
  });

  it('opens a device once', async () => {
    const path = await freshStore();
    const store = await open(path);
    const again = await expectCode('EBUSY', () => openStore(path));
    expect(again).toMatchObject({ errno: -16, path });
    await expectCode('EBUSY', () => openStore(path, { readOnly: true }));
    await expectCode('EBUSY', () => checkStore(path));
    await expectCode('EBUSY', () => createStore(path, { overwrite: true }));
    const script = `import(${JSON.stringify(new URL('../../dist/src/entry/index.js', import.meta.url).href)})
      .then(({ openStore }) => openStore(${JSON.stringify(path)}))
      .then(() => 'opened', (error) => error.code).then((word) => { console.log(word); process.exit(); })`;
    const elsewhere = (): string => execFileSync(process.execPath, ['-e', script], { encoding: 'utf8' }).trim();
    expect(elsewhere()).toBe('EBUSY');
    await (await store.open('x', 'w')).close();
    await store.close();
    expect(elsewhere()).toBe('opened');
  });

  it('refuses an image that is shorter than it was', async () => {
    const path = await freshStore();
    for (const size of [8 * MIB - 4096, 4 * MIB, 64 * 1024, 4096]) {
      const cut = freshPath();
      copyFileSync(path, cut);
      truncateSync(cut, size);
      await expectUntouched(cut, async () => {
        const error = await expectCode('EUCLEAN', () => openStore(cut));
        expect(error.message).toMatch(/superblock|block/);
        expect((await checkStore(cut)).clean).toBe(false);
      });
    }
    const cut = freshPath();
    copyFileSync(path, cut);
    truncateSync(cut, 1000);
    await expectCode('EINVAL', () => openStore(cut));
  });

  it('opens for reading only, and changes nothing', async () => {
    const path = await freshStore();
    const writer = await open(path);
    const bytes = pattern(100_000);
    await (await writer.open('x', 'w')).writeFile(bytes);
    await writer.close();
    await expectUntouched(path, async () => {
      const store = await open(path, { readOnly: true, verify: true });
      const sync = attachStore(store.handle);
      for (const face of [store, sync]) {
        for (const flags of ['r+', 'w', 'w+', 'wx', 'wx+', 'a', 'a+']) {
          const error = await expectCode('EROFS', () => face.open('x', flags));
          expect(error).toMatchObject({ path: 'x', syscall: 'open', errno: -30 });
          await expectCode('EROFS', () => face.open('new', flags));
        }
        await expectCode('EROFS', () => face.unlink('x'));
        await expectCode('EROFS', () => face.rename('x', 'y'));
        await expectCode('ENOENT', () => face.open('missing'));
        const file = await face.open('x');
        expectBytes((await file.readFile()) as Buffer, bytes);
        await expectCode('EBADF', () => file.truncate(0));
        await expectCode('EBADF', () => file.punchHole(0, 4096));
        await file.sync();
        await file.datasync();
        await file.advise('willneed');
        await file.advise('dontneed');
        expect((await file.extents()).length).toBeGreaterThan(0);
        expect((await face.stat('x')).size).toBe(bytes.length);
        await face.sync();
        await file.close();
      }
      const reader = sync.open('x');
      await expectCode('EBADF', () => reader.pin(0, { write: true }));
      const page = reader.pin(0);
      expectBytes(page.bytes, bytes.subarray(0, 4096));
      page.release();
      sync.close();
      await store.close();
    });
  });

  it('reads a device that cannot be written', async () => {
    const path = await freshStore();
    const writer = await open(path);
    await (await writer.open('x', 'w')).writeFile('content');
    await writer.close();
    const store = await open(path, { readOnly: true, io: 'buffered' });
    expect(store.stats().io).toBe('buffered');
    expect(await (await store.open('x')).readFile('utf8')).toBe('content');
    await store.close();
  });
});

describe('a closed store', () => {
  it('refuses everything, on every face', async () => {
    const path = await freshStore();
    const store = await open(path);
    const sync = attachStore(store.handle);
    const other = attachStore(store.handle);
    const file = await store.open('x', 'w+');
    await file.writeFile('content');
    const syncFile = sync.open('x', 'r+');
    const otherFile = other.open('x', 'r+');
    const thread = await RemoteThread.start(store.handle);
    await thread.run(({ store, keep }) => {
      keep.file = store.open('x', 'r+');
      keep.page = keep.file.pin(0);
    });
    sync.close();
    sync.close();
    for (const call of [
      () => sync.open('x'),
      () => sync.stat('x'),
      () => sync.sync(),
      () => sync.statfs(),
      () => [...sync.list()],
    ]) {
      await expectCode('EBADF', call);
    }
    await expectCode('EBADF', () => syncFile.read(Buffer.alloc(1), 0, 1, 0));
    expect(otherFile.stat().size).toBe(7);

    await store.close();
    await store.close();
    const buffer = Buffer.alloc(7);
    const calls: (() => unknown)[] = [
      () => store.open('x'),
      () => store.stat('x'),
      () => store.exists('x'),
      () => store.unlink('x'),
      () => store.rename('x', 'y'),
      () => store.list(),
      () => store.statfs(),
      () => store.sync(),
      () => store.run(new URL('./nothing.mjs', import.meta.url)),
      () => file.read(buffer, 0, 7, 0),
      () => file.write(buffer, 0, 7, 0),
      () => file.stat(),
      () => file.sync(),
      () => file.truncate(0),
      () => other.open('x'),
      () => other.stat('x'),
      () => other.sync(),
      () => otherFile.read(buffer, 0, 7, 0),
      () => otherFile.write(buffer, 0, 7, 0),
      () => otherFile.stat(),
      () => otherFile.pin(0),
      () => attachStore(store.handle),
      () =>
        thread
          .run(({ keep }) => keep.file.read(new Uint8Array(7), 0, 7, 0))
          .catch((error) => expect(error.code).toBe('EBADF') as never),
    ];
    for (const call of calls.slice(0, -1)) await expectCode('EBADF', call);
    await calls.at(-1)!();
    // What a thread still holds can be given up in peace.
    await thread.run(({ store, keep }) => {
      keep.page.release();
      keep.file.close();
      store.close();
    });
    await thread.kill();
    await file.close();
    otherFile.close();
    other.close();
    expect(await checkStore(path)).toMatchObject({ clean: true });
    expect(attachError({})).toBe('ERR_INVALID_ARG_TYPE');
    expect(attachError(null)).toBe('ERR_INVALID_ARG_TYPE');
  });

  it('disposes of itself', async () => {
    const path = await freshStore();
    const store = await open(path);
    const file = await store.open('x', 'w');
    await file.writeFile('y');
    await file[Symbol.asyncDispose]();
    await expectCode('EBADF', () => file.stat());
    const sync = attachStore(store.handle);
    sync[Symbol.dispose]();
    await expectCode('EBADF', () => sync.stat('x'));
    await store[Symbol.asyncDispose]();
    await expectCode('EBADF', () => store.stat('x'));
    await (await open(path)).close();
  });

  it('waits for what is under way', async () => {
    const path = await freshStore({ sizeBytes: 32 * MIB });
    const store = await open(path);
    const bytes = pattern(6 * MIB);
    const file = await store.open('x', 'w');
    const writing = file.write(bytes, 0, bytes.length, 0);
    const closing = store.close();
    const outcome = await writing.then(
      ({ bytesWritten }) => bytesWritten,
      (error) => error.code,
    );
    await closing;
    const again = await open(path);
    const found = (await (await again.open('x')).readFile()) as Buffer;
    // All of it, or as much as it said, or an error.
    if (typeof outcome === 'number') expectBytes(found, bytes.subarray(0, outcome));
    else expect(outcome).toBe('EBADF');
    await again.close();
  });
});

function attachError(handle: unknown): unknown {
  try {
    attachStore(handle as Store['handle']);
    return null;
  } catch (error) {
    return (error as { code: unknown }).code;
  }
}

beforeAll(() => mkdirSync(directory, { recursive: true }));
