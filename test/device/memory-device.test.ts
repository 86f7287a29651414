import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { MemoryDevice } from '#dist/src/device/memory-device.js';
import { StoreError } from '#dist/src/errors.js';

const SIZE = 300_000;

const piece = fc.record({
  position: fc.integer({ min: 0, max: SIZE }),
  lengths: fc.array(fc.integer({ min: 0, max: 90_000 }), { minLength: 1, maxLength: 4 }),
});
const step = fc.record({
  what: fc.constantFrom('write', 'read', 'discard'),
  piece,
  fill: fc.integer({ min: 1, max: 255 }),
});

describe('a device in memory', () => {
  it('keeps bytes like an array', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 20 }), (steps) => {
        const device = new MemoryDevice(SIZE);
        const model = Buffer.alloc(SIZE);
        for (const { what, piece: at, fill } of steps) {
          const buffers = at.lengths.map((length, i) => new Uint8Array(length).fill(fill + i));
          const length = at.lengths.reduce((a, b) => a + b, 0);
          const end = Math.min(SIZE, at.position + length);
          if (what === 'discard') {
            device.discard(at.position, length);
            model.fill(0, at.position, end);
          } else if (what === 'read') {
            expect(device.read(buffers, at.position)).toBe(end - at.position);
            const got = Buffer.concat(buffers).subarray(0, end - at.position);
            expect(got.equals(model.subarray(at.position, end))).toBe(true);
          } else if (at.position + length > SIZE) {
            expect(() => device.write(buffers, at.position)).toThrow(/EIO.*past the end/);
          } else {
            expect(device.write(buffers, at.position)).toBe(length);
            model.set(Buffer.concat(buffers), at.position);
          }
        }
        const all = new Uint8Array(SIZE);
        device.clone().read([all], 0);
        expect(Buffer.compare(all, model)).toBe(0);
      }),
    );
  });

  it('allocates what is written, whatever its size', () => {
    const device = new MemoryDevice(2 ** 50);
    const page = new Uint8Array(4096).fill(1);
    device.write([page], 2 ** 50 - 4096);
    device.write([page], 2 ** 40);
    expect(device.allocatedBytes).toBeLessThan(200_000);
    const back = new Uint8Array(8192);
    expect(device.read([back], 2 ** 40)).toBe(8192);
    expect([back[4095], back[4096]]).toEqual([1, 0]);
    device.discard(2 ** 40 - 65536, 2 * 65536);
    expect(device.allocatedBytes).toBe(16_384);
  });

  it('fails where a hook says so, and latches like a real device', () => {
    const device = new MemoryDevice(65536);
    const page = new Uint8Array(4096).fill(1);
    device.onWrite = (position) => (position === 8192 ? 1024 : undefined);
    device.write([page], 0);
    expect(() => device.write([page], 8192)).toThrow(/EIO.*after 1024 bytes/);
    device.onWrite = undefined;
    expect(() => device.write([page], 0)).toThrow(/EIO.*an earlier write failed/);
    expect(() => device.flush()).toThrow(/an earlier write failed/);
    const back = new Uint8Array(4096);
    expect(device.read([back], 8192)).toBe(4096);
    expect([back[1023], back[1024]]).toEqual([1, 0]);
    expect(device.clone().write([page], 0)).toBe(4096);
  });

  it('fails a flush or a read by its hooks; a read latches nothing', () => {
    const device = new MemoryDevice(65536, {
      onRead: () => {
        throw new StoreError('EIO', { detail: 'planted' });
      },
    });
    expect(() => device.read([new Uint8Array(4096)], 0)).toThrow(/planted/);
    device.onRead = () => 512;
    expect(() => device.read([new Uint8Array(4096)], 0)).toThrow(/after 512 bytes/);
    expect(device.write([new Uint8Array(4096)], 0)).toBe(4096);
    device.onFlush = () => {
      throw new StoreError('ENOSPC', { detail: 'planted' });
    };
    expect(() => device.flush()).toThrow(/ENOSPC.*planted/);
    expect(() => device.write([new Uint8Array(4096)], 0)).toThrow(/ENOSPC.*an earlier write failed/);
  });

  it('shows its hooks every operation', () => {
    const seen: unknown[] = [];
    const device = new MemoryDevice(65536, {
      onRead: (...range) => void seen.push(['read', ...range]),
      onWrite: (...range) => void seen.push(['write', ...range]),
      onFlush: () => void seen.push(['flush']),
      onDiscard: (...range) => void seen.push(['discard', ...range]),
    });
    device.write([new Uint8Array(4096), new Uint8Array(4096)], 4096);
    device.flush();
    device.discard(0, 4096);
    device.read([new Uint8Array(8192)], 61440);
    expect(seen).toEqual([['write', 4096, 8192], ['flush'], ['discard', 0, 4096], ['read', 61440, 4096]]);
  });

  it('takes no writes when it is read-only', () => {
    const device = new MemoryDevice(65536, { readOnly: true });
    expect(() => device.write([new Uint8Array(4096)], 0)).toThrow(/EROFS/);
    device.flush();
    device.discard(0, 65536);
  });
});
