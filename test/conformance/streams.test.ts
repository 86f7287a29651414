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
});
