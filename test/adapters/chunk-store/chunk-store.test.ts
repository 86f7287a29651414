/** Chunk stores: the suite of `abstract-chunk-store`, and what it leaves open. */
import { createRequire } from 'node:module';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { ChunkStore } from '#dist/src/chunk-store.js';
import { tape } from '../../support/tape.js';
import { openedStore } from '../opened-store.js';

const world = openedStore();
let files = 0;

class FreshChunkStore extends ChunkStore {
  constructor(chunkLength: number) {
    super(chunkLength, { store: world.store, name: `chunks-${files++}` });
  }
}

/** The calls as promises. */
function promised(chunks: ChunkStore) {
  return {
    put: promisify((index: number, bytes: Uint8Array, done: (error: Error | null) => void) =>
      chunks.put(index, bytes, done),
    ),
    get: promisify(
      (
        index: number,
        range: { offset?: number; length?: number } | null,
        done: (error: Error | null, b?: Buffer) => void,
      ) => chunks.get(index, range, done),
    ),
    close: promisify((done: (error: Error | null) => void) => chunks.close(done)),
    destroy: promisify((done: (error: Error | null) => void) => chunks.destroy(done)),
  };
}

describe('the suite of abstract-chunk-store', () => {
  const suite = createRequire(import.meta.url)('abstract-chunk-store/tests');
  suite(tape, FreshChunkStore);
});

describe('beyond it', () => {
  it('keeps chunks from one opening to the next, and removes them when it is destroyed', async () => {
    const name = 'kept';
    const first = promised(new ChunkStore(4096, { store: world.store, name }));
    await first.put(7, Buffer.alloc(4096, 7));
    await first.close();
    expect((await world.store.stat(name)).size).toBe(8 * 4096);
    const second = promised(new ChunkStore(4096, { store: world.store, name }));
    expect(await second.get(7, { offset: 4000, length: 2 })).toEqual(Buffer.from([7, 7]));
    await second.destroy();
    expect(await world.store.exists(name)).toBe(false);
  });

  it('has no chunk where there is a hole, and one where zeros were put', async () => {
    const chunks = promised(new ChunkStore(8192, { store: world.store, name: 'sparse' }));
    await chunks.put(5, Buffer.alloc(8192));
    expect(await chunks.get(5, null)).toEqual(Buffer.alloc(8192));
    for (const absent of [0, 4, 6]) await expect(chunks.get(absent, null)).rejects.toThrow('not in the store');
    await (await world.store.open('sparse', 'r+')).sync();
    expect(await chunks.get(5, null)).toEqual(Buffer.alloc(8192));
    expect((await world.store.stat('sparse')).allocatedBytes).toBe(8192);
    await chunks.destroy();
  });

  it('knows the length of the last chunk', async () => {
    const chunks = promised(new ChunkStore(10, { store: world.store, name: 'short', length: 25 }));
    await expect(chunks.put(2, Buffer.alloc(10))).rejects.toThrow('must be 5');
    await chunks.put(2, Buffer.from('12345'));
    expect((await chunks.get(2, null))?.toString()).toBe('12345');
    await expect(chunks.get(2, { length: 6 })).rejects.toThrow(RangeError);
    await expect(chunks.put(3, Buffer.alloc(10))).rejects.toThrow(RangeError);
    expect((await world.store.stat('short')).size).toBe(25);
    await chunks.destroy();
  });

  it('refuses what is no index, no range, and what comes after the end', async () => {
    const chunks = promised(new ChunkStore(10, { store: world.store, name: 'strict' }));
    await chunks.put(0, Buffer.from('0123456789'));
    for (const index of [-1, 0.5, Number.NaN, 2 ** 60])
      await expect(chunks.get(index, null)).rejects.toThrow(RangeError);
    for (const range of [{ offset: 11 }, { offset: -1 }, { offset: 5, length: 6 }, { length: -1 }]) {
      await expect(chunks.get(0, range)).rejects.toThrow(RangeError);
    }
    expect(await chunks.get(0, { offset: 10 })).toEqual(Buffer.alloc(0));
    await chunks.close();
    await expect(chunks.get(0, null)).rejects.toThrow('closed');
    await expect(chunks.put(0, Buffer.alloc(10))).rejects.toThrow('closed');
    await expect(chunks.close()).rejects.toThrow('closed');
    expect(() => new ChunkStore(0, { store: world.store, name: 'x' })).toThrow(RangeError);
  });

  it('waits for what is under way before it closes', async () => {
    const name = 'busy';
    const chunks = new ChunkStore(2 ** 20, { store: world.store, name });
    const done: number[] = [];
    for (const index of [0, 1, 2, 3]) chunks.put(index, Buffer.alloc(2 ** 20, index + 1), () => done.push(index));
    await promised(chunks).close();
    expect(done.sort()).toEqual([0, 1, 2, 3]);
    const again = promised(new ChunkStore(2 ** 20, { store: world.store, name }));
    for (const index of [0, 1, 2, 3]) expect((await again.get(index, null))?.[2 ** 20 - 1]).toBe(index + 1);
    await again.destroy();
  });
});
