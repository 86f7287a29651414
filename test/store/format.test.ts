import { statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { openHostDevice } from '#dist/src/device/host-device.js';
import { MemoryDevice } from '#dist/src/device/memory-device.js';
import { detectSignature } from '#dist/src/device/signature.js';
import { StoreError } from '#dist/src/errors.js';
import {
  DiskState,
  readSuperblock,
  SUPERBLOCK_BYTES,
  type Superblock,
  verifySuperblock,
} from '#dist/src/format/superblock.js';
import { checkDevice } from '#dist/src/store/check.js';
import { type FormatOptions, formatDevice } from '#dist/src/store/format-store.js';
import { temporaryDirectory } from '../support/temporary.js';

const UUID = Uint8Array.from({ length: 16 }, (_, i) => 16 * i + i);

function optionsOf(options: Partial<FormatOptions> = {}): FormatOptions {
  return { blockBytes: 4096, label: '', dataChecksums: false, now: 1_700_000_000_000, uuid: UUID, ...options };
}

function superblockOf(device: MemoryDevice, block = 0, blockBytes = 4096): Superblock {
  const bytes = new Uint8Array(SUPERBLOCK_BYTES);
  device.read([bytes], block * blockBytes);
  expect(verifySuperblock(bytes, block)).toBeNull();
  return readSuperblock(new DataView(bytes.buffer));
}

/** The error's code and message, with the device as it was. */
function refusal(sizeBytes: number, options: Partial<FormatOptions> = {}): { code: string; message: string } {
  const device = new MemoryDevice(sizeBytes);
  device.onWrite = () => {
    throw new Error('written');
  };
  try {
    formatDevice(device, optionsOf(options));
  } catch (error) {
    return error as StoreError;
  }
  throw new Error('it was formatted');
}

const GIB = 2 ** 30;
const TIB = 2 ** 40;

describe('formatDevice', () => {
  it('makes an empty store that a check finds clean, of any block size and device size', () => {
    for (const blockBytes of [4096, 8192, 16384, 32768, 65536]) {
      for (const sizeBytes of [64 * blockBytes, 65 * blockBytes, 16 * 2 ** 20, 3 * GIB, TIB]) {
        const device = new MemoryDevice(sizeBytes);
        formatDevice(device, optionsOf({ blockBytes, label: 'naïve' }));
        const report = checkDevice(device);
        expect(report.errors).toEqual([]);
        expect(report.counts).toMatchObject({ files: 0, inodes: 0, nameBlocks: 1 });
        const superblock = superblockOf(device, 0, blockBytes);
        expect(superblock).toMatchObject({ label: 'naïve', blockBytes, state: DiskState.Clean, groupsInitialised: 1 });
        expect(superblock.createdMs).toBe(1_700_000_000_000);
        expect([...superblock.uuid]).toEqual([...UUID]);
        expect(superblockOf(device, superblock.blocks - 1, blockBytes)).toMatchObject({
          nameRoot: superblock.nameRoot,
        });
        expect(device.allocatedBytes).toBeLessThanOrEqual(6 * 65536);
      }
    }
  });

  it('goes up to 16 TiB at 4 KiB blocks, and no further', () => {
    const device = new MemoryDevice(16 * TIB);
    formatDevice(device, optionsOf());
    expect(superblockOf(device).blocks).toBe(2 ** 32 - 2);
    expect(refusal(16 * TIB + 4096)).toMatchObject({ code: 'EFBIG' });
    formatDevice(new MemoryDevice(17 * TIB), optionsOf({ blockBytes: 8192 }));
  });

  it('leaves a last group of no use out', () => {
    const group = (4096 - 32) * 8;
    for (const rest of [0, 1, 2, 40]) {
      const device = new MemoryDevice((group + rest) * 4096);
      formatDevice(device, optionsOf());
      expect(superblockOf(device)).toMatchObject(
        rest < 16 ? { blocks: group, groups: 1 } : { blocks: group + rest, groups: 2 },
      );
      expect(checkDevice(device).errors).toEqual([]);
    }
  });

  it('refuses what cannot be, before anything is written', () => {
    expect(refusal(63 * 4096)).toMatchObject({ code: 'EINVAL' });
    expect(refusal(63 * 4096).message).toContain('needs at least 262144');
    expect(refusal(0).message).toContain('needs at least 262144');
    expect(refusal(2 ** 20 + 512).message).toMatch(/EINVAL.*no multiple of the block size, 4096/);
    expect(refusal(2 ** 20 + 4096, { blockBytes: 65536 }).message).toContain('no multiple of the block size, 65536');
    for (const blockBytes of [0, 512, 2048, 4097, 12288, 131072, 4096.5, Number.NaN, -4096]) {
      expect(refusal(2 ** 24, { blockBytes }).message).toContain('a power of two from 4096 to 65536');
    }
    expect(refusal(2 ** 24, { label: 'x'.repeat(65) })).toMatchObject({ code: 'EINVAL' });
    expect(refusal(2 ** 24, { label: 'ä'.repeat(33) })).toMatchObject({ code: 'EINVAL' });
    expect(refusal(2 ** 24, { label: 'a\0b' })).toMatchObject({ code: 'EINVAL' });
    for (const journalBytes of [0, 100, 2 ** 24, TIB]) {
      expect(refusal(2 ** 24, { journalBytes })).toMatchObject({ code: 'EINVAL' });
    }
    expect(refusal(2 ** 24, { blocksPerGroup: 33 })).toMatchObject({ code: 'EINVAL' });
  });

  it('takes the journal size that is asked for', () => {
    const device = new MemoryDevice(2 ** 30);
    formatDevice(device, optionsOf({ journalBytes: 64 * 2 ** 20 }));
    expect(superblockOf(device)).toMatchObject({ journalStart: 2, journalBlocks: 16384, nameRoot: 16386 });
    expect(checkDevice(device).errors).toEqual([]);
  });

  it('wipes what other formats leave at both ends', () => {
    const device = new MemoryDevice(2 ** 25);
    device.write([new Uint8Array(2 ** 25).fill(0x55)], 0);
    formatDevice(device, optionsOf());
    expect(detectSignature(device)).toMatchObject({ kind: 'store' });
    const bytes = new Uint8Array(2 ** 25);
    device.read([bytes], 0);
    const zeroes = (from: number, to: number): boolean => bytes.subarray(from, to).every((byte) => byte === 0);
    const { nameRoot } = superblockOf(device);
    // The two heads of the journal follow the superblock and the first bitmap.
    expect(zeroes(4 * 4096, 2 ** 20)).toBe(true);
    expect(nameRoot * 4096).toBeGreaterThan(2 ** 20);
    expect(zeroes(2 ** 25 - 2 ** 20, 2 ** 25 - 4096)).toBe(true);
    expect(checkDevice(device).errors).toEqual([]);
  });

  it('leaves no store behind when it is cut short, neither the old nor half a new one', () => {
    for (let cut = 0; ; cut++) {
      const device = new MemoryDevice(2 ** 22);
      formatDevice(device, optionsOf({ label: 'old' }));
      let writes = 0;
      device.onWrite = () => {
        if (writes++ === cut) throw new StoreError('EIO', { syscall: 'write' });
        return undefined;
      };
      let isDone = true;
      try {
        formatDevice(device, optionsOf({ label: 'new', blockBytes: 8192 }));
      } catch (error) {
        expect(error).toMatchObject({ code: 'EIO' });
        isDone = false;
      }
      if (isDone) {
        expect(cut).toBeGreaterThan(3);
        break;
      }
      const bytes = new Uint8Array(SUPERBLOCK_BYTES);
      device.read([bytes], 0);
      // The first write is the one that takes the old store away.
      if (cut > 0) expect(verifySuperblock(bytes, 0)).not.toBeNull();
    }
  });

  const onDisk = temporaryDirectory();

  it('keeps a sparse image sparse', () => {
    const path = join(onDisk, 'sparse.img');
    const device = openHostDevice(path, { create: TIB });
    try {
      const start = performance.now();
      formatDevice(device, optionsOf());
      expect(performance.now() - start).toBeLessThan(5000);
      expect(checkDevice(device).errors).toEqual([]);
    } finally {
      device.close();
    }
    expect(statSync(path).size).toBe(TIB);
    expect(statSync(path).blocks * 512).toBeLessThan(2 ** 20);
  });
});
