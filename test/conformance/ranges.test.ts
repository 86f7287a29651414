/** Truncation, holes, zeroing, shifting, preallocation: what each leaves in content, size and allocation. */
import { expect, it } from 'vitest';
import { expectBytes, isZero, pattern } from '../support/bytes.js';
import { expectCode } from '../support/expect-code.js';
import { type Context, conformance } from './conformance.js';
import type { FileFace } from './face.js';

async function readAll(file: FileFace): Promise<Buffer> {
  const { size } = await file.stat();
  const bytes = Buffer.alloc(size + 8, 0xee);
  const { bytesRead } = await file.read(bytes, 0, bytes.length, 0);
  expect(bytesRead).toBe(size);
  return bytes.subarray(0, size);
}

/** A file of `blocks` blocks of pattern; in the cache only, written back, or written back and no longer cached. */
async function filled(
  context: Context,
  blocks: number,
  state: 'dirty' | 'written' | 'cold',
  body: (file: FileFace, model: Buffer) => Promise<void>,
): Promise<void> {
  await context.withFile(async (file) => {
    const model = pattern(blocks * context.blockBytes, blocks);
    await file.write(model, 0, model.length, 0);
    if (state !== 'dirty') await file.sync();
    if (state === 'cold') await file.advise('dontneed');
    await body(file, model);
  });
}

const STATES = ['dirty', 'written', 'cold'] as const;

conformance('ranges', (context) => {
  const block = context.blockBytes;

  it('truncates down and up, with zeros behind the old end', async () => {
    for (const state of STATES) {
      await filled(context, 4, state, async (file, model) => {
        await file.truncate(2 * block + 100);
        expect((await file.stat()).size).toBe(2 * block + 100);
        expectBytes(await readAll(file), model.subarray(0, 2 * block + 100), state);
        await file.truncate(4 * block);
        const grown = await readAll(file);
        expectBytes(grown.subarray(0, 2 * block + 100), model.subarray(0, 2 * block + 100), state);
        expect(isZero(grown.subarray(2 * block + 100))).toBe(true);
        await file.sync();
        expect((await file.stat()).allocatedBytes).toBe(3 * block);
        await file.advise('dontneed');
        expectBytes(await readAll(file), grown, `${state}, read again`);
        await file.truncate();
        expect(await file.stat()).toMatchObject({ size: 0, allocatedBytes: 0 });
      });
    }
  });

  it('never shows old bytes behind an end that a write moves', async () => {
    for (const state of STATES) {
      await filled(context, 2, state, async (file) => {
        await file.truncate(10);
        await file.write(Buffer.from('x'), 0, 1, 2 * block + 5);
        const found = await readAll(file);
        expect(isZero(found.subarray(10, 2 * block + 5))).toBe(true);
        await file.sync();
        await file.advise('dontneed');
        expect(isZero((await readAll(file)).subarray(10, 2 * block + 5))).toBe(true);
      });
    }
  });

  it('punches whole blocks: zeros, the size unchanged, the blocks given back', async () => {
    for (const state of STATES) {
      await filled(context, 8, state, async (file, model) => {
        await file.punchHole(2 * block, 3 * block);
        model.fill(0, 2 * block, 5 * block);
        expectBytes(await readAll(file), model, state);
        await file.sync();
        expect(await file.stat()).toMatchObject({ size: 8 * block, allocatedBytes: 5 * block });
        await file.advise('dontneed');
        expectBytes(await readAll(file), model, `${state}, read again`);
        // What is punched can be written again.
        await file.write(Buffer.from('again'), 0, 5, 3 * block + 1);
        model.write('again', 3 * block + 1);
        expectBytes(await readAll(file), model, `${state}, written again`);
      });
    }
  });

  it('punches parts of blocks: only their bytes', async () => {
    const cases: [number, number][] = [
      [block + 10, 20],
      [block - 10, 20],
      [block - 10, block + 20],
      [1, 3 * block],
      [2 * block, block + 1],
      [2 * block - 1, block + 1],
      [0, 1],
      [6 * block - 1, 1],
    ];
    for (const state of STATES) {
      for (const [position, length] of cases) {
        await filled(context, 6, state, async (file, model) => {
          await file.punchHole(position, length);
          model.fill(0, position, position + length);
          expectBytes(await readAll(file), model, `${state}, ${position} + ${length}`);
          await file.sync();
          const whole = Math.max(0, Math.floor((position + length) / block) - Math.ceil(position / block));
          expect((await file.stat()).allocatedBytes).toBe((6 - whole) * block);
        });
      }
    }
  });

  it('punches past the end without moving it', async () => {
    await filled(context, 2, 'written', async (file, model) => {
      await file.punchHole(2 * block, 10 * block);
      await file.punchHole(2 ** 40, 2 ** 40);
      expectBytes(await readAll(file), model);
      await file.punchHole(block, 100 * block);
      model.fill(0, block);
      expectBytes(await readAll(file), model);
      await file.sync();
      expect(await file.stat()).toMatchObject({ size: 2 * block, allocatedBytes: block });
    });
    // A last page whose bytes are all punched goes whole.
    await filled(context, 2, 'written', async (file) => {
      await file.truncate(block + 100);
      await file.punchHole(block, 100);
      await file.sync();
      expect(await file.stat()).toMatchObject({ size: block + 100, allocatedBytes: block });
    });
    await context.withFile(async (file) => {
      await file.punchHole(0, block);
      expect(await file.stat()).toMatchObject({ size: 0, allocatedBytes: 0 });
    });
  });

  it('zeroes ranges and keeps their blocks', async () => {
    for (const state of STATES) {
      await filled(context, 6, state, async (file, model) => {
        await file.zeroRange(block + 5, 3 * block);
        model.fill(0, block + 5, 4 * block + 5);
        expectBytes(await readAll(file), model, state);
        await file.sync();
        expect(await file.stat()).toMatchObject({ size: 6 * block, allocatedBytes: 6 * block });
        expect((await file.extents()).some(({ unwritten }) => unwritten)).toBe(true);
        await file.advise('dontneed');
        expectBytes(await readAll(file), model, `${state}, read again`);
      });
    }
  });

  it('zeroes past the end: growing, or keeping the size', async () => {
    await filled(context, 2, 'written', async (file, model) => {
      await file.zeroRange(block + 100, 3 * block, { keepSize: true });
      model.fill(0, block + 100);
      expectBytes(await readAll(file), model);
      expect(await file.stat()).toMatchObject({ size: 2 * block, allocatedBytes: 5 * block });
      await file.zeroRange(3 * block, 10, { keepSize: false });
      expect((await file.stat()).size).toBe(3 * block + 10);
      expect(isZero((await readAll(file)).subarray(2 * block))).toBe(true);
    });
  });

  it('collapses: what follows moves down', async () => {
    for (const state of STATES) {
      await filled(context, 8, state, async (file, model) => {
        await file.truncate(8 * block - 77);
        await file.collapseRange(2 * block, 3 * block);
        const expected = Buffer.concat([model.subarray(0, 2 * block), model.subarray(5 * block, 8 * block - 77)]);
        expect((await file.stat()).size).toBe(5 * block - 77);
        expectBytes(await readAll(file), expected, state);
        await file.sync();
        expect((await file.stat()).allocatedBytes).toBe(5 * block);
        await file.collapseRange(0, block);
        expectBytes(await readAll(file), expected.subarray(block), `${state}, again`);
      });
    }
  });

  it('inserts: what follows moves up', async () => {
    for (const state of STATES) {
      await filled(context, 5, state, async (file, model) => {
        await file.truncate(5 * block - 77);
        await file.insertRange(2 * block, 3 * block);
        const hole = Buffer.alloc(3 * block);
        const expected = Buffer.concat([model.subarray(0, 2 * block), hole, model.subarray(2 * block, 5 * block - 77)]);
        expectBytes(await readAll(file), expected, state);
        await file.sync();
        expect(await file.stat()).toMatchObject({ size: 8 * block - 77, allocatedBytes: 5 * block });
        await file.insertRange(0, block);
        expectBytes(await readAll(file), Buffer.concat([Buffer.alloc(block), expected]), `${state}, at the front`);
        await file.collapseRange(0, block);
        expectBytes(await readAll(file), expected, `${state}, and back`);
      });
    }
  });

  it('refuses to shift what is not aligned or not there', async () => {
    await filled(context, 4, 'written', async (file, model) => {
      for (const [position, length] of [
        [1, block],
        [block, 1],
        [block, block + 1],
        [block / 2, block / 2],
      ]) {
        const error = await expectCode('EINVAL', () => file.collapseRange(position, length));
        expect(error.message).toContain(String(block));
        await expectCode('EINVAL', () => file.insertRange(position, length));
      }
      await expectCode('EINVAL', () => file.collapseRange(2 * block, 2 * block)); // reaches the end
      await expectCode('EINVAL', () => file.collapseRange(3 * block, 2 * block));
      await expectCode('EINVAL', () => file.collapseRange(9 * block, block));
      await expectCode('EINVAL', () => file.insertRange(4 * block, block)); // at the end
      await expectCode('EINVAL', () => file.insertRange(9 * block, block));
      expectBytes(await readAll(file), model);
      expect((await file.stat()).size).toBe(4 * block);
    });
  });

  it('preallocates: blocks that read as zeros', async () => {
    await context.withFile(async (file) => {
      await file.fallocate(0, 10 * block);
      expect(await file.stat()).toMatchObject({ size: 10 * block, allocatedBytes: 10 * block });
      expect(isZero(await readAll(file))).toBe(true);
      const extents = await file.extents();
      expect(extents.every(({ unwritten }) => unwritten)).toBe(true);
      await file.write(pattern(block), 0, block, 4 * block);
      await file.sync();
      expect((await file.stat()).allocatedBytes).toBe(10 * block);
      await file.advise('dontneed');
      const found = await readAll(file);
      expectBytes(found.subarray(4 * block, 5 * block), pattern(block));
      expect(isZero(found.subarray(0, 4 * block))).toBe(true);
      expect(isZero(found.subarray(5 * block))).toBe(true);
      const written = (await file.extents()).filter(({ unwritten }) => !unwritten);
      expect(written).toHaveLength(1);
      expect(written[0]).toMatchObject({ position: 4 * block, length: block });
    });
    await filled(context, 2, 'dirty', async (file, model) => {
      await file.fallocate(block, 4 * block, { keepSize: true });
      expect((await file.stat()).size).toBe(2 * block);
      expectBytes(await readAll(file), model);
      await file.sync();
      expect((await file.stat()).allocatedBytes).toBe(5 * block);
      await file.fallocate(0, 3 * block - 1);
      expect((await file.stat()).size).toBe(3 * block - 1);
      expectBytes(await readAll(file), Buffer.concat([model, Buffer.alloc(block - 1)]));
      // Truncation to the size it has gives back what lies behind.
      await file.truncate(3 * block - 1);
      expect((await file.stat()).allocatedBytes).toBe(3 * block);
    });
  });

  it('finds data and holes', async () => {
    await context.withFile(async (file) => {
      await expectCode('ENXIO', () => file.nextData(0));
      await expectCode('ENXIO', () => file.nextHole(0));
      await file.truncate(10 * block);
      await expectCode('ENXIO', () => file.nextData(0));
      expect(await file.nextHole(0)).toBe(0);
      expect(await file.nextHole(5 * block + 3)).toBe(5 * block + 3);
      await file.write(pattern(block), 0, block, 2 * block);
      await file.write(pattern(10), 0, 10, 7 * block + 5);
      for (const state of ['dirty', 'written']) {
        expect(await file.nextData(0), state).toBe(2 * block);
        expect(await file.nextData(2 * block + 1)).toBe(2 * block + 1);
        expect(await file.nextHole(2 * block)).toBe(3 * block);
        expect(await file.nextData(3 * block)).toBe(7 * block);
        expect(await file.nextHole(7 * block + 5)).toBe(8 * block);
        await expectCode('ENXIO', () => file.nextData(8 * block));
        expect(await file.nextHole(9 * block)).toBe(9 * block);
        await expectCode('ENXIO', () => file.nextData(10 * block));
        await expectCode('ENXIO', () => file.nextHole(10 * block));
        await expectCode('ENXIO', () => file.nextHole(2 ** 50));
        await file.sync();
      }
      await file.truncate(7 * block + 15);
      expect(await file.nextHole(7 * block)).toBe(7 * block + 15);
      await file.fallocate(0, block);
      expect(await file.nextHole(0)).toBe(0); // unwritten is no data
    });
  });

  it('tells what a range consists of', async () => {
    await context.withFile(async (file) => {
      expect(await file.segments(0, 10 * block)).toEqual([]);
      await file.truncate(12 * block + 7);
      await file.write(pattern(2 * block), 0, 2 * block, 2 * block);
      await file.fallocate(6 * block, 3 * block);
      await file.write(pattern(10), 0, 10, 7 * block + 5);
      const whole = [
        { position: 0, length: 2 * block, kind: 'hole' },
        { position: 2 * block, length: 2 * block, kind: 'data' },
        { position: 4 * block, length: 2 * block, kind: 'hole' },
        { position: 6 * block, length: block, kind: 'unwritten' },
        { position: 7 * block, length: block, kind: 'data' },
        { position: 8 * block, length: block, kind: 'unwritten' },
        { position: 9 * block, length: 3 * block + 7, kind: 'hole' },
      ];
      for (const state of ['dirty', 'written']) {
        expect(await file.segments(0, 2 ** 50), state).toEqual(whole);
        expect(await file.segments(0, 100 * block, 3), state).toEqual(whole.slice(0, 3));
        expect(await file.segments(3 * block + 1, 2 * block), state).toEqual([
          { position: 3 * block + 1, length: block - 1, kind: 'data' },
          { position: 4 * block, length: block + 1, kind: 'hole' },
        ]);
        expect(await file.segments(12 * block + 7, 1), state).toEqual([]);
        await file.sync();
      }
      // Neighbouring extents of one kind are one segment.
      await file.write(pattern(3 * block), 0, 3 * block, 4 * block);
      expect(await file.segments(0, 8 * block)).toEqual([
        { position: 0, length: 2 * block, kind: 'hole' },
        { position: 2 * block, length: 6 * block, kind: 'data' },
      ]);
      for (const bad of ['x', -1, 1.5]) {
        await expect(Promise.resolve().then(() => file.segments(bad as number, 1))).rejects.toThrow();
        await expect(Promise.resolve().then(() => file.segments(0, bad as number))).rejects.toThrow();
      }
    });
  });

  it('tells its extents', async () => {
    await context.withFile(async (file) => {
      expect(await file.extents()).toEqual([]);
      for (let i = 0; i < 20; i++) await file.write(pattern(block, i + 1), 0, block, 2 * i * block);
      const { blocks } = await context.store.statfs();
      const extents = await file.extents();
      expect(extents).toHaveLength(20);
      const places = new Set<number>();
      extents.forEach((extent, i) => {
        expect(extent).toMatchObject({ position: 2 * i * block, length: block, unwritten: false });
        expect(extent.devicePosition % block).toBe(0);
        expect(extent.devicePosition / block).toBeLessThan(blocks);
        places.add(extent.devicePosition);
      });
      expect(places.size).toBe(20);
      await file.punchHole(0, 40 * block);
      expect(await file.extents()).toEqual([]);
    });
    await context.withFile(async (file) => {
      await file.write(pattern(16 * block), 0, 16 * block, 0);
      const extents = await file.extents();
      // Written in order on a device with room, it lies in few pieces.
      expect(extents.length).toBeLessThanOrEqual(4);
      expect(extents.reduce((sum, { length }) => sum + length, 0)).toBe(16 * block);
    });
  });

  it('takes advice', async () => {
    await filled(context, 16, 'cold', async (file, model) => {
      for (const advice of ['sequential', 'random', 'normal'] as const) {
        await file.advise(advice);
        await file.advise(advice, 0, block);
        expectBytes(await readAll(file), model, advice);
      }
      await file.advise('dontneed', 0, 0);
      const misses = context.owner.stats().misses;
      await file.advise('willneed', 0, 16 * block);
      expectBytes(await readAll(file), model);
      expect(context.owner.stats().misses).toBe(misses);
      await file.advise('dontneed', block + 1, block);
      await file.advise('willneed', 2 ** 40, 2 ** 40);
      await file.advise('dontneed', 2 ** 40, 0);
      expectBytes(await readAll(file), model);
    });
    await context.withFile(async (file) => {
      const bytes = pattern(3 * block);
      await file.write(bytes, 0, bytes.length, 0);
      await file.advise('dontneed'); // dirty pages are not lost
      expectBytes(await readAll(file), bytes);
    });
  });
});
