import {
  closeSync,
  existsSync,
  openSync,
  readFileSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { afterEach, describe, expect, it } from 'vitest';
import { allocateAligned } from '#dist/src/device/aligned-memory.js';
import { HostDevice, type OpenHostDeviceOptions, openHostDevice } from '#dist/src/device/host-device.js';
import { hostExtensions } from '#dist/src/device/host-extensions.js';
import { temporaryDirectory } from '../support/temporary.js';

const MIB = 1024 * 1024;
const directory = temporaryDirectory();
let files = 0;
const opened: HostDevice[] = [];

function newPath(): string {
  files += 1;
  return join(directory, `device-${files}.img`);
}

function open(path: string, options: OpenHostDeviceOptions = {}): HostDevice {
  const device = openHostDevice(path, options);
  opened.push(device);
  return device;
}

function newDevice(sizeBytes = 4 * MIB, options: OpenHostDeviceOptions = {}): HostDevice {
  return open(newPath(), { create: sizeBytes, ...options });
}

function code(action: () => unknown): string {
  try {
    action();
  } catch (error) {
    return (error as { code?: string }).code ?? String(error);
  }
  return 'no error';
}

/** Page-aligned shared memory with a pattern that differs in every 4 KiB. */
function pattern(lengthBytes: number, seed = 1): Uint8Array {
  const bytes = allocateAligned(lengthBytes);
  for (let i = 0; i < lengthBytes; i++) bytes[i] = (i * 7 + (i >> 12) * 13 + seed) & 0xff;
  return bytes;
}

function pagesOf(bytes: Uint8Array): Uint8Array[] {
  return Array.from({ length: bytes.length / 4096 }, (_, i) => bytes.subarray(i * 4096, (i + 1) * 4096));
}

function equal(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}

afterEach(() => {
  for (const device of opened.splice(0)) device.close();
});

describe('opening a regular file', () => {
  it('creates a sparse file of the size asked for', () => {
    const device = newDevice(2 ** 40);
    expect(device.sizeBytes).toBe(2 ** 40);
    expect(statSync(device.path).blocks).toBe(0);
  });

  it('keeps what is there, and grows only an empty file', () => {
    const full = newPath();
    writeFileSync(full, 'x'.repeat(8192));
    expect(open(full, { create: MIB }).sizeBytes).toBe(8192);
    const empty = newPath();
    writeFileSync(empty, '');
    expect(open(empty, { create: MIB }).sizeBytes).toBe(MIB);
  });

  it('leaves no file behind when it cannot be created', () => {
    const path = newPath();
    expect(['EFBIG', 'EIO', 'ENOSPC']).toContain(code(() => open(path, { create: Number.MAX_SAFE_INTEGER })));
    expect(existsSync(path)).toBe(false);
    expect(code(() => open(join(directory, 'none', 'x.img'), { create: MIB }))).toBe('ENOENT');
  });

  it('says what it cannot open', () => {
    expect(() => open(join(directory, 'none.img'))).toThrow(/ENOENT.*none\.img/);
    expect(() => open(directory)).toThrow(/EINVAL.*a directory/);
    expect(() => open('/dev/null')).toThrow(/EINVAL.*neither a regular file nor a block device/);
    expect(code(() => open(join(directory, 'x'.repeat(300))))).toBe('ENAMETOOLONG');
  });

  it('does direct I/O where the host does, buffered I/O when told', () => {
    expect(newDevice(MIB, { io: 'buffered' }).io).toBe('buffered');
    // Any of the usual file systems: ext4, XFS, btrfs, tmpfs since 6.6.
    expect(newDevice().io).toBe('direct');
  });

  it('falls back to buffered I/O where the host refuses O_DIRECT', () => {
    expect(open('/proc/version', { readOnly: true }).io).toBe('buffered');
  });

  it('resizes a regular file', () => {
    const device = newDevice(MIB);
    device.resize(2 * MIB);
    expect(device.sizeBytes).toBe(2 * MIB);
    expect(statSync(device.path).size).toBe(2 * MIB);
    device.write([pattern(4096)], 2 * MIB - 4096);
  });
});

describe.each(['direct', 'buffered'] as const)('%s transfers', (io) => {
  it('move one buffer and many, to and from shared memory', () => {
    const device = newDevice(8 * MIB, { io });
    const content = pattern(2 * MIB);
    expect(device.write([content], MIB)).toBe(2 * MIB);
    expect(equal(readFileSync(device.path).subarray(MIB, 3 * MIB), content)).toBe(true);
    const back = allocateAligned(2 * MIB);
    expect(device.read(pagesOf(back), MIB)).toBe(2 * MIB);
    expect(equal(back, content)).toBe(true);
    expect(device.write(pagesOf(content).reverse(), 4 * MIB)).toBe(2 * MIB);
    expect(device.read(pagesOf(back).reverse(), 4 * MIB)).toBe(2 * MIB);
    expect(equal(back, content)).toBe(true);
    device.flush();
  });

  it('take more buffers than one call of the host', () => {
    const device = newDevice(16 * MIB, { io });
    const content = pattern(2500 * 4096);
    const back = allocateAligned(content.length);
    expect(device.write(pagesOf(content), 8192)).toBe(content.length);
    expect(device.read(pagesOf(back), 8192)).toBe(content.length);
    expect(equal(back, content)).toBe(true);
  });

  it('read short at the end of the device only', () => {
    const path = newPath();
    writeFileSync(path, pattern(10_000));
    const device = open(path, { io });
    const back = allocateAligned(16384);
    expect(device.read([back], 0)).toBe(10_000);
    expect(device.read(pagesOf(back), 4096)).toBe(10_000 - 4096);
    expect(device.read([back], 12288)).toBe(0);
    expect(device.read(pagesOf(back), 1e15 - (1e15 % 4096))).toBe(0);
    truncateSync(path, 5000);
    expect(() => device.read([back], 0)).toThrow(/EIO.*ends at byte 5000, it had 10000/);
    expect(() => device.read(pagesOf(back), 0)).toThrow(/EIO/);
  });
});

describe('transfers', () => {
  it('continue where the host stops short', () => {
    // One call of the host moves at most 0x7ffff000 bytes. The buffers are the same memory but for the last.
    const device = newDevice(3 * 2 ** 30);
    const length = 64 * MIB;
    const common = allocateAligned(length);
    const last = allocateAligned(length);
    const content = pattern(MIB);
    device.write([content], 33 * length);
    const buffers = [...new Array<Uint8Array>(33).fill(common), last];
    expect(device.read(buffers, 0)).toBe(34 * length);
    expect(equal(last.subarray(0, MIB), content)).toBe(true);
  });

  it('do not write past the end, and that latches nothing', () => {
    const device = newDevice(MIB);
    expect(() => device.write([pattern(8192)], MIB - 4096)).toThrow(/EIO.*past the end/);
    expect(statSync(device.path).size).toBe(MIB);
    expect(device.write([pattern(4096)], MIB - 4096)).toBe(4096);
  });

  it('refuse writes to a device that was opened for reading', () => {
    const path = newPath();
    writeFileSync(path, Buffer.alloc(8192, 7));
    const device = open(path, { readOnly: true });
    expect(code(() => device.write([pattern(4096)], 0))).toBe('EROFS');
    expect(code(() => device.resize(4096))).toBe('EROFS');
    device.flush();
    device.discard(0, 4096);
    const back = allocateAligned(4096);
    expect(device.read([back], 0)).toBe(4096);
    expect(back[0]).toBe(7);
  });

  it('fail with EBADF after close, in every thread that has the handle', () => {
    const device = newDevice();
    const other = HostDevice.fromHandle(device.share());
    other.close();
    expect(device.read([allocateAligned(4096)], 0)).toBe(4096);
    device.close();
    for (const closed of [device, other]) {
      expect(code(() => closed.read([allocateAligned(4096)], 0))).toBe('EBADF');
      expect(code(() => closed.write([pattern(4096)], 0))).toBe('EBADF');
      expect(code(() => closed.flush())).toBe('EBADF');
      expect(code(() => closed.discard(0, 4096))).toBe('EBADF');
    }
  });
});

describe('the first error', () => {
  /** A device that shares the latch with `device` but whose writes the host refuses: its descriptor only reads. */
  function failing(device: HostDevice): HostDevice {
    const fd = openSync(device.path, 'r');
    return HostDevice.fromHandle({ ...device.share(), fd });
  }

  it('of a write latches: writes and flushes fail from then on, reads go on', () => {
    const device = newDevice();
    const broken = failing(device);
    device.write([pattern(4096)], 0);
    expect(code(() => broken.write([pattern(4096)], 0))).toBe('EIO');
    expect(() => device.write([pattern(4096)], 0)).toThrow(/EIO.*an earlier write failed/);
    expect(() => device.write(pagesOf(pattern(8192)), 0)).toThrow(/an earlier write failed/);
    expect(() => device.flush()).toThrow(/an earlier write failed/);
    const back = allocateAligned(4096);
    expect(device.read([back], 0)).toBe(4096);
    expect(equal(back, pattern(4096))).toBe(true);
    closeSync(broken.fd);
  });

  it('of a flush latches too', () => {
    const device = newDevice();
    // The host flushes no character device.
    const fd = openSync('/dev/null', 'r');
    const broken = HostDevice.fromHandle({ ...device.share(), fd });
    expect(code(() => broken.flush())).toBe('EIO');
    expect(() => device.write([pattern(4096)], 0)).toThrow(/an earlier write failed/);
    closeSync(fd);
  });

  it('is seen by other threads, and theirs here', async () => {
    const device = newDevice();
    const code = `
      const { workerData, parentPort } = require('node:worker_threads');
      import(workerData.module).then(({ HostDevice }) => {
        const device = HostDevice.fromHandle({ ...workerData.handle, fd: workerData.fd });
        const page = new Uint8Array(new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true }).buffer, 0, 4096);
        const answer = { read: device.read([page], 0) };
        try { device.write([page], 0); } catch (error) { answer.code = error.code; }
        parentPort.postMessage(answer);
      });`;
    const fd = openSync(device.path, 'r');
    const module = new URL('../../dist/src/device/host-device.js', import.meta.url).href;
    const worker = new Worker(code, { eval: true, workerData: { module, handle: device.share(), fd } });
    const answer = await new Promise((resolve, reject) => worker.on('message', resolve).on('error', reject));
    await worker.terminate();
    expect(answer).toEqual({ read: 4096, code: 'EIO' });
    expect(() => device.write([pattern(4096)], 0)).toThrow(/an earlier write failed/);
    closeSync(fd);
  });

  it('of a read latches nothing', () => {
    const device = newDevice();
    const fd = openSync(device.path, 'a');
    const unreadable = HostDevice.fromHandle({ ...device.share(), fd });
    expect(code(() => unreadable.read([allocateAligned(4096)], 0))).toBe('EIO');
    expect(device.write([pattern(4096)], 0)).toBe(4096);
    closeSync(fd);
  });
});

describe('discard', () => {
  it.skipIf(hostExtensions() === null)('gives blocks of the file back; the range reads as zeros', () => {
    const device = newDevice(4 * MIB);
    device.write([pattern(4 * MIB)], 0);
    device.flush();
    const before = statSync(device.path).blocks;
    expect(device.canDiscard).toBe(true);
    device.discard(MIB, 2 * MIB);
    expect(before - statSync(device.path).blocks).toBe((2 * MIB) / 512);
    expect(statSync(device.path).size).toBe(4 * MIB);
    const back = allocateAligned(4 * MIB);
    device.read([back], 0);
    expect(back.subarray(MIB, 3 * MIB).every((byte) => byte === 0)).toBe(true);
    expect(equal(back.subarray(3 * MIB), pattern(4 * MIB).subarray(3 * MIB))).toBe(true);
    device.discard(0, 0);
  });

  it('is given up where the host refuses it, and is no error', () => {
    const device = newDevice();
    const fd = openSync(device.path, 'r');
    const refusing = HostDevice.fromHandle({ ...device.share(), fd });
    refusing.discard(0, 4096);
    expect(device.canDiscard).toBe(false);
    expect(device.write([pattern(4096)], 0)).toBe(4096);
    closeSync(fd);
  });
});

describe('a path through a symbolic link', () => {
  it('is the same device', () => {
    const device = newDevice();
    const link = newPath();
    symlinkSync(device.path, link);
    expect(code(() => open(link))).toBe('EBUSY');
    device.close();
    expect(open(link).sizeBytes).toBe(4 * MIB);
  });
});
