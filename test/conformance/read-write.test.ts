/** Reading and writing bytes: every form of the calls, positions, appending, vectors, whole files. */
import { Readable } from 'node:stream';
import { expect, it } from 'vitest';
import { expectBytes, isZero, pattern } from '../support/bytes.js';
import { expectCode } from '../support/expect-code.js';
import { conformance } from './conformance.js';

const GIB = 1024 ** 3;

conformance('read and write', (context) => {
  it('reads and writes at once what is cached, and nothing else', async () => {
    const block = context.blockBytes;
    await context.withFile(async (file) => {
      const bytes = pattern(2 * block);
      const target = Buffer.alloc(2 * block);
      await file.truncate(4 * block);
      expect(await file.tryWrite(bytes, 0, block, 0)).toBe(-1); // no block is promised yet
      expect(await file.tryRead(target, 0, block, 0)).toBe(-1);
      await file.write(bytes, 0, 2 * block, 0);
      expect(await file.tryRead(target, 0, 2 * block, 0)).toBe(2 * block);
      expectBytes(target, bytes);
      // Half of it is cached; where reads are atomic, that is nothing.
      expect([block, -1]).toContain(await file.tryRead(target, 0, 2 * block, block));
      expect(await file.tryWrite(bytes, 1, block, block / 2)).toBe(block);
      bytes.copyWithin(block / 2, 1, 1 + block);
      expectBytes((await context.content(file.name)).subarray(0, 2 * block), bytes);
      expect(await file.tryRead(target, 0, block, 4 * block)).toBeLessThanOrEqual(0);
      await expectCode('ERR_OUT_OF_RANGE', () => file.tryRead(target, 1, 2 * block, 0));
      await expectCode('ERR_OUT_OF_RANGE', () => file.tryWrite(bytes, 0, 1, -1));
      await expectCode('ERR_INVALID_ARG_TYPE', () => file.tryRead('x' as unknown as Buffer, 0, 1, 0));
    });
  });

  it('reads back what was written, at any position and length', async () => {
    const { blockBytes } = context;
    await context.withFile(async (file) => {
      const model = Buffer.alloc(6 * blockBytes);
      let size = 0;
      let seed = 1;
      const edges = [0, 1, blockBytes - 1, blockBytes, blockBytes + 1, 2 * blockBytes - 7, 3 * blockBytes];
      for (const position of edges) {
        for (const length of [1, 13, blockBytes - 1, blockBytes, blockBytes + 1, 2 * blockBytes + 3]) {
          const bytes = pattern(length, seed++);
          expect((await file.write(bytes, 0, length, position)).bytesWritten).toBe(length);
          bytes.copy(model, position);
          size = Math.max(size, position + length);
          const found = Buffer.alloc(size + 10);
          expect((await file.read(found, 0, found.length, 0)).bytesRead).toBe(size);
          expectBytes(found.subarray(0, size), model.subarray(0, size), `after writing ${length} at ${position}`);
        }
      }
    });
  });

  it('takes the buffer in every form that FileHandle does', async () => {
    await context.withFile(async (file) => {
      const text = Buffer.from('0123456789');
      await file.write(text, 2, 3, 0); // 234
      await file.write(text, { offset: 5, length: 2, position: 3 }); // 56
      await file.write({ buffer: text, offset: 7, length: 3, position: 5 }); // 789
      await file.write('äb', 8);
      await file.write('c3a4', 11, 'hex');
      expect((await context.content(file.name)).toString()).toBe('23456789äbä');

      const target = Buffer.alloc(10, '.');
      const answer = await file.read(target, 1, 3, 2);
      expect(answer.buffer).toBe(target);
      expect(answer.bytesRead).toBe(3);
      expect(target.toString()).toBe('.456......');
      expect((await file.read({ buffer: target, offset: 4, length: 2, position: 0 })).bytesRead).toBe(2);
      expect((await file.read(target, { offset: 6, length: 2, position: 6 })).buffer).toBe(target);
      expect(target.toString()).toBe('.4562389..');
      const own = await file.read({ position: 0 });
      expect(own.bytesRead).toBe(13);
      expect(own.buffer.subarray(0, 8).toString()).toBe('23456789');
      expect((await file.read()).bytesRead).toBe(13); // its own position is still 0
      expect((await file.read()).bytesRead).toBe(0);
    });
  });

  it('fills and takes any view on memory', async () => {
    await context.withFile(async (file) => {
      const doubles = new Float64Array([1.5, -2, 3e300]);
      expect(await file.write(doubles, 0, undefined, 0)).toMatchObject({ bytesWritten: 24 });
      const back = new Float64Array(3);
      expect((await file.read(back, 0, 24, 0)).buffer).toBe(back);
      expect(back).toEqual(doubles);
      const view = new DataView(new ArrayBuffer(16), 4, 8);
      expect((await file.read(view, 0, 8, 8)).bytesRead).toBe(8);
      expect(view.getFloat64(0, true)).toBe(-2);
      const shared = new Uint8Array(new SharedArrayBuffer(24));
      expect((await file.read(shared, 0, 24, 0)).bytesRead).toBe(24);
      expect((await file.write(shared, 0, 24, 24)).bytesWritten).toBe(24);
      expect(new Float64Array((await context.content(file.name)).buffer.slice(0))).toBeDefined();
      const whole = await context.content(file.name);
      expectBytes(whole.subarray(24), whole.subarray(0, 24));
    });
  });

  it('advances its own position only where none is given', async () => {
    await context.withFile(async (file) => {
      await file.write(Buffer.from('abcdef'));
      await file.write(Buffer.from('XY'), 0, 2, 1);
      await file.write(Buffer.from('ghi'), 0, 3, null);
      const buffer = Buffer.alloc(4);
      expect((await file.read(buffer, 0, 4)).bytesRead).toBe(0);
      await file.close();
    });
    const name = context.fresh();
    const file = await context.store.open(name, 'w+');
    await file.writeFile('0123456789');
    await file.close();
    const reader = await context.store.open(name);
    const buffer = Buffer.alloc(4);
    expect((await reader.read(buffer, 0, 4, null)).bytesRead).toBe(4);
    expect((await reader.read(buffer, 0, 2, 8)).bytesRead).toBe(2);
    expect((await reader.read(buffer, 0, 4, -1)).bytesRead).toBe(4);
    expect(buffer.toString()).toBe('4567');
    expect((await reader.read(buffer, 0, 4)).bytesRead).toBe(2);
    expect(buffer.subarray(0, 2).toString()).toBe('89');
    expect((await reader.read(buffer, 0, 4)).bytesRead).toBe(0);
    await reader.close();
  });

  it('keeps the order of calls that use its own position', async () => {
    await context.withFile(async (file) => {
      const writes = Array.from({ length: 40 }, (_, i) => file.write(Buffer.from(String(i).padStart(4, '0'))));
      await Promise.all(writes);
      const expected = Array.from({ length: 40 }, (_, i) => String(i).padStart(4, '0')).join('');
      expect((await context.content(file.name)).toString()).toBe(expected);
    });
  });

  it('appends at the end, whatever position is given', async () => {
    const name = context.fresh();
    const file = await context.store.open(name, 'a+');
    await file.write(Buffer.from('one'), 0, 3, 100);
    await file.write('two', 0);
    const other = await context.store.open(name, 'r+');
    await other.write(Buffer.from('THREE'), 0, 5, 6);
    await file.write(Buffer.from('four'));
    expect((await context.content(name)).toString()).toBe('onetwoTHREEfour');
    const buffer = Buffer.alloc(6);
    expect((await file.read(buffer, 0, 6, 0)).bytesRead).toBe(6);
    expect(buffer.toString()).toBe('onetwo');
    await other.appendFile('!');
    expect((await file.stat()).size).toBe(16);
    await file.close();
    await other.close();
  });

  it('appends whole when several append at once', async () => {
    const name = context.fresh();
    const files = [];
    for (let i = 0; i < 4; i++) files.push(await context.store.open(name, 'a'));
    const appends: Promise<unknown>[] = [];
    for (let i = 0; i < 80; i++) {
      const letter = String.fromCharCode(97 + (i % 4));
      appends.push(files[i % 4].write(Buffer.from(letter.repeat(997))));
    }
    await Promise.all(appends);
    const text = (await context.content(name)).toString();
    expect(text.length).toBe(80 * 997);
    for (let i = 0; i < 80; i++) expect(new Set(text.slice(i * 997, (i + 1) * 997)).size).toBe(1);
    for (const file of files) await file.close();
  });

  it('scatters and gathers', async () => {
    const { blockBytes } = context;
    await context.withFile(async (file) => {
      const parts = [pattern(3, 1), pattern(blockBytes, 2), Buffer.alloc(0), pattern(blockBytes + 5, 3)];
      const whole = Buffer.concat(parts);
      expect(await file.writev(parts, 7)).toEqual({ bytesWritten: whole.length, buffers: parts });
      const into = [Buffer.alloc(blockBytes + 1), Buffer.alloc(2), Buffer.alloc(2 * blockBytes)];
      const { bytesRead, buffers } = await file.readv(into, 7);
      expect(bytesRead).toBe(whole.length);
      expect(buffers).toBe(into);
      expectBytes(Buffer.concat(into).subarray(0, whole.length), whole);
      await file.writev([Buffer.from('ab'), Buffer.from('cd')]);
      await file.writev([Buffer.from('ef')]);
      const start = Buffer.alloc(6);
      await file.read(start, 0, 6, 0);
      expect(start.toString()).toBe('abcdef');
      expect((await file.readv([], 0)).bytesRead).toBe(0);
      expect((await file.writev([], 0)).bytesWritten).toBe(0);
      expect((await file.readv([Buffer.alloc(2), Buffer.alloc(2)])).bytesRead).toBe(4);
    });
  });

  it('refuses to read a file whole that no buffer holds, as fs does', async () => {
    await context.withFile(async (file) => {
      await file.truncate(2 ** 31);
      const refused = await Promise.resolve()
        .then(() => file.readFile())
        .catch((error: unknown) => error);
      expect(refused).toBeInstanceOf(RangeError);
      expect(refused).toMatchObject({ code: 'ERR_FS_FILE_TOO_LARGE' });
    });
  });

  it('reads and writes whole files', async () => {
    await context.withFile(async (file) => {
      await file.writeFile('grüße');
      expect((await file.readFile()) as Buffer).toHaveLength(0); // from its own position on
    });
    const name = context.fresh();
    let file = await context.store.open(name, 'w');
    await file.writeFile('grüße');
    await file.writeFile(new Uint8Array([33]));
    await file.appendFile(Buffer.from('\n'));
    await file.appendFile('4142', 'hex');
    await file.close();
    file = await context.store.open(name);
    expect(await file.readFile('utf8')).toBe('grüße!\nAB');
    await file.close();
    file = await context.store.open(name);
    expect(await file.readFile({ encoding: 'base64' })).toBe(Buffer.from('grüße!\nAB').toString('base64'));
    await file.close();
  });

  it('reads and writes megabytes at once', async () => {
    await context.withFile(async (file) => {
      const bytes = pattern(5 * 1024 * 1024 + 321);
      await file.writeFile(bytes);
      expect((await file.stat()).size).toBe(bytes.length);
      expectBytes(await context.content(file.name), bytes);
      const middle = Buffer.alloc(3 * 1024 * 1024);
      expect((await file.read(middle, 0, middle.length, 777)).bytesRead).toBe(middle.length);
      expectBytes(middle, bytes.subarray(777, 777 + middle.length));
    });
  });

  it('leaves zeros where nothing was written', async () => {
    const { blockBytes } = context;
    await context.withFile(async (file) => {
      const far = 100 * blockBytes + 11;
      await file.write(Buffer.from('end'), 0, 3, far);
      expect((await file.stat()).size).toBe(far + 3);
      const found = Buffer.alloc(far, 1);
      expect((await file.read(found, 0, far, 0)).bytesRead).toBe(far);
      expect(isZero(found)).toBe(true);
      await file.sync();
      expect((await file.stat()).allocatedBytes).toBe(blockBytes);
    });
  });

  it('reads nothing at and past the end, and less than asked before it', async () => {
    await context.withFile(async (file) => {
      await file.write(Buffer.from('0123456789'), 0, 10, 0);
      const buffer = Buffer.alloc(20, '.');
      expect((await file.read(buffer, 0, 20, 4)).bytesRead).toBe(6);
      expect(buffer.toString()).toBe(`456789${'.'.repeat(14)}`);
      expect((await file.read(buffer, 0, 20, 10)).bytesRead).toBe(0);
      expect((await file.read(buffer, 0, 20, 5 * GIB)).bytesRead).toBe(0);
      expect((await file.read(buffer, 0, 20, Number.MAX_SAFE_INTEGER)).bytesRead).toBe(0);
      expect((await file.read(buffer, 0, 0, 0)).bytesRead).toBe(0);
      expect((await file.write(buffer, 0, 0, 50)).bytesWritten).toBe(0);
      expect((await file.stat()).size).toBe(10);
    });
  });

  it('takes bigint positions and positions far beyond 32 bits', async () => {
    const { blockBytes } = context;
    await context.withFile(async (file) => {
      const bytes = pattern(100);
      const positions = [2 ** 31 - 50, 2 ** 32 - 50, 2 ** 32 + blockBytes - 1, 7 * 2 ** 40 + 3];
      for (const position of positions) {
        expect((await file.write(bytes, 0, 100, BigInt(position))).bytesWritten).toBe(100);
        expect((await file.stat()).size).toBe(position + 100);
      }
      for (const position of positions) {
        const found = Buffer.alloc(100);
        expect((await file.read({ buffer: found, position: BigInt(position) })).bytesRead).toBe(100);
        expectBytes(found, bytes, `at ${position}`);
      }
      await file.truncate(BigInt(2 ** 33));
      expect((await file.stat()).size).toBe(2 ** 33);
      await file.sync();
      expect((await file.stat()).allocatedBytes).toBeLessThanOrEqual(5 * blockBytes);
    });
  });

  it('refuses what lies beyond the largest file', async () => {
    const { blockBytes } = context;
    const most = Math.min((2 ** 32 - 2) * blockBytes, Number.MAX_SAFE_INTEGER);
    await context.withFile(async (file) => {
      const bytes = pattern(20);
      await expectCode('EFBIG', () => file.write(bytes, 0, 20, Number.MAX_SAFE_INTEGER));
      await expectCode('EFBIG', () => file.write(bytes, 0, 20, most));
      await expectCode('EFBIG', () => file.truncate(Number.MAX_SAFE_INTEGER));
      await expectCode('EFBIG', () => file.fallocate(Number.MAX_SAFE_INTEGER - 1, 1));
      await expectCode('EFBIG', () => file.fallocate(blockBytes, Number.MAX_SAFE_INTEGER));
      await expectCode('EFBIG', () => file.zeroRange(most - 1, 2));
      expect((await file.stat()).size).toBe(0);
      expect((await file.write(bytes, 0, 20, most - 7)).bytesWritten).toBe(7);
      expect((await file.stat()).size).toBe(most);
      const found = Buffer.alloc(20);
      expect((await file.read(found, 0, 20, most - 7)).bytesRead).toBe(7);
      expectBytes(found.subarray(0, 7), bytes.subarray(0, 7));
      await expectCode('EFBIG', () => file.appendFile('x'));
      await expectCode('EFBIG', () => file.insertRange(0, blockBytes));
      // Punching has no largest position: there is nothing there.
      await file.punchHole(most - 7, Number.MAX_SAFE_INTEGER);
      expect((await file.stat()).size).toBe(most);
      expect((await file.read(found, 0, 20, most - 7)).bytesRead).toBe(7);
      expect(isZero(found.subarray(0, 7))).toBe(true);
    });
  });

  it('keeps neighbours apart when writes run at once', async () => {
    await context.withFile(async (file) => {
      const each = 3001;
      const writes = Array.from({ length: 60 }, (_, i) => file.write(pattern(each, i + 1), 0, each, i * each));
      await Promise.all(writes);
      const reads = Array.from({ length: 60 }, async (_, i) => {
        const found = Buffer.alloc(each);
        await file.read(found, 0, each, i * each);
        expectBytes(found, pattern(each, i + 1), `part ${i}`);
      });
      await Promise.all(reads);
    });
  });

  it('tells size and times', async () => {
    await context.withFile(async (file, name) => {
      const start = Date.now();
      const before = await file.stat();
      expect(before).toMatchObject({ size: 0, allocatedBytes: 0 });
      expect(before.ino).toBeGreaterThan(1);
      for (const time of [before.mtimeMs, before.ctimeMs, before.birthtimeMs]) {
        expect(Math.abs(time - start)).toBeLessThan(5000);
      }
      await new Promise((resolve) => setTimeout(resolve, 15));
      await file.write(Buffer.from('x'));
      const after = await file.stat();
      expect(after.mtimeMs).toBeGreaterThan(before.mtimeMs);
      expect(after.ctimeMs).toBeGreaterThan(before.ctimeMs);
      expect(after.birthtimeMs).toBe(before.birthtimeMs);
      expect(await context.store.stat(name)).toEqual(after);
      await new Promise((resolve) => setTimeout(resolve, 15));
      await file.read(Buffer.alloc(1), 0, 1, 0);
      expect(await file.stat()).toEqual(after);
      await file.truncate(100);
      expect((await file.stat()).mtimeMs).toBeGreaterThan(after.mtimeMs);
    });
  });
});

conformance(
  'asynchronous sources',
  (context) => {
    it('writes what an iterable gives', async () => {
      await context.withFile(async (file) => {
        await file.writeFile(Readable.from(['a', 'b', Buffer.from('c')]));
        await file.appendFile(['d', 'e']);
        expect((await context.content(file.name)).toString()).toBe('abcde');
      });
    });

    it('stops at a signal', async () => {
      await context.withFile(async (file) => {
        const signal = AbortSignal.abort();
        await expect(file.readFile({ signal })).rejects.toMatchObject({ name: 'AbortError' });
        await expect(file.writeFile('x', { signal })).rejects.toMatchObject({ name: 'AbortError' });
        expect((await file.stat()).size).toBe(0);
      });
    });
  },
  { faces: ['asynchronous'] },
);
