/**
 * Files as `random-access-storage`: the cases of the suites that its implementations are held to (`random-access-test`, which
 * no registry has, and `random-access-file`), one by one, and what is particular to a store.
 */
import RandomAccessStorage from 'random-access-storage';
import { describe, expect, it } from 'vitest';
import {
  type RandomAccess,
  type RandomAccessOptions,
  type RandomAccessStat,
  randomAccess,
} from '#dist/src/random-access-storage.js';
import { openedStore } from '../opened-store.js';

const world = openedStore();
let files = 0;

function fresh(): string {
  return `${files++}.txt`;
}

/** The calls as promises. */
function opened(name = fresh(), options?: RandomAccessOptions) {
  const file = randomAccess(world.store, name, options);
  return { file, ...promised(file) };
}

function promised(file: RandomAccess) {
  type Done<T> = (error: Error | null, value: T) => void;
  const call = <T>(start: (done: Done<T>) => void): Promise<T> =>
    new Promise((resolve, reject) => start((error, value) => (error === null ? resolve(value) : reject(error))));
  return {
    read: (offset: number, size: number) => call<Buffer>((done) => file.read(offset, size, done)),
    write: (offset: number, data: Uint8Array) => call<void>((done) => file.write(offset, data, done)),
    del: (offset: number, size: number) => call<void>((done) => file.del(offset, size, done)),
    truncate: (offset: number) => call<void>((done) => file.truncate(offset, done)),
    stat: () => call<RandomAccessStat>((done) => file.stat(done)),
    open: () => call<void>((done) => file.open(done)),
    suspend: () => call<void>((done) => file.suspend(done)),
    close: () => call<void>((done) => file.close(done)),
    unlink: () => call<void>((done) => file.unlink(done)),
  };
}

const hello = Buffer.from('hello');

describe('the cases of its suites', () => {
  it('write and read', async () => {
    const { write, read, unlink } = opened();
    await write(0, hello);
    expect(await read(0, 5)).toEqual(hello);
    await unlink();
  });

  it('read empty', async () => {
    const { read } = opened(undefined, { truncate: true });
    expect(await read(0, 0)).toEqual(Buffer.alloc(0));
  });

  it.each([0, 5])('read %i bytes before a write', async (size) => {
    const { read, unlink } = opened();
    await expect(read(0, size)).rejects.toMatchObject({ code: 'ENOENT' });
    await unlink();
  });

  it('read range > file', async () => {
    const { read } = opened(undefined, { truncate: true });
    await expect(read(0, 5)).rejects.toMatchObject({ code: 'EPARTIALREAD' });
  });

  it('read range > file with data', async () => {
    const { write, read } = opened();
    await write(0, hello);
    await expect(read(0, 10)).rejects.toMatchObject({ code: 'EPARTIALREAD', offset: 0, size: 10 });
  });

  it('random access write and read', async () => {
    const { write, read } = opened();
    await write(10, Buffer.from('hi'));
    await write(0, hello);
    expect(await read(10, 2)).toEqual(Buffer.from('hi'));
    expect(await read(0, 5)).toEqual(hello);
    expect(await read(5, 5)).toEqual(Buffer.alloc(5));
  });

  it('re-open, while the first is open and after', async () => {
    const name = fresh();
    const first = opened(name);
    await first.write(10, hello);
    expect(await opened(name).read(10, 5)).toEqual(hello);
    await first.close();
    expect(await opened(name).read(10, 5)).toEqual(hello);
  });

  it('re-open and truncate', async () => {
    const name = fresh();
    const first = opened(name);
    await first.write(10, hello);
    await first.close();
    await expect(opened(name, { truncate: true }).read(10, 5)).rejects.toMatchObject({ code: 'EPARTIALREAD' });
  });

  it('truncate with size', async () => {
    const { stat, unlink } = opened(undefined, { size: 100 });
    expect((await stat()).size).toBe(100);
    await unlink();
  });

  it('bad truncate', async () => {
    const { open, close } = opened(undefined, { size: -1, truncate: true });
    await expect(open()).rejects.toThrow(RangeError);
    await close();
  });

  it('bad open', async () => {
    const { open, close } = opened('x'.repeat(300));
    await expect(open()).rejects.toMatchObject({ code: 'ENAMETOOLONG' });
    await close();
  });

  it('a path', async () => {
    const { write, read } = opened('folder/test.txt');
    await write(0, hello);
    expect(await read(0, 5)).toEqual(hello);
  });

  it('write/read big chunks', async () => {
    const { write, read, unlink } = opened();
    const big = Buffer.alloc(10 * 2 ** 20, 'hey. hey. how are you doing?. i am good thanks how about you? i am good');
    await Promise.all(
      [0, big.length * 2].map(async (offset) => {
        await write(offset, big);
        expect((await read(offset, big.length)).equals(big)).toBe(true);
      }),
    );
    await unlink();
  });

  it('del, partial file block', async () => {
    const { write, del, read, stat } = opened();
    await write(0, Buffer.alloc(100, 0xff));
    await del(0, 40);
    expect(await read(0, 40)).toEqual(Buffer.alloc(40));
    expect((await stat()).size).toBe(100);
    await del(50, 50);
    expect(await read(50, 50)).toEqual(Buffer.alloc(50));
    expect(await read(40, 10)).toEqual(Buffer.alloc(10, 0xff));
  });

  it.each([
    ['whole file block', 0, 0],
    ['partial and whole', -483, 851],
  ])('del, %s', async (_what, before, more) => {
    const { write, del, stat } = opened(undefined, { truncate: true });
    const { blksize } = await stat();
    await write(0, Buffer.alloc(blksize * 100, 1));
    const { blocks } = await stat();
    await del(blksize * 20 + before, blksize * 50 + more);
    expect((await stat()).blocks).toBe(blocks - (50 * blksize) / 512);
  });

  it('del, infinity', async () => {
    const { del, stat } = opened(undefined, { size: 100 });
    await del(0, Number.POSITIVE_INFINITY);
    expect((await stat()).size).toBe(0);
  });

  it('truncate', async () => {
    const { truncate, stat } = opened(undefined, { size: 100 });
    for (const size of [50, 20]) {
      await truncate(size);
      expect((await stat()).size).toBe(size);
    }
  });

  it('open and close many times', async () => {
    const name = fresh();
    const first = opened(name);
    await first.write(0, Buffer.alloc(4));
    const expected = Buffer.alloc(4);
    for (let n = 200; n > 0; n--) {
      const { read, write, close } = opened(name);
      expect(await read(0, 4)).toEqual(expected);
      expected.writeUInt32BE(n);
      await write(0, expected);
      await close();
    }
  });

  it('existing content', async () => {
    const name = fresh();
    const file = await world.store.open(name, 'w');
    await file.writeFile('contents');
    await file.close();
    expect(await opened(name).read(0, 7)).toEqual(Buffer.from('content'));
  });

  it('simultaneous writes and reads', async () => {
    const { write, read } = opened();
    await Promise.all(
      ['hello', 'hola!', 'hallo'].map(async (text, i) => {
        await write(i * 5, Buffer.from(text));
        expect((await read(i * 5, 5)).toString()).toBe(text);
      }),
    );
  });

  it('unlink', async () => {
    const name = fresh();
    const { write, unlink } = opened(name);
    await write(0, Buffer.from('hi'));
    await unlink();
    expect(await world.store.exists(name)).toBe(false);
  });

  it('unlink on uncreated file', async () => {
    const name = fresh();
    const { unlink } = opened(name);
    expect(await world.store.exists(name)).toBe(false);
    await unlink();
  });

  it('suspended by a pool, and open again', async () => {
    const { write, suspend, read } = opened();
    await write(0, hello);
    await suspend();
    expect(await read(0, 5)).toEqual(hello);
  });

  it('readonly mode', async () => {
    const name = fresh();
    const first = opened(name);
    await first.write(0, Buffer.from('hello world'));
    await first.close();
    const { read, write, del, close } = opened(name, { writable: false });
    expect(await read(0, 5)).toEqual(hello);
    await expect(write(0, hello)).rejects.toMatchObject({ code: 'EBADF' });
    await expect(del(0, 5)).rejects.toMatchObject({ code: 'EBADF' });
    await close();
    await expect(opened(fresh(), { writable: false }).write(0, hello)).rejects.toMatchObject({ code: 'ENOENT' });
  });
});

describe('on a store', () => {
  it('is what it says, to those who ask for the class', () => {
    const { file } = opened();
    expect(file).toBeInstanceOf(RandomAccessStorage);
    expect(file).toMatchObject({ readable: true, writable: true, deletable: true, truncatable: true, statable: true });
  });

  it('punches: the blocks go to others, the size stays', async () => {
    const name = fresh();
    const { write, del, stat, read } = opened(name);
    await write(0, Buffer.alloc(2 ** 20, 1));
    await del(4096, 2 ** 20 - 8192);
    expect(await stat()).toMatchObject({ size: 2 ** 20, blocks: 16 });
    expect((await read(0, 2 ** 20)).subarray(4095, 4098)).toEqual(Buffer.from([1, 0, 0]));
    await del(4096, 0);
    const file = await world.store.open(name);
    expect(await file.nextHole(0)).toBe(4096);
    expect(await file.nextData(4096)).toBe(2 ** 20 - 4096);
    await file.close();
  });

  it('truncates once, not at each opening', async () => {
    const name = fresh();
    const { write, suspend, read } = opened(name, { truncate: true });
    await write(0, hello);
    await suspend();
    expect(await read(0, 5)).toEqual(hello);
  });
});
