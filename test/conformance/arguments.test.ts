/** Wrong types and ranges: what Node throws, before anything has changed. */
import { expect, it } from 'vitest';
import { expectBytes } from '../support/bytes.js';
import { expectCode } from '../support/expect-code.js';
import { conformance } from './conformance.js';

/** Not a count of bytes: the value, and the code that Node has for it. */
const WRONG: [unknown, string][] = [
  [-2, 'ERR_OUT_OF_RANGE'],
  [1.5, 'ERR_OUT_OF_RANGE'],
  [Number.NaN, 'ERR_OUT_OF_RANGE'],
  [Number.POSITIVE_INFINITY, 'ERR_OUT_OF_RANGE'],
  [2 ** 53, 'ERR_OUT_OF_RANGE'],
  [-5n, 'ERR_OUT_OF_RANGE'],
  [2n ** 53n, 'ERR_OUT_OF_RANGE'],
  [2n ** 64n, 'ERR_OUT_OF_RANGE'],
  ['1', 'ERR_INVALID_ARG_TYPE'],
  [{}, 'ERR_INVALID_ARG_TYPE'],
  [true, 'ERR_INVALID_ARG_TYPE'],
  [Symbol('x'), 'ERR_INVALID_ARG_TYPE'],
];

conformance(
  'arguments',
  (context) => {
    it('refuses positions and lengths that are none', async () => {
      const { blockBytes } = context;
      await context.withFile(async (file) => {
        const text = Buffer.from('0123456789');
        await file.write(text, 0, 10, 0);
        const buffer = Buffer.alloc(10);
        for (const [value, code] of WRONG) {
          const bad = value as number;
          // An object in an offset's place is options.
          const badOffset = (typeof value === 'object' ? '0' : value) as number;
          const calls: (() => unknown)[] = [
            () => file.read(buffer, 0, 5, bad),
            () => file.read(buffer, 0, bad, 0),
            () => file.read(buffer, badOffset, 1, 0),
            () => file.read({ buffer, position: bad }),
            () => file.read({ buffer, length: bad }),
            () => file.read({ buffer, offset: bad }),
            () => file.write(buffer, 0, 5, bad),
            () => file.write(buffer, 0, bad, 0),
            () => file.write({ buffer, offset: bad }),
            () => file.write('text', bad),
            () => file.readv([buffer], bad),
            () => file.writev([buffer], bad),
            () => file.truncate(bad),
            () => file.fallocate(bad, 1),
            () => file.fallocate(0, bad),
            () => file.punchHole(bad, 1),
            () => file.punchHole(0, bad),
            () => file.zeroRange(bad, 1),
            () => file.zeroRange(0, bad),
            () => file.collapseRange(bad, blockBytes),
            () => file.collapseRange(0, bad),
            () => file.insertRange(bad, blockBytes),
            () => file.insertRange(0, bad),
            () => file.advise('normal', bad, 1),
            () => file.advise('normal', 0, bad),
            () => file.nextData(bad),
            () => file.nextHole(bad),
            () => context.store.list({ limit: bad }),
          ];
          for (const call of calls) {
            const error = await expectCode(code, call);
            expect(error, `${call} of ${String(value)}`).toBeInstanceOf(
              code === 'ERR_OUT_OF_RANGE' ? RangeError : TypeError,
            );
          }
        }
        expectBytes(await context.content(file.name), text);
      });
    });

    it('refuses -1 where a position is needed', async () => {
      await context.withFile(async (file) => {
        await expectCode('ERR_OUT_OF_RANGE', () => file.truncate(-1));
        await expectCode('ERR_OUT_OF_RANGE', () => file.punchHole(-1, 1));
        await expectCode('ERR_OUT_OF_RANGE', () => file.nextData(-1));
        await expectCode('ERR_OUT_OF_RANGE', () => file.advise('normal', -1));
      });
    });

    it('refuses what is not in the buffer', async () => {
      await context.withFile(async (file) => {
        const buffer = Buffer.alloc(10);
        await expectCode('ERR_OUT_OF_RANGE', () => file.read(buffer, 11, 0, 0));
        await expectCode('ERR_OUT_OF_RANGE', () => file.read(buffer, 0, 11, 0));
        await expectCode('ERR_OUT_OF_RANGE', () => file.read(buffer, 6, 5, 0));
        await expectCode('ERR_OUT_OF_RANGE', () => file.write(buffer, 11, 0, 0));
        await expectCode('ERR_OUT_OF_RANGE', () => file.write(buffer, 0, 11, 0));
        await expectCode('ERR_OUT_OF_RANGE', () => file.write(buffer, 6, 5, 0));
        expect((await file.stat()).size).toBe(0);
      });
    });

    it('refuses what is no buffer', async () => {
      await context.withFile(async (file) => {
        for (const value of [null, 7, true, [1, 2], new ArrayBuffer(8), Symbol('x')]) {
          const bad = value as unknown as Buffer;
          await expectCode('ERR_INVALID_ARG_TYPE', () => file.write(bad, 0, 1, 0));
          await expectCode('ERR_INVALID_ARG_TYPE', () => file.writeFile(bad));
          await expectCode('ERR_INVALID_ARG_TYPE', () => file.readv([bad]));
          await expectCode('ERR_INVALID_ARG_TYPE', () => file.writev([bad]));
        }
        for (const value of [7, true, 'text', Symbol('x')]) {
          await expectCode('ERR_INVALID_ARG_TYPE', () => file.read(value as unknown as Buffer, 0, 1, 0));
        }
        await expectCode('ERR_INVALID_ARG_TYPE', () => file.read({ buffer: 'x' as unknown as Buffer }));
        await expectCode('ERR_INVALID_ARG_TYPE', () => file.write({} as Buffer));
        await expectCode('ERR_INVALID_ARG_TYPE', () => file.readv('x' as unknown as Buffer[]));
        await expectCode('ERR_INVALID_ARG_TYPE', () => file.writev(Buffer.alloc(1) as unknown as Buffer[]));
        expect((await file.stat()).size).toBe(0);
      });
    });

    it('refuses lengths of 0 for ranges, and advice that it does not know', async () => {
      await context.withFile(async (file) => {
        for (const call of [
          () => file.fallocate(0, 0),
          () => file.punchHole(0, 0),
          () => file.zeroRange(0, 0),
          () => file.collapseRange(0, 0),
          () => file.insertRange(0, 0),
        ]) {
          await expectCode('EINVAL', call);
        }
        await expectCode('EINVAL', () => file.advise('often' as 'normal'));
        await expectCode('ERR_INVALID_ARG_TYPE', () => file.advise(3 as unknown as 'normal'));
      });
    });

    it('refuses options of list that are none', async () => {
      await expectCode('ERR_INVALID_ARG_TYPE', () => context.store.list({ prefix: 7 as unknown as string }));
      await expectCode('ERR_INVALID_ARG_TYPE', () => context.store.list({ after: {} as unknown as string }));
      await expectCode('EINVAL', () => context.store.list({ prefix: 'a\0' }));
    });
  },
  { isBesideLocks: true },
);
