/** What the engine leaves on a device, as the checker sees it. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { MemoryDevice } from '#dist/src/device/memory-device.js';
import { checkStore, createStore, openStore } from '#dist/src/index.js';
import { checkDevice } from '#dist/src/store/check.js';
import { attachStore, type SyncStore } from '#dist/src/worker.js';
import { temporaryDirectory } from '../support/temporary.js';

const directory = temporaryDirectory();
let images = 0;

/** A closed store on which `work` was done. */
async function storeAfter(work: (store: SyncStore) => void, sizeBytes = 64 * 1024 * 1024): Promise<string> {
  const image = join(directory, `check-${images++}.img`);
  await createStore(image, { sizeBytes });
  const store = await openStore(image, { cacheBytes: 8 * 1024 * 1024, threads: 2, verify: true });
  const sync = attachStore(store.handle);
  try {
    work(sync);
  } finally {
    sync.close();
    await store.close();
  }
  return image;
}

function inMemory(image: string): MemoryDevice {
  const bytes = readFileSync(image);
  const device = new MemoryDevice(bytes.length);
  for (let at = 0; at < bytes.length; at += 65536) {
    const chunk = bytes.subarray(at, at + 65536);
    if (chunk.some((byte) => byte !== 0)) device.write([chunk], at);
  }
  return device;
}

describe('a store that the engine wrote', () => {
  it('is clean after many names came and went', async () => {
    const nameOf = (i: number): string =>
      `${'d'.repeat(i % 120)}/${(Math.imul(i, 0x9e3779b1) >>> 0).toString(36)}-${i}`;
    const expected = new Map<string, number>();
    const image = await storeAfter((store) => {
      for (let i = 0; i < 1500; i++) {
        const file = store.open(nameOf(i), 'wx+');
        if (i % 10 === 0) file.write(new Uint8Array(5000).fill(i), 0, 5000, i * 4096);
        file.close();
        expected.set(nameOf(i), i);
      }
      for (let i = 0; i < 1500; i++) {
        if (i % 3 !== 0) continue;
        store.unlink(nameOf(i));
        expected.delete(nameOf(i));
      }
      for (let i = 1; i < 1500; i += 30) {
        store.rename(nameOf(i), `renamed/${i}`);
        expected.delete(nameOf(i));
        expected.set(`renamed/${i}`, i);
      }
      const listed = [...store.list()].map(({ name }) => name);
      const inOrder = [...expected.keys()].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
      expect(listed).toEqual(inOrder);
    });
    const report = await checkStore(image);
    expect(report.errors).toEqual([]);
    expect(report.counts).toMatchObject({ files: expected.size, inodes: expected.size });
  });

  it('survives flips of its metadata, one after another, without its files', async () => {
    const image = await storeAfter(
      (store) => {
        for (let i = 0; i < 30; i++) {
          const file = store.open(`file-${i}`, 'w+');
          for (let page = 0; page < i * 2; page += 2) file.write(new Uint8Array(4096).fill(i), 0, 4096, page * 4096);
          if (i % 4 === 0) file.fallocate(1 << 20, 65536, { keepSize: true });
          file.close();
        }
        store.unlink('file-7');
      },
      16 * 1024 * 1024,
    );
    const device = inMemory(image);
    expect(checkDevice(device).errors).toEqual([]);
    const block = new Uint8Array(4096);
    const kinds = new Set([0x4d424d45, 0x4e494d45, 0x58454d45, 0x4d4e4d45]);
    for (let number = 0, found = 0; number < device.sizeBytes / 4096; number++) {
      device.read([block], number * 4096);
      const view = new DataView(block.buffer);
      if (number > 0 && !(kinds.has(view.getUint32(0, true)) && view.getUint32(8, true) === number)) continue;
      const damaged = device.clone();
      block[(found * 977) % 4096] ^= 1 << (found % 8);
      damaged.write([block], number * 4096);
      found += 1;
      const before = checkDevice(damaged);
      // A freed node's block keeps its content, and nobody looks at it.
      if (before.clean) continue;
      expect(before.errors.some((error) => error.block === number)).toBe(true);
      expect(checkDevice(damaged, { repair: true }).errors).toEqual([]);
    }
  });
});
