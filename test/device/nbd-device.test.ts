/** A store on whatever speaks NBD: real servers that answer, delay, fail, refuse, and are killed in the middle. */
import { randomBytes } from 'node:crypto';
import { truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { type NbdDevice, openNbdDevice } from '#dist/src/device/nbd-device.js';
import { checkStore, createStore, openStore, type Store } from '#dist/src/index.js';
import { expectBytes, pattern } from '../support/bytes.js';
import { expectCode } from '../support/expect-code.js';
import { type NbdProcess, startNbdkit, startQemuNbd } from '../support/nbd-servers.js';
import { itWith } from '../support/programs.js';
import { temporaryDirectory } from '../support/temporary.js';

const MIB = 1024 * 1024;
const directory = temporaryDirectory(true);
const undo: (() => unknown)[] = [];
let sockets = 0;

afterEach(async () => {
  for (const step of undo.splice(0).reverse()) await step();
});

const nextSocket = (): string => join(directory, `server-${++sockets}.sock`);

async function nbdkit(...args: string[]): Promise<NbdProcess> {
  const server = await startNbdkit(nextSocket(), ...args);
  undo.push(() => server.kill());
  return server;
}

function image(name: string, sizeBytes: number): string {
  const path = join(directory, name);
  writeFileSync(path, '');
  truncateSync(path, sizeBytes);
  return path;
}

async function device(uri: string, options: { readOnly?: boolean } = {}): Promise<NbdDevice> {
  const opened = await openNbdDevice(uri, options);
  undo.push(() => opened.close());
  return opened;
}

async function opened(uri: string): Promise<Store> {
  const store = await openStore(uri, { cacheBytes: 16 * MIB, threads: 2, verify: true });
  undo.push(() => store.close().catch(() => {}));
  return store;
}

describe('the device', () => {
  itWith(['nbdkit'], 'reads, writes, flushes and discards, in pieces and across buffers', async () => {
    const server = await nbdkit('memory', '16M');
    const disk = await device(server.uri());
    expect(disk.sizeBytes).toBe(16 * MIB);
    const bytes = randomBytes(3 * MIB + 4096);
    const parts = [bytes.subarray(0, 4096), bytes.subarray(4096, 2 * MIB), bytes.subarray(2 * MIB)];
    expect(disk.write(parts, 8192)).toBe(bytes.length);
    disk.flush();
    const target = [Buffer.alloc(5000), Buffer.alloc(bytes.length - 5000)];
    expect(disk.read(target, 8192)).toBe(bytes.length);
    expectBytes(Buffer.concat(target), bytes);
    expect(disk.canDiscard).toBe(true);
    disk.discard(8192, MIB);
    const hole = Buffer.alloc(MIB, 1);
    disk.read([hole], 8192);
    expect(hole.every((byte) => byte === 0)).toBe(true);
    // At the end, and past it.
    expect(disk.read([Buffer.alloc(8192)], 16 * MIB - 4096)).toBe(4096);
    expect(disk.read([Buffer.alloc(8192)], 16 * MIB)).toBe(0);
    await expectCode('EIO', () => disk.write([Buffer.alloc(8192)], 16 * MIB - 4096));
    await expectCode('EINVAL', () => disk.resize());
    disk.close();
    await expectCode('EBADF', () => disk.flush());
  });

  itWith(['nbdkit'], 'is claimed on this host, and says why it does not open', async () => {
    const server = await nbdkit('memory', '8M');
    const disk = await device(server.uri());
    await expectCode('EBUSY', () => openNbdDevice(server.uri('connections=1')));
    disk.close();
    await device(server.uri());
    await expectCode('ENOENT', () => openNbdDevice(`nbd+unix:///?socket=${directory}/nobody`));
    await expectCode('EIO', () => openNbdDevice('nbd://127.0.0.1:1/x'));
    await expectCode('EINVAL', () => openNbdDevice('nbd+unix:///x'));
    await expectCode('EINVAL', () => openNbdDevice('nbd:///x'));
    await expectCode('EINVAL', () => openNbdDevice(server.uri('timeout=never')));
    const plain = await nbdkit('memory', '8M');
    await expectCode('EACCES', () => openNbdDevice(plain.uri().replace('nbd+', 'nbds+')));
    const readOnly = await nbdkit('-r', 'memory', '8M');
    await expectCode('EROFS', () => openNbdDevice(readOnly.uri()));
    const reader = await device(readOnly.uri(), { readOnly: true });
    expect(reader.read([Buffer.alloc(4096)], 0)).toBe(4096);
    await expectCode('EROFS', () => reader.write([Buffer.alloc(4096)], 0));
    const named = await nbdkit('--filter=exportname', 'memory', '8M', 'exportname-strict=true', 'exportname=right');
    await expectCode('ENOENT', () => openNbdDevice(named.uri('', 'wrong')));
    await device(named.uri('', 'right'));
  });

  itWith(['nbdkit'], 'passes errors on, and takes no more writes after one', async () => {
    const server = await nbdkit('--filter=error', 'memory', '8M', 'error-pwrite=ENOSPC', 'error-pwrite-rate=100%');
    const disk = await device(server.uri());
    await expectCode('ENOSPC', () => disk.write([Buffer.alloc(4096)], 0));
    await expectCode('ENOSPC', () => disk.flush());
    expect(disk.read([Buffer.alloc(4096)], 0)).toBe(4096);
    const unreadable = await nbdkit('--filter=error', 'memory', '8M', 'error-pread=EIO', 'error-pread-rate=100%');
    await expectCode('EIO', async () => (await device(unreadable.uri())).read([Buffer.alloc(4096)], 0));
  });

  itWith(['nbdkit'], 'keeps the pieces of a slow transfer going at once, on several connections', async () => {
    const server = await nbdkit('--filter=delay', 'memory', '16M', 'delay-read=200ms', 'delay-write=200ms');
    const disk = await device(server.uri());
    const bytes = pattern(8 * MIB);
    const before = performance.now();
    disk.write([bytes], 0);
    const target = Buffer.alloc(8 * MIB);
    disk.read([target], 0);
    // One after the other, the 64 pieces would take nearly 13 seconds.
    expect(performance.now() - before).toBeLessThan(4000);
    expectBytes(target, bytes);
  });

  itWith(['qemu-nbd'], 'loses nothing when its server is killed and comes again', async () => {
    const path = image('killed.raw', 32 * MIB);
    const socket = nextSocket();
    let server = await startQemuNbd(socket, path);
    undo.push(() => server.kill());
    const disk = await device(server.uri('retry=20'));
    const model = Buffer.alloc(3 * MIB);
    for (let round = 0; round < 3; round++) {
      pattern(MIB, 10 * round + 1).copy(model, 0);
      disk.write([model.subarray(0, MIB)], 0);
      disk.flush();
      const flushed = Buffer.from(model);
      // One over the other: they have to be sent again in their order.
      for (let seed = 2; seed < 6; seed++) {
        const bytes = pattern(MIB >> (2 * (seed - 2)), 10 * round + seed);
        disk.write([bytes], MIB);
        bytes.copy(model, MIB);
      }
      await server.kill();
      // What was acknowledged and not flushed is gone, as if the server's host had lost its power.
      writeFileSync(path, flushed);
      truncateSync(path, 32 * MIB);
      server = await startQemuNbd(socket, path);
      pattern(MIB, 10 * round + 6).copy(model, 2 * MIB);
      disk.write([model.subarray(2 * MIB)], 2 * MIB);
      const target = Buffer.alloc(3 * MIB);
      disk.read([target], 0);
      expectBytes(target, model);
    }
    disk.flush();
  });

  itWith(['nbdkit'], 'fails for good when its server stays away, or comes back smaller or read-only', async () => {
    const socket = nextSocket();
    const comebacks: (string[] | null)[] = [null, ['memory', '4M'], ['-r', 'memory', '8M']];
    for (const comeback of comebacks) {
      const server = await startNbdkit(socket, 'memory', '8M');
      undo.push(() => server.kill());
      const disk = await device(server.uri(`retry=${comeback === null ? 0.3 : 10}`));
      disk.write([Buffer.alloc(4096, 1)], 0);
      await server.kill();
      if (comeback !== null) {
        const next = await startNbdkit(socket, ...comeback);
        undo.push(() => next.kill());
      }
      const error = await expectCode('EIO', () => disk.write([Buffer.alloc(4096, 2)], 0));
      expect(error.message).toMatch(comeback === null ? /lost/ : comeback[0] === '-r' ? /read-only/ : /shrunk/);
      await expectCode('EIO', () => disk.flush());
      await expectCode('EIO', () => disk.read([Buffer.alloc(4096)], 0));
      disk.close();
    }
  });

  itWith(['nbdkit'], 'does not send a write again when nobody knows what became of it', async () => {
    const server = await nbdkit('--filter=delay', 'memory', '8M', 'delay-write=30', 'delay-read=0');
    const disk = await device(server.uri('timeout=0.5&retry=10'));
    const error = await expectCode('EIO', () => disk.write([Buffer.alloc(4096, 1)], 0));
    expect(error.message).toContain('not known');
    await expectCode('EIO', () => disk.write([Buffer.alloc(4096, 1)], 8192));
    expect(disk.read([Buffer.alloc(4096)], 0)).toBe(4096);
  });
});

describe('a store', () => {
  itWith(['nbdkit'], 'is made, used, checked and opened again through a server', async () => {
    const server = await nbdkit('memory', '64M');
    const uri = server.uri();
    await createStore(uri, { label: 'remote' });
    await expectCode('EEXIST', () => createStore(uri));
    await expectCode('EINVAL', () => createStore(uri, { sizeBytes: 128 * MIB, overwrite: true }));
    let store = await openStore(uri, { cacheBytes: 16 * MIB, threads: 2, verify: true });
    await expectCode('EBUSY', () => openStore(uri));
    const bytes = pattern(6 * MIB);
    const file = await store.open('far', 'w+');
    await file.writeFile(bytes);
    await file.punchHole(MIB, 2 * MIB);
    bytes.fill(0, MIB, 3 * MIB);
    await file.sync();
    await store.close();
    expect(await checkStore(uri)).toMatchObject({ clean: true, errors: [] });
    store = await opened(uri);
    const again = await store.open('far');
    expectBytes((await again.readFile()) as Buffer, bytes);
    const sum = await store.run<number>(
      `data:text/javascript,export default (store) => store.open('far').readFile().length`,
    );
    expect(sum).toBe(bytes.length);
  });

  itWith(['qemu-nbd'], 'goes on when its server is killed in the middle, and is whole afterwards', async () => {
    const path = image('store.raw', 128 * MIB);
    const socket = nextSocket();
    let server = await startQemuNbd(socket, path);
    undo.push(() => server.kill());
    const uri = server.uri('retry=30');
    await createStore(uri);
    const store = await openStore(uri, { cacheBytes: 16 * MIB, threads: 2, verify: true });
    const model = new Map<string, Buffer>();
    const writer = async (name: string): Promise<void> => {
      const file = await store.open(name, 'w');
      for (let i = 0; i < 6; i++) {
        const bytes = pattern(MIB, i + 1);
        await file.write(bytes, 0, MIB, i * MIB);
        if (i % 2 === 1) await file.sync();
      }
      await file.close();
      model.set(name, Buffer.concat(Array.from({ length: 6 }, (_, i) => pattern(MIB, i + 1))));
    };
    const writing = Promise.all(['a', 'b', 'c'].map(writer));
    for (let i = 0; i < 2; i++) {
      await new Promise((resolve) => setTimeout(resolve, 100));
      await server.kill();
      server = await startQemuNbd(socket, path);
    }
    await writing;
    await store.close();
    expect(await checkStore(uri)).toMatchObject({ clean: true, errors: [] });
    const again = await opened(uri);
    for (const [name, bytes] of model) expectBytes((await (await again.open(name)).readFile()) as Buffer, bytes, name);
  });

  itWith(['nbdkit'], 'tells its users when the server is gone, and hangs nobody', async () => {
    const server = await nbdkit('memory', '64M');
    const uri = server.uri('retry=0.2');
    await createStore(uri);
    const store = await opened(uri);
    const file = await store.open('lost', 'w+');
    await file.write(pattern(MIB), 0, MIB, 0);
    await server.kill();
    await expectCode('EIO', () => file.sync());
    await expectCode('EIO', () => store.close());
  });
});

it('knows an URI from a path', async () => {
  await expectCode('ENOENT', () => openStore('nbd:/no/such/file'));
  await expectCode('EINVAL', () => openStore('nbd+unix:///disk'));
});
