import { spawnSync } from 'node:child_process';
import { truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { openHostDevice } from '#dist/src/device/host-device.js';
import { MemoryDevice } from '#dist/src/device/memory-device.js';
import { describeSignature, detectSignature } from '#dist/src/device/signature.js';
import { geometryFor, superblockCopyBlock } from '#dist/src/format/geometry.js';
import { temporaryDirectory } from '../support/temporary.js';

const SIZE = 64 * 1024 * 1024;

/** What is found on a device that holds these bytes at these places, and zeros. */
function found(...content: [position: number, bytes: string][]): string | null {
  const device = new MemoryDevice(SIZE);
  for (const [position, bytes] of content) device.write([Buffer.from(bytes, 'latin1')], position);
  const signature = detectSignature(device);
  return signature === null ? null : describeSignature(signature);
}

const BOOT: [number, string] = [510, '\x55\xaa'];
const PARTITION: [number, string] = [446, '\x80\0\0\0\x83\0\0\0\0\x08\0\0\0\x20\0\0'];

describe('signatures', () => {
  it('finds none on an empty device, or on one with other content', () => {
    expect(found()).toBeNull();
    expect(found([0, 'hello'], [5000, 'world'])).toBeNull();
    expect(detectSignature(new MemoryDevice(0))).toBeNull();
    expect(detectSignature(new MemoryDevice(1000))).toBeNull();
  });

  it.each([
    ['Emmental store', [[0, 'EMMENTAL']]],
    ['XFS file system', [[0, 'XFSB']]],
    ['btrfs file system', [[65600, '_BHRfS_M']]],
    ['f2fs file system', [[1024, '\x10\x20\xf5\xf2']]],
    ['NTFS file system', [[3, 'NTFS    '], BOOT]],
    ['exFAT file system', [[3, 'EXFAT   '], BOOT]],
    ['FAT file system', [[82, 'FAT32   '], BOOT]],
    ['FAT file system', [[54, 'FAT16   '], BOOT]],
    ['ISO 9660 file system', [[32769, 'CD001']]],
    ['squashfs file system', [[0, 'hsqs']]],
    ['EROFS file system', [[1024, '\xe2\xe1\xf5\xe0']]],
    ['LUKS encrypted volume', [[0, 'LUKS\xba\xbe\0\x02']]],
    [
      'LVM2 physical volume',
      [
        [512, 'LABELONE'],
        [536, 'LVM2 001'],
      ],
    ],
    ['md RAID member', [[4096, '\xfc\x4e\x2b\xa9']]],
    ['md RAID member', [[0, '\xfc\x4e\x2b\xa9']]],
    ['md RAID member', [[SIZE - 65536, '\xfc\x4e\x2b\xa9']]],
    ['md RAID member', [[SIZE - 8192, '\xfc\x4e\x2b\xa9']]],
    ['ZFS pool member', [[128 * 1024 + 5 * 1024, '\x0c\xb1\xba\0\0\0\0\0']]],
    ['Linux swap', [[4086, 'SWAPSPACE2']]],
    ['Linux swap', [[65526, 'SWAPSPACE2']]],
    ['GPT partition table', [[512, 'EFI PART'], BOOT, PARTITION]],
    ['GPT partition table', [[4096, 'EFI PART']]],
    ['GPT partition table (backup)', [[SIZE - 512, 'EFI PART']]],
    ['MBR partition table', [BOOT, PARTITION]],
    ['boot sector', [BOOT]],
    ['SQLite database', [[0, 'SQLite format 3\0']]],
    ['qcow2 image', [[0, 'QFI\xfb']]],
  ] as [string, [number, string][]][])('finds: %s', (name, content) => {
    expect(found(...content)).toBe(name);
  });

  it('is not misled by the boot mark alone with impossible partitions', () => {
    expect(found(BOOT, [446, '\x17'])).toBeNull();
  });

  it.each([4096, 65536])('knows a store of %i-byte blocks by its last block when the first is gone', (blockBytes) => {
    const copyAt = superblockCopyBlock(geometryFor(SIZE, blockBytes)!) * blockBytes;
    expect(found([copyAt, 'EMMENTAL'])).toBe('Emmental store with a damaged first block');
  });

  describe('made by the real tools', () => {
    const directory = temporaryDirectory();

    it.for<[name: string, tool: string, options: string[]]>([
      ['ext4 file system', 'mkfs.ext4', ['-q', '-F']],
      ['ext3 file system', 'mkfs.ext3', ['-q', '-F']],
      ['ext2 file system', 'mkfs.ext2', ['-q', '-F']],
      ['XFS file system', 'mkfs.xfs', ['-q', '-f']],
      ['btrfs file system', 'mkfs.btrfs', ['-q', '-f']],
      ['FAT file system', 'mkfs.vfat', []],
      ['Linux swap', 'mkswap', []],
    ])('%s', ([name, tool, options], context) => {
      const path = join(directory, `${tool}.img`);
      writeFileSync(path, '');
      truncateSync(path, 320 * 1024 * 1024);
      const made = spawnSync(tool, [...options, path], { stdio: 'ignore' });
      if (made.error !== undefined) context.skip(`no ${tool}`);
      const device = openHostDevice(path, { readOnly: true });
      const signature = detectSignature(device);
      device.close();
      expect(signature && describeSignature(signature)).toBe(name);
    });
  });
});
