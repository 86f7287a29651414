/** A full device: short counts or ENOSPC, nothing lost, everything usable again once there is room. */
import { expect, it } from 'vitest';
import { expectBytes, isZero, pattern } from '../support/bytes.js';
import { expectCode } from '../support/expect-code.js';
import { conformance } from './conformance.js';
import type { FileFace } from './face.js';

const MIB = 1024 * 1024;

/** What position p of every file here holds. */
const WHOLE = pattern(16 * MIB);

/** Writes in pieces until there is no room; returns the size that the file then must have. */
async function fill(file: FileFace, pieceBytes: number): Promise<number> {
  let size = (await file.stat()).size;
  for (;;) {
    try {
      const { bytesWritten } = await file.write(WHOLE, size, pieceBytes, size);
      expect(bytesWritten).toBeGreaterThan(0);
      size += bytesWritten;
    } catch (error) {
      expect(error).toMatchObject({ code: 'ENOSPC', errno: -28, syscall: 'write', path: file.name });
      expect((await file.stat()).size).toBe(size);
      return size;
    }
  }
}

conformance(
  'a full device',
  (context) => {
    const pieceBytes = 7 * context.blockBytes + 100;

    it('takes what fits, and keeps it', async () => {
      const name = context.fresh();
      const file = await context.store.open(name, 'w+');
      let size = await fill(file, pieceBytes);
      expect(size).toBeGreaterThan(4 * MIB);
      // Once what was promised is allocated, less is kept back for trees.
      for (let before = 0; before < size; ) {
        before = size;
        await file.sync();
        size = await fill(file, pieceBytes);
      }
      expectBytes(await context.content(name), WHOLE.subarray(0, size));
      await expectCode('ENOSPC', () => file.write(pattern(1), 0, 1, size + 100 * context.blockBytes));
      expect((await file.stat()).size).toBe(size);
      // That there is such a file says more than that there is no room for another.
      await expectCode('EEXIST', () => context.store.open(name, 'wx'));
      // What has its block can be written over; where data have checksums, that takes another block.
      await file.sync();
      const over = () => file.write(Buffer.from('over'), 0, 4, 100);
      if (context.dataChecksums) await expectCode('ENOSPC', over);
      else await over();
      await file.sync();
      await context.reopen();
      const again = await context.store.open(name, 'r+');
      expect((await again.stat()).size).toBe(size);
      const expected = Buffer.from(WHOLE.subarray(0, size));
      if (!context.dataChecksums) expected.write('over', 100);
      expectBytes(await context.content(name), expected);
      await again.close();
      await context.store.unlink(name);
    });

    it('gives room again after a punch, a truncation, an unlink', async () => {
      const { blockBytes } = context;
      const name = context.fresh();
      const file = await context.store.open(name, 'w+');
      const size = await fill(file, pieceBytes);
      await file.punchHole(0, 64 * blockBytes);
      const other = await context.store.open(context.fresh(), 'w+');
      const bytes = pattern(32 * blockBytes);
      expect((await other.write(bytes, 0, bytes.length, 0)).bytesWritten).toBe(bytes.length);
      expectBytes(await context.content(other.name), bytes);
      await file.truncate(size / 2);
      await other.write(bytes, 0, bytes.length, bytes.length);
      const more = await fill(other, pieceBytes);
      expect(more).toBeGreaterThan(size / 4);
      await file.close();
      await context.store.unlink(name);
      expect(await fill(other, pieceBytes)).toBeGreaterThan(more);
      await other.sync();
      await other.close();
      await context.store.unlink(other.name);
    });

    it('changes nothing when it cannot preallocate', async () => {
      const { blockBytes } = context;
      await context.withFile(async (file, name) => {
        await file.write(pattern(blockBytes), 0, blockBytes, 0);
        const free = await context.settledFree();
        const before = await file.stat();
        await expectCode('ENOSPC', () => file.fallocate(0, 64 * MIB));
        await expectCode('ENOSPC', () => file.fallocate(blockBytes, 2 ** 40));
        await expectCode('ENOSPC', () => file.fallocate(0, 64 * MIB, { keepSize: true }));
        await expectCode('ENOSPC', () => file.zeroRange(0, 64 * MIB));
        expect(await file.stat()).toEqual(before);
        expect(await context.settledFree()).toBe(free);
        expectBytes(await context.content(name), pattern(blockBytes));
        await context.store.unlink(name);
      });
    });

    it('can remove and create when it is full', async () => {
      const { blockBytes } = context;
      const names = Array.from({ length: 5 }, () => context.fresh());
      const files: FileFace[] = [];
      for (const name of names) files.push(await context.store.open(name, 'w+'));
      for (const file of files.slice(1)) await file.write(pattern(100 * blockBytes), 0, 100 * blockBytes, 0);
      await fill(files[0], pieceBytes);
      // Punching every other block needs room for the extent tree.
      for (let i = 0; i < 100; i += 2) await files[1].punchHole(i * blockBytes, blockBytes);
      const found = await context.content(names[1]);
      for (let i = 0; i < 100; i++) {
        const part = found.subarray(i * blockBytes, (i + 1) * blockBytes);
        if (i % 2 === 0) expect(isZero(part)).toBe(true);
        else expectBytes(part, pattern(100 * blockBytes).subarray(i * blockBytes, (i + 1) * blockBytes));
      }
      await context.store.rename(names[2], names[3]);
      await context.store.sync();
      for (const file of files) await file.close();
      for (const name of [names[0], names[1], names[3], names[4]]) await context.store.unlink(name);
      await context.withFile(async (file, name) => {
        expect((await file.write(pattern(4 * MIB), 0, 4 * MIB, 0)).bytesWritten).toBe(4 * MIB);
        await context.store.unlink(name);
      });
    });

    it('leaks nothing over many rounds', async () => {
      await context.withFile(async () => {});
      const free = await context.settledFree();
      for (let round = 0; round < 3; round++) {
        await context.withFile(async (file, name) => {
          const size = await fill(file, pieceBytes * 3);
          expect(size).toBeGreaterThan(4 * MIB);
          if (round === 1) await file.sync();
          await context.store.unlink(name);
        });
        expect(await context.settledFree()).toBe(free);
      }
    });
  },
  { sizeBytes: 12 * MIB, isBesideLocks: true },
);
