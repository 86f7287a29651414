/**
 * A flipped bit in any metadata block: an error that names the block, or no difference at all (where nothing needed the
 * block). Never a crash, a hang, or wrong data; and the checker finds every one.
 */
import { closeSync, copyFileSync, openSync, readFileSync, readSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { BlockKind, verifyBlock } from '#dist/src/format/block-header.js';
import { checkStore, createStore, openStore, StoreError } from '#dist/src/index.js';
import { expectBytes, pattern } from '../support/bytes.js';
import { seededRandom } from '../support/random.js';
import { temporaryDirectory } from '../support/temporary.js';

const BLOCK = 4096;
const SIZE_BYTES = 16 * 1024 * 1024;
const SEED = Number(process.env['EMMENTAL_DAMAGE_SEED'] ?? Math.floor(Math.random() * 2 ** 31));
const STEP_MS = 20_000;
/** Blocks of each kind that are damaged, one after the other. */
const BLOCKS_PER_KIND = Number(process.env['EMMENTAL_DAMAGE_BLOCKS'] ?? 1);

const directory = temporaryDirectory(true);
const image = join(directory, 'good.img');
const copy = join(directory, 'damaged.img');
/** What the store holds. */
const expected = new Map<string, Buffer>();
const kinds = new Map<number, string>();

/** Files with trees of two levels, many names, and an inode table of several blocks. */
async function build(): Promise<void> {
  await createStore(image, { sizeBytes: SIZE_BYTES });
  const store = await openStore(image, { threads: 2, cacheBytes: 512 * BLOCK });
  const sparse = await store.open('sparse', 'w+');
  const bytes = Buffer.alloc(800 * BLOCK);
  for (let i = 0; i < 400; i++) {
    const page = pattern(BLOCK, i + 1);
    await sparse.write(page, 0, BLOCK, 2 * i * BLOCK);
    page.copy(bytes, 2 * i * BLOCK);
  }
  await sparse.truncate(bytes.length);
  expected.set('sparse', bytes);
  for (let i = 0; i < 120; i++) {
    const name = `${'a long name to fill the nodes of the tree '.repeat(3)}${i}`;
    const content = pattern(200 + i, i + 7);
    const file = await store.open(name, 'w');
    await file.writeFile(content);
    await file.close();
    expected.set(name, content);
  }
  await store.close();
}

/** The blocks that are metadata, as their own headers say. */
function findMetadata(): number[] {
  const bytes = readFileSync(image);
  const found: number[] = [];
  for (let block = 1; block < SIZE_BYTES / BLOCK; block++) {
    const one = new Uint8Array(bytes.buffer, bytes.byteOffset + block * BLOCK, BLOCK);
    if (verifyBlock(one, block) === null) {
      found.push(block);
      kinds.set(block, BLOCK_KINDS[new DataView(one.buffer, one.byteOffset).getUint32(0, true)]);
    }
  }
  return found;
}

const BLOCK_KINDS: Record<number, string> = {
  [BlockKind.Bitmap]: 'bitmap',
  [BlockKind.Inodes]: 'inodes',
  [BlockKind.ExtentNode]: 'extents',
  [BlockKind.NameNode]: 'names',
};

/** Some of each kind. */
function sample(blocks: number[], random: () => number): number[] {
  const left = new Map<string, number>();
  return blocks
    .map((block) => ({ block, order: random() }))
    .sort((a, b) => a.order - b.order)
    .filter(({ block }) => {
      const kind = kinds.get(block)!;
      const n = left.get(kind) ?? BLOCKS_PER_KIND;
      left.set(kind, n - 1);
      return n > 0;
    })
    .map(({ block }) => block);
}

function flip(position: number, bit: number): void {
  copyFileSync(image, copy);
  const fd = openSync(copy, 'r+');
  const byte = Buffer.alloc(1);
  readSync(fd, byte, 0, 1, position);
  byte[0] ^= 1 << bit;
  writeSync(fd, byte, 0, 1, position);
  closeSync(fd);
}

/** Opens, reads everything, changes something, closes. Returns the errors that were met; wrong data and hangs throw. */
async function useAll(): Promise<StoreError[]> {
  const errors: StoreError[] = [];
  const attempt = async (call: () => Promise<void>): Promise<void> => {
    let timer: NodeJS.Timeout | undefined;
    const hang = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error('a hang')), STEP_MS);
    });
    try {
      await Promise.race([call(), hang]);
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
      errors.push(error);
    } finally {
      clearTimeout(timer);
    }
  };
  await attempt(async () => {
    const store = await openStore(copy, { threads: 2, cacheBytes: 512 * BLOCK, verify: true });
    for (const [name, content] of expected) {
      await attempt(async () => {
        const file = await store.open(name);
        expectBytes((await file.readFile()) as Buffer, content, name);
        await file.close();
      });
    }
    await attempt(async () => {
      const names: string[] = [];
      for await (const { name } of store.list()) names.push(name);
      expect(names.sort()).toEqual([...expected.keys()].sort());
    });
    await attempt(async () => {
      const file = await store.open('new', 'w');
      await file.write(pattern(50_000), 0, 50_000, 0);
      await file.sync();
      await file.close();
    });
    await attempt(async () => {
      const file = await store.open('sparse', 'r+');
      for (let i = 0; i < 400; i += 40) await file.punchHole(2 * i * BLOCK, BLOCK);
      await file.sync();
      await file.close();
    });
    for (const name of [...expected.keys()].slice(1, 4)) await attempt(() => store.unlink(name));
    await attempt(() => store.sync());
    await attempt(() => store.close());
  });
  return errors;
}

describe('a flipped bit', () => {
  const random = seededRandom(SEED);
  let metadata: number[] = [];

  beforeAll(async () => {
    await build();
    metadata = findMetadata();
  });

  it('is nowhere, and nothing is wrong', async () => {
    copyFileSync(image, copy);
    expect(new Set(kinds.values())).toEqual(new Set(['bitmap', 'inodes', 'extents', 'names']));
    expect(metadata.length).toBeGreaterThan(10);
    expect(await useAll()).toEqual([]);
    expect(await checkStore(copy)).toMatchObject({ clean: true });
  });

  it(`in each metadata block is named, seed ${SEED}`, { timeout: 120_000 }, async () => {
    for (const block of sample(metadata, random)) {
      const [offset, bit] = [Math.floor(random() * BLOCK), Math.floor(random() * 8)];
      const where = `seed ${SEED}: block ${block} (${kinds.get(block)}), byte ${offset}, bit ${bit}`;
      flip(block * BLOCK + offset, bit);
      const report = await checkStore(copy);
      expect(report.clean, where).toBe(false);
      expect(JSON.stringify(report.errors), where).toContain(String(block));
      const errors = await useAll().catch((error) => {
        throw new Error(`${where}: ${error.message}`, { cause: error });
      });
      // Blocks of the inode table that hold no file's inode yet are needed by nobody.
      if (kinds.get(block) === 'inodes' && errors.length === 0) continue;
      const damage = errors.filter(({ code }) => code === 'EUCLEAN');
      expect(damage.length, `${where}: ${errors.map(({ message }) => message).join('; ')}`).toBeGreaterThan(0);
      // Later, too, when a sync tells what writeback met before.
      for (const error of damage) {
        expect(error.message, where).toMatch(new RegExp(`block ${block}\\b.*run 'emmental check'`));
      }
    }
  });

  it('in the superblock is named', async () => {
    for (let i = 0; i < 3; i++) {
      const [offset, bit] = [i === 0 ? 4 : Math.floor(random() * BLOCK), Math.floor(random() * 8)];
      flip(offset, bit);
      const errors = await useAll();
      expect(errors.map(({ code }) => code)).toEqual([offset < 8 ? 'EINVAL' : 'EUCLEAN']);
      if (offset >= 8) expect(errors[0].message).toMatch(/superblock.*emmental check/);
      expect((await checkStore(copy)).clean).toBe(false);
      expect(await checkStore(copy, { repair: true }), `byte ${offset}`).toMatchObject({ clean: true });
      expect(await useAll()).toEqual([]);
    }
  });

  it('in the copy of the superblock is found by the checker only', async () => {
    flip(SIZE_BYTES - BLOCK + 100, 3);
    expect((await checkStore(copy)).clean).toBe(false);
    expect(await useAll()).toEqual([]);
    expect((await checkStore(copy)).clean).toBe(true);
  });

  it('in data is not noticed, and hurts nobody else', async () => {
    flip(Math.max(...metadata) * BLOCK + 3 * BLOCK, 1);
    expect((await checkStore(copy)).clean).toBe(true);
  });
});

describe('a repair', () => {
  it('of any flipped bit leaves a store that is clean, and the files that were not hit', {
    timeout: 120_000,
  }, async () => {
    const random = seededRandom(SEED + 1);
    const metadata = findMetadata();
    for (const block of sample(metadata, random)) {
      flip(block * BLOCK + Math.floor(random() * BLOCK), Math.floor(random() * 8));
      const where = `seed ${SEED}, block ${block} (${kinds.get(block)})`;
      const report = await checkStore(copy, { repair: true });
      expect(report, `${where}: ${JSON.stringify(report.errors)}`).toMatchObject({ clean: true });
      const store = await openStore(copy, { threads: 2, cacheBytes: 512 * BLOCK, verify: true });
      for await (const { name } of store.list()) {
        const content = expected.get(name);
        const file = await store.open(name);
        const found = (await file.readFile()) as Buffer;
        // An extent node that is gone is a hole.
        if (content !== undefined && kinds.get(block) !== 'extents') expectBytes(found, content, `${where}, ${name}`);
        await file.close();
      }
      await store.close();
      expect((await checkStore(copy)).clean, where).toBe(true);
    }
  });
});
