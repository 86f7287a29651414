/** Stores with a checksum for each data block: what is verified, what stays right, and what a repair does. */
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { MemoryDevice } from '#dist/src/device/memory-device.js';
import { BlockKind, verifyBlock } from '#dist/src/format/block-header.js';
import { checkDevice } from '#dist/src/store/check.js';
import type { SyncFile } from '#dist/src/worker.js';
import { expectBytes, pattern } from '../support/bytes.js';
import { type InMemory, inMemory } from '../support/in-memory.js';

const FORMAT = { dataChecksums: true };

for (const blockBytes of [4096, 16_384]) {
  describe(`data checksums, blocks of ${blockBytes}`, () => {
    const BLOCKS = 1024;
    let device: MemoryDevice;
    let mounted: InMemory;

    beforeEach(() => {
      device = new MemoryDevice(BLOCKS * blockBytes);
      mounted = inMemory(device, { format: FORMAT, blockBytes });
    });

    /** Goes on with an empty cache. */
    function reopen(): void {
      mounted.unmount();
      mounted = inMemory(device, { blockBytes });
    }

    function open(name: string): SyncFile {
      return mounted.store.open(name, mounted.store.exists(name) ? 'r+' : 'w+');
    }

    function write(name: string, bytes: Uint8Array, position = 0): void {
      const file = open(name);
      expect(file.write(bytes, 0, bytes.length, position).bytesWritten).toBe(bytes.length);
      file.close();
    }

    function read(name: string): Uint8Array {
      const file = open(name);
      const bytes = new Uint8Array(file.stat().size);
      file.read(bytes, 0, bytes.length, 0);
      file.close();
      return bytes;
    }

    /** The device block of a page, once everything is written back. */
    function blockOf(name: string, page: number): number {
      const file = open(name);
      const extent = file.extents().find(({ position, length }) => {
        return position <= page * blockBytes && page * blockBytes < position + length;
      });
      file.close();
      return (extent!.devicePosition - extent!.position) / blockBytes + page;
    }

    function flip(block: number, at = 100): void {
      const bytes = new Uint8Array(blockBytes);
      device.read([bytes], block * blockBytes);
      bytes[at] ^= 4;
      device.write([bytes], block * blockBytes);
    }

    function metadata(kind: BlockKind): number[] {
      const bytes = new Uint8Array(blockBytes);
      return Array.from({ length: BLOCKS }, (_, block) => block).filter((block) => {
        device.read([bytes], block * blockBytes);
        return verifyBlock(bytes, block, kind) === null;
      });
    }

    it('are said by statfs, and a clean store checks clean', () => {
      expect(mounted.store.statfs().dataChecksums).toBe(true);
      write('a', pattern(10 * blockBytes + 7));
      expect(mounted.finish()).toMatchObject({ clean: true });
    });

    it('make a flipped bit an error that names the file and the position, for every way to read', () => {
      write('a', pattern(5 * blockBytes, 1));
      const block = blockOf('a', 3);
      reopen();
      flip(block);
      const file = open('a');
      const buffer = new Uint8Array(5 * blockBytes);
      const named = expect.objectContaining({
        code: 'EIO',
        path: 'a',
        message: expect.stringContaining(`position ${3 * blockBytes} of inode`),
      });
      expect(() => file.read(buffer, 0, 10, 3 * blockBytes + 5)).toThrow(named);
      expect(() => file.read(buffer, 0, buffer.length, 0)).toThrow(named);
      expect(() => file.pin(3 * blockBytes)).toThrow(named);
      expect(() => file.write(buffer, 0, 10, 3 * blockBytes + 5)).toThrow(named);
      expect(() => file.punchHole(3 * blockBytes + 1, 10)).toThrow(named);
      expect(() => file.truncate(3 * blockBytes + 1)).toThrow(named);
      // The others can be read, and a new content of the page ends it.
      expectBytes(
        buffer.subarray(0, file.read(buffer, 0, 3 * blockBytes, 0).bytesRead),
        pattern(5 * blockBytes, 1).subarray(0, 3 * blockBytes),
      );
      file.write(pattern(blockBytes, 9), 0, blockBytes, 3 * blockBytes);
      file.close();
      reopen();
      expectBytes(read('a').subarray(3 * blockBytes, 4 * blockBytes), pattern(blockBytes, 9));
      expect(mounted.finish()).toMatchObject({ clean: true });
    });

    it('hold for what never was written', () => {
      const file = open('holes');
      file.truncate(20 * blockBytes);
      file.fallocate(4 * blockBytes, 4 * blockBytes);
      file.close();
      reopen();
      expect(read('holes').every((byte) => byte === 0)).toBe(true);
      write('holes', pattern(blockBytes), 5 * blockBytes);
      reopen();
      expectBytes(read('holes').subarray(5 * blockBytes, 6 * blockBytes), pattern(blockBytes));
      expect(mounted.finish()).toMatchObject({ clean: true });
    });

    it('never write over a block that the last commit knows', () => {
      write('a', pattern(8 * blockBytes, 1));
      mounted.store.sync();
      const blocks = Array.from({ length: 8 }, (_, page) => blockOf('a', page));
      const before = device.clone();
      write('a', pattern(8 * blockBytes, 2));
      write('a', pattern(100, 3), 77);
      const overwritten = new Set<number>();
      device.onWrite = (position, length) => {
        for (const block of blocks) {
          if (position < (block + 1) * blockBytes && position + length > block * blockBytes) overwritten.add(block);
        }
        return undefined;
      };
      const { task, engine } = mounted.session;
      const slot = mounted.session.run('test', mounted.session.namespace.find(task, Buffer.from('a')));
      expect(mounted.session.run('test', engine.cache.writeRange(task, slot, 0, 8, { wait: true }))).toBeNull();
      mounted.session.run('test', engine.inodes.release(task, slot));
      expect(overwritten).toEqual(new Set());
      device.onWrite = undefined;
      mounted.store.sync();
      expect(blockOf('a', 3)).not.toBe(blocks[3]);
      const expected = pattern(8 * blockBytes, 2);
      expected.set(pattern(100, 3), 77);
      reopen();
      expectBytes(read('a'), expected);
      expect(mounted.finish()).toMatchObject({ clean: true });
      expect(before.sizeBytes).toBe(device.sizeBytes);
    });

    it('rewrite a full store as long as a block is free, and then say ENOSPC and lose nothing', () => {
      const file = open('big');
      let size = 0;
      const content = pattern(blockBytes, 5);
      try {
        for (;;) size += file.write(content, 0, blockBytes, size).bytesWritten;
      } catch (error) {
        expect(error).toMatchObject({ code: 'ENOSPC' });
      }
      file.sync();
      let rewritten = 0;
      for (let position = 0; position < size; position += blockBytes) {
        try {
          rewritten += file.write(pattern(blockBytes, 6), 0, blockBytes, position).bytesWritten;
          file.sync();
        } catch (error) {
          expect(error).toMatchObject({ code: 'ENOSPC' });
          break;
        }
      }
      expect(rewritten).toBeGreaterThan(0);
      // Space can be freed all the same.
      file.punchHole(blockBytes + 10, 20 * blockBytes);
      file.sync();
      expect(file.write(pattern(blockBytes, 7), 0, blockBytes, 30 * blockBytes).bytesWritten).toBe(blockBytes);
      file.close();
      reopen();
      expectBytes(read('big').subarray(30 * blockBytes, 31 * blockBytes), pattern(blockBytes, 7));
      expect(mounted.finish()).toMatchObject({ clean: true });
    });

    it('keep a stale map from showing what is another file by now', () => {
      // New files begin where chance says: let it say the same of this file and of those that shall take its blocks.
      vi.spyOn(mounted.session.task.driver, 'random').mockReturnValue(0);
      write('first', pattern(3 * blockBytes, 1));
      reopen();
      const [inodes] = metadata(BlockKind.Inodes);
      const stale = new Uint8Array(blockBytes);
      device.read([stale], inodes * blockBytes);
      const blocks = [0, 1, 2].map((page) => blockOf('first', page));
      const file = open('first');
      file.truncate(0);
      file.close();
      mounted.store.sync();
      vi.spyOn(mounted.session.task.driver, 'random').mockReturnValue(0);
      const taken = new Set<number>();
      for (let i = 0; i < 400 && !blocks.every((block) => taken.has(block)); i++) {
        write(`other-${i}`, pattern(2 * blockBytes, i + 10));
        for (const page of [0, 1]) taken.add(blockOf(`other-${i}`, page));
      }
      mounted.unmount();
      const back = [...taken].filter((block) => blocks.includes(block));
      expect(back.length).toBeGreaterThan(0);
      // The write of the inode's block was lost: the map is the old one.
      device.write([stale], inodes * blockBytes);
      mounted = inMemory(device, { blockBytes });
      const again = open('first');
      for (let page = 0; page < 3; page++) {
        const bytes = new Uint8Array(blockBytes);
        if (taken.has(blocks[page])) expect(() => again.read(bytes, 0, 1, page * blockBytes)).toThrow(/checksum/);
      }
      again.close();
      mounted.unmount();
    });

    it('are verified by check, which names the file; a repair leaves such a page an error', () => {
      write('a', pattern(5 * blockBytes, 1));
      write('b', pattern(3 * blockBytes, 2));
      const block = blockOf('a', 2);
      mounted.unmount();
      flip(block);
      const report = checkDevice(device);
      expect(report.errors).toEqual([expect.objectContaining({ code: 'DATA', block, name: 'a' })]);
      const repaired = checkDevice(device, { repair: true });
      expect(repaired.errors).toEqual(report.errors);
      mounted = inMemory(device, { blockBytes });
      expectBytes(read('b'), pattern(3 * blockBytes, 2));
      expect(() => read('a')).toThrow(/position.*checksum/);
      mounted.store.unlink('a');
      expect(mounted.finish()).toMatchObject({ clean: true });
    });

    it('that are damaged themselves are found, named, and made anew', () => {
      write('a', pattern(5 * blockBytes, 1));
      mounted.unmount();
      const tables = metadata(BlockKind.Checksums);
      expect(tables).toHaveLength(1);
      flip(tables[0]);
      const report = checkDevice(device);
      expect(report.errors.some(({ code, block }) => code === 'CHECKSUM_BLOCK' && block === tables[0])).toBe(true);
      mounted = inMemory(device, { blockBytes });
      expect(() => read('a')).toThrow(/EUCLEAN.*checksum block/);
      mounted.unmount();
      const repaired = checkDevice(device, { repair: true });
      expect(repaired).toMatchObject({ clean: true });
      expect(repaired.repaired.join()).toMatch(/checksum block 0 of group 0 anew/);
      mounted = inMemory(device, { blockBytes });
      expectBytes(read('a'), pattern(5 * blockBytes, 1));
      write('a', pattern(5 * blockBytes, 2));
      expect(mounted.finish()).toMatchObject({ clean: true });
    });

    it('survive a repair of the bitmap', () => {
      write('a', pattern(5 * blockBytes, 1));
      mounted.unmount();
      flip(1);
      expect(checkDevice(device).clean).toBe(false);
      expect(checkDevice(device, { repair: true })).toMatchObject({ clean: true });
      mounted = inMemory(device, { blockBytes });
      expectBytes(read('a'), pattern(5 * blockBytes, 1));
      write('b', pattern(5 * blockBytes, 2));
      expect(mounted.finish()).toMatchObject({ clean: true });
    });
  });
}
