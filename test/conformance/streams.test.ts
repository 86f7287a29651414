/** Streams: Node's and the web's, with ranges, back pressure and closing. */
import { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import { expect, it } from 'vitest';
import { expectBytes, pattern } from '../support/bytes.js';
import { expectCode } from '../support/expect-code.js';
import { conformance } from './conformance.js';

async function collect(stream: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  for await (const part of stream) parts.push(part);
  return Buffer.concat(parts);
}

conformance('streams', (context) => {
  it('streams a file in and out', async () => {
    const bytes = pattern(3 * 1024 * 1024 + 5);
    const name = context.fresh();
    const target = await context.store.open(name, 'w');
    await pipeline(Readable.from([bytes.subarray(0, 100), bytes.subarray(100)]), await target.createWriteStream());
    await expectCode('EBADF', () => target.stat()); // closed at the end, as by fs
    const source = await context.store.open(name);
    expectBytes(await collect(await source.createReadStream()), bytes);
    await expectCode('EBADF', () => source.stat());
  });

  it('streams a part, in pieces of the wanted size, as text', async () => {
    const name = context.fresh();
    const file = await context.store.open(name, 'w+');
    await file.writeFile('0123456789');
    const pieces: number[] = [];
    const stream = await file.createReadStream({ start: 2, end: 8, highWaterMark: 3, autoClose: false });
    for await (const piece of stream) pieces.push((piece as Buffer).length);
    expect(pieces).toEqual([3, 3, 1]);
    expect(await text(await file.createReadStream({ start: 4, end: 4, encoding: 'utf8', autoClose: false }))).toBe('4');
    expect(await text(await file.createReadStream({ start: 100, autoClose: false }))).toBe('');
    expect((await file.stat()).size).toBe(10);
    const writer = await file.createWriteStream({ start: 3, autoClose: false });
    writer.write('abc');
    await new Promise<void>((resolve) => writer.end('d', resolve));
    expect((await context.content(name)).toString()).toBe('012abcd789');
    await expectCode('ERR_OUT_OF_RANGE', () => file.createReadStream({ start: 5, end: 3 }));
    await expectCode('ERR_OUT_OF_RANGE', () => file.createReadStream({ start: -1 }));
    await expectCode('ERR_OUT_OF_RANGE', () => file.createWriteStream({ start: 1.5 }));
    await expectCode('ERR_INVALID_ARG_TYPE', () => file.createReadStream({ start: '1' as unknown as number }));
    await file.close();
  });

  it('streams to the web', async () => {
    await context.withFile(async (file) => {
      const bytes = pattern(1024 * 1024 + 3);
      await file.write(bytes, 0, bytes.length, 0);
      const stream = await file.readableWebStream();
      expectBytes(await collect(stream as unknown as AsyncIterable<Uint8Array>), bytes);
      expect((await file.stat()).size).toBe(bytes.length);
    });
  });

  it('gives errors to the stream', async () => {
    const file = await context.store.open(context.fresh(), 'w');
    const stream = await file.createReadStream();
    await expect(collect(stream)).rejects.toMatchObject({ code: 'EBADF' });
  });

  it('ends at a signal', async () => {
    await context.withFile(async (file) => {
      await file.write(pattern(100_000), 0, 100_000, 0);
      const controller = new AbortController();
      const stream = await file.createReadStream({ highWaterMark: 1000, signal: controller.signal });
      let n = 0;
      const reading = (async () => {
        for await (const _ of stream) if (++n === 2) controller.abort();
      })();
      await expect(reading).rejects.toMatchObject({ name: 'AbortError' });
    });
  });

  it('gives the event loop its turn though all is cached', async () => {
    await context.withFile(async (file) => {
      const bytes = new Uint8Array(2 ** 20);
      for (let at = 0; at < 12 * 2 ** 20; at += bytes.length) await file.write(bytes, 0, bytes.length, at);
      const abortSoon = (): AbortSignal => {
        const controller = new AbortController();
        setImmediate(() => controller.abort());
        return controller.signal;
      };
      const stream = await file.createReadStream({ autoClose: false, signal: abortSoon() });
      await expect(collect(stream)).rejects.toMatchObject({ name: 'AbortError' });
      // Without turns, this would go on for ever.
      const writer = await file.createWriteStream({ autoClose: false, signal: abortSoon() });
      const endless = function* () {
        for (;;) yield bytes.subarray(0, 65536);
      };
      await expect(pipeline(endless, writer)).rejects.toMatchObject({ name: 'AbortError' });
    });
  });

  it('reads no further than its consumer has room for', async () => {
    await context.withFile(async (file) => {
      await file.write(pattern(100_000), 0, 100_000, 0);
      const stream = await file.createReadStream({ highWaterMark: 1000, autoClose: false });
      await new Promise((resolve) => stream.once('readable', resolve));
      await new Promise((resolve) => setTimeout(resolve, 5));
      expect(stream.readableLength).toBeLessThanOrEqual(2000);
      stream.destroy();
      const web = await file.readableWebStream({ highWaterMark: 1000 });
      const reader = web.getReader();
      expect((await reader.read()).value?.byteLength).toBe(1000);
      await file.write(new Uint8Array([1, 2, 3]), 0, 3, 1000);
      expect([...((await reader.read()).value?.subarray(0, 3) ?? [])]).toEqual([1, 2, 3]);
      await reader.cancel();
    });
  });

  it('gives each piece memory of its own, which its reader may hand on', async () => {
    await context.withFile(async (file) => {
      const bytes = pattern(10_000);
      await file.write(bytes, 0, bytes.length, 0);
      const streams = [
        await file.createReadStream({ highWaterMark: 1000, autoClose: false }),
        await file.readableWebStream({ highWaterMark: 1000 }),
        await file.readableWebStream({ type: 'bytes', highWaterMark: 1000 }),
      ];
      for (const stream of streams) {
        const parts: Uint8Array[] = [];
        for await (const part of stream as AsyncIterable<Uint8Array>) {
          const { buffer, byteOffset, byteLength } = part;
          const moved = structuredClone(buffer, { transfer: [buffer as ArrayBuffer] });
          parts.push(new Uint8Array(moved, byteOffset, byteLength));
        }
        expectBytes(Buffer.concat(parts), bytes);
      }
    });
  });

  it('makes a writer wait, and goes on', async () => {
    await context.withFile(async (file) => {
      const stream = await file.createWriteStream({ highWaterMark: 1000, start: 10, autoClose: false });
      expect(stream.write(pattern(600))).toBe(true);
      expect(stream.write(pattern(600))).toBe(false);
      await new Promise((resolve) => stream.once('drain', resolve));
      await new Promise<void>((resolve) => stream.end(Buffer.from('end'), resolve));
      const bytes = Buffer.alloc(1213);
      expect((await file.read(bytes, 0, 1213, 0)).bytesRead).toBe(1213);
      expectBytes(bytes, Buffer.concat([Buffer.alloc(10), pattern(600), pattern(600), Buffer.from('end')]));
    });
  });

  it('streams a part to the web, to buffers of the reader, until a signal', async () => {
    await context.withFile(async (file) => {
      const bytes = pattern(10_000);
      await file.write(bytes, 0, bytes.length, 0);
      for (const type of [undefined, 'bytes'] as const) {
        const part = await file.readableWebStream({ type, start: 100, end: 5099, highWaterMark: 999 });
        expectBytes(await collect(part as unknown as AsyncIterable<Uint8Array>), bytes.subarray(100, 5100));
        const controller = new AbortController();
        const reader = (await file.readableWebStream({ type, signal: controller.signal })).getReader();
        controller.abort(new Error('enough'));
        await expect(reader.read()).rejects.toThrow('enough');
        const late = await file.readableWebStream({ type, signal: controller.signal });
        await expect(late.getReader().read()).rejects.toThrow('enough');
      }
      const reader = (await file.readableWebStream({ type: 'bytes', start: 9000 })).getReader({ mode: 'byob' });
      const first = await reader.read(new Uint8Array(600));
      expectBytes(first.value as Uint8Array, bytes.subarray(9000, 9600));
      const second = await reader.read(new Uint8Array((first.value as Uint8Array).buffer as ArrayBuffer));
      expectBytes(second.value as Uint8Array, bytes.subarray(9600));
      expect((await reader.read(new Uint8Array(1))).done).toBe(true);
      await expectCode('ERR_OUT_OF_RANGE', () => file.readableWebStream({ start: 5, end: 3 }));
    });
  });

  it('gives the errors of a writer, and of the web', async () => {
    const name = context.fresh();
    await (await context.store.open(name, 'w')).close();
    const unwritable = await context.store.open(name, 'r');
    const writing = pipeline(Readable.from([Buffer.from('x')]), await unwritable.createWriteStream());
    await expect(writing).rejects.toMatchObject({ code: 'EBADF' });
    const unreadable = await context.store.open(name, 'w');
    for (const type of [undefined, 'bytes'] as const) {
      const reader = (await unreadable.readableWebStream({ type })).getReader();
      await expect(reader.read()).rejects.toMatchObject({ code: 'EBADF' });
    }
    await unreadable.close();
  });

  it('appends', async () => {
    const name = context.fresh();
    const file = await context.store.open(name, 'a');
    await file.write(Buffer.from('one '));
    await pipeline(Readable.from([Buffer.from('two '), Buffer.from('three')]), await file.createWriteStream());
    expect((await context.content(name)).toString()).toBe('one two three');
  });
});
