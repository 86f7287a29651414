/** Real block devices: loop devices, which need root. Every one is detached again. */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, statSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { allocateAligned } from '#dist/src/device/aligned-memory.js';
import { deviceNumber } from '#dist/src/device/block-attributes.js';
import { type HostDevice, type OpenHostDeviceOptions, openHostDevice } from '#dist/src/device/host-device.js';
import { hostExtensions } from '#dist/src/device/host-extensions.js';
import { tryOpen } from '../support/claimant.js';
import { attachLoop, detachLoop, noLoopDevices } from '../support/loop-device.js';
import { temporaryDirectory } from '../support/temporary.js';

const MIB = 1024 * 1024;
const directory = temporaryDirectory();
let files = 0;

function newImage(sizeBytes = 16 * MIB): string {
  files += 1;
  const path = join(directory, `backing-${files}.img`);
  writeFileSync(path, '');
  truncateSync(path, sizeBytes);
  return path;
}

const why = noLoopDevices(newImage());
const loops: string[] = [];
const opened: HostDevice[] = [];

function attach(image: string, ...options: string[]): string {
  const loop = attachLoop(image, ...options);
  loops.push(loop);
  return loop;
}

function open(path: string, options: OpenHostDeviceOptions = {}): HostDevice {
  const device = openHostDevice(path, options);
  opened.push(device);
  return device;
}

afterEach(() => {
  for (const device of opened.splice(0)) device.close();
  for (const loop of loops.splice(0)) detachLoop(loop);
});

describe.skipIf(why !== null)(`a loop device${why === null ? '' : ` (skipped: ${why})`}`, () => {
  it('has the size of its backing file, and is read and written directly to its end', () => {
    const image = newImage(16 * MIB);
    const device = open(attach(image));
    expect(device.sizeBytes).toBe(16 * MIB);
    expect(device.io).toBe('direct');
    const content = allocateAligned(MIB).fill(0x5a);
    expect(device.write([content], 15 * MIB)).toBe(MIB);
    device.flush();
    expect(
      readFileSync(image)
        .subarray(15 * MIB)
        .equals(content),
    ).toBe(true);
    const back = allocateAligned(2 * MIB);
    expect(device.read([back], 15 * MIB)).toBe(MIB);
    expect(() => device.write([content], 15 * MIB + 4096)).toThrow(/EIO.*past the end/);
    expect(() => device.resize(MIB)).toThrow(/EINVAL.*block device/);
  });

  it('is claimed exclusively: in the process, between processes, through another name', async () => {
    const loop = attach(newImage());
    const device = open(loop);
    expect(device.claimedBy).toBe('exclusive open');
    expect(() => open(loop)).toThrow(/EBUSY/);
    expect(() => open(loop, { readOnly: true })).toThrow(/EBUSY/);
    const link = join(directory, 'link-to-loop');
    symlinkSync(loop, link);
    expect((await tryOpen(link)).code).toBe('EBUSY');
    device.close();
    expect((await tryOpen(link)).sizeBytes).toBe(16 * MIB);
    rmSync(link);
  });

  it('is refused while it is mounted', (context) => {
    const loop = attach(newImage());
    const mountPoint = join(directory, 'mounted');
    mkdirSync(mountPoint, { recursive: true });
    if (spawnSync('mkfs.ext4', ['-q', loop]).status !== 0) context.skip('no mkfs.ext4');
    if (spawnSync('mount', [loop, mountPoint]).status !== 0) context.skip('cannot mount');
    try {
      expect(() => open(loop)).toThrow(/EBUSY.*mounted/);
    } finally {
      execFileSync('umount', [mountPoint]);
    }
  });

  it('opens for reading alone when the host says that it is read-only', () => {
    const loop = attach(newImage(), '-r');
    expect(() => open(loop)).toThrow(/EROFS.*read-only/);
    expect(open(loop, { readOnly: true }).sizeBytes).toBe(16 * MIB);
  });

  it('may have sectors of 4096 bytes', () => {
    const device = open(attach(newImage(), '-b', '4096'));
    expect(device.sectorBytes).toBe(4096);
    expect(device.io).toBe('direct');
    expect(device.write([allocateAligned(4096)], 4096)).toBe(4096);
  });

  it.skipIf(hostExtensions() === null)('passes discards down to its backing file', () => {
    const image = newImage();
    const device = open(attach(image));
    device.write([allocateAligned(4 * MIB).fill(1)], 4 * MIB);
    device.flush();
    expect(device.canDiscard).toBe(true);
    const before = statSync(image).blocks;
    device.discard(5 * MIB, 2 * MIB);
    expect(before - statSync(image).blocks).toBe((2 * MIB) / 512);
    const back = allocateAligned(4 * MIB);
    device.read([back], 4 * MIB);
    expect([back[0], back[MIB], back[3 * MIB - 1], back[3 * MIB]]).toEqual([1, 0, 0, 1]);
  });

  it('may be a partition', (context) => {
    const image = newImage();
    const loop = attach(image);
    const name = `${basename(loop)}p1`;
    if (spawnSync('addpart', [loop, '1', '2048', '8192']).status !== 0) context.skip('cannot add a partition');
    const node = join(directory, name);
    const [major, minor] = readFileSync(`/sys/class/block/${name}/dev`, 'utf8').trim().split(':');
    if (spawnSync('mknod', [node, 'b', major!, minor!]).status !== 0) context.skip('cannot make a device node');
    const device = open(node);
    expect(device.sizeBytes).toBe(8192 * 512);
    expect(device.sectorBytes).toBe(512);
    device.write([allocateAligned(4096).fill(9)], 0);
    device.flush();
    expect(readFileSync(image)[2048 * 512]).toBe(9);
    expect(() => open(loop)).toThrow(/EBUSY/);
    device.close();
    rmSync(node);
    execFileSync('delpart', [loop, '1']);
  });

  it('keeps its code when the medium is full, and latches', (context) => {
    const mountPoint = join(directory, 'small');
    mkdirSync(mountPoint, { recursive: true });
    if (spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'none', mountPoint]).status !== 0) {
      context.skip('cannot mount tmpfs');
    }
    try {
      const device = openHostDevice(join(mountPoint, 'full.img'), { create: 8 * MIB });
      const content = allocateAligned(4 * MIB).fill(3);
      expect(() => device.write([content], 0)).toThrow(/^ENOSPC/);
      expect(() => device.write([content.subarray(0, 4096)], 0)).toThrow(/^ENOSPC.*an earlier write failed/);
      device.close();
    } finally {
      execFileSync('umount', [mountPoint]);
    }
  });
});

describe('device numbers', () => {
  it.each([
    [0x0700n, '7:0'],
    [0x10301n, '259:1'],
    [(259n << 8n) | 0xffn | (0xfff00n << 12n), '259:1048575'],
    [(0xfffn << 8n) | (1n << 44n), '8191:0'],
  ])('%s is %s', (rdev, expected) => {
    expect(deviceNumber(Number(rdev))).toBe(expected);
  });
});
