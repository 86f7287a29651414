/**
 * Damage done on purpose to a small store, for several block sizes: single bytes flipped in every metadata block, blocks
 * zeroed, swapped, replaced by an older version of themselves, and images cut short.
 */
import { describe, expect, it } from 'vitest';
import { MemoryDevice } from '#dist/src/device/memory-device.js';
import { checkDevice } from '#dist/src/store/check.js';
import { type Damage, examine, repairAndVerify } from './examine.js';
import { FLIPS, flipsOf, PART, SEED } from './flips.js';
import { Mounted } from './mounted.js';
import { Specimen } from './specimen.js';

/** One flip in so many is repaired too. */
const REPAIRED = 10;
/** And one pair of swapped blocks. */
const SWAPS_REPAIRED = 3;

/** What a block size checks of a superblock's block: the rest of it is not used. */
const SUPERBLOCK_BYTES = 4096;

const STORES = [
  { blockBytes: 4096, dataChecksums: false },
  { blockBytes: 4096, dataChecksums: true },
  { blockBytes: 16_384, dataChecksums: false },
  { blockBytes: 65_536, dataChecksums: false },
];

for (const { blockBytes, dataChecksums } of STORES) {
  describe(`blocks of ${blockBytes} bytes${dataChecksums ? ', data checksums' : ''}`, () => {
    const specimen = new Specimen({ files: 5, sparsePages: 32, blocks: 128, blockBytes, dataChecksums });
    const metadata = [...specimen.kinds.keys()];
    const copy = specimen.superblock.blocks - 1;

    function damageOf(what: string, ...blocks: number[]): Damage {
      return { what, blocks: new Set(blocks), seed: 1 };
    }

    it('nothing damaged is read right, checked clean and repaired in no way', () => {
      const kinds = ['superblock', 'bitmap', 'inodes', 'extents', 'names', ...(dataChecksums ? ['checksums'] : [])];
      expect(new Set(specimen.kinds.values())).toEqual(new Set(kinds));
      const verdict = examine(specimen, specimen.device, damageOf('nothing'));
      expect(verdict).toMatchObject({ opened: true, errors: [], check: { clean: true } });
      expect(repairAndVerify(specimen, specimen.device, damageOf('nothing'))?.repaired).toEqual([]);
    });

    it(`a flipped byte is found and named, ${FLIPS} of each block, seed ${SEED}`, { timeout: 7_200_000 }, () => {
      const used = (block: number): number =>
        specimen.kinds.get(block) === 'superblock' ? SUPERBLOCK_BYTES : blockBytes;
      const flips = flipsOf(metadata, used);
      for (const [i, { block, at, mask }] of flips.entries()) {
        const device = specimen.device.clone();
        const bytes = specimen.read(device, block);
        bytes[at] ^= mask;
        device.write([bytes], block * blockBytes);
        const damage = damageOf(`seed ${SEED}: block ${block} (${specimen.kinds.get(block)}), byte ${at}`, block);
        damage.readsOnly = i % REPAIRED !== 0;
        const { check, errors } = examine(specimen, device, damage);
        expect(check.clean, damage.what).toBe(false);
        expect(
          check.errors.some((error) => error.block === block),
          damage.what,
        ).toBe(true);
        for (const { message } of errors)
          expect(message, damage.what).toMatch(new RegExp(`block ${block}\\b|no Emmental store`));
        if (i % REPAIRED === 0) expect(repairAndVerify(specimen, device, damage), damage.what).not.toBeNull();
      }
      console.log(
        `flipped bytes, blocks of ${blockBytes}${dataChecksums ? ', data checksums' : ''}: ${flips.length}, part ${PART}`,
      );
    });

    it('a zeroed block is found and named', () => {
      for (const block of metadata) {
        const device = specimen.device.clone();
        device.write([new Uint8Array(blockBytes)], block * blockBytes);
        const damage = damageOf(`block ${block} (${specimen.kinds.get(block)}) zeroed`, block);
        expect(
          examine(specimen, device, damage).check.errors.some((error) => error.block === block),
          damage.what,
        ).toBe(true);
        expect(repairAndVerify(specimen, device, damage), damage.what).not.toBeNull();
      }
    });

    it('two swapped blocks are found and named', () => {
      for (const [i, a] of metadata.entries()) {
        for (const b of metadata.slice(i + 1)) {
          const device = specimen.device.clone();
          device.write([specimen.read(specimen.device, a)], b * blockBytes);
          device.write([specimen.read(specimen.device, b)], a * blockBytes);
          const damage = damageOf(`blocks ${a} and ${b} swapped`, a, b);
          const { check } = examine(specimen, device, damage);
          expect(check.clean, damage.what).toBe(false);
          const named = new Set(check.errors.map((error) => error.block));
          expect(named.has(a) || named.has(b), damage.what).toBe(true);
          if (FLIPS !== 'all' && (a + b + SEED) % SWAPS_REPAIRED !== 0) continue;
          const report = repairAndVerify(specimen, device, damage);
          // Without either superblock nothing tells where anything is.
          if (report === null) expect([a, b]).toEqual([0, copy]);
        }
      }
    });

    it('an older version of a block is as the file was, an error, or found by the check; never another file', () => {
      let older = 0;
      for (const block of metadata) {
        const version = specimen.olderVersion(block);
        if (version === null) continue;
        older += 1;
        const device = specimen.device.clone();
        device.write([version], block * blockBytes);
        const damage = {
          ...damageOf(`block ${block} (${specimen.kinds.get(block)}) as it was`, block),
          plausible: true,
        };
        const { check } = examine(specimen, device, damage);
        if (check.clean) expectVersions(specimen, device, damage.what);
        repairAndVerify(specimen, device, damage);
        const repaired = device.clone();
        checkDevice(repaired, { repair: true });
        expectVersions(specimen, repaired, `${damage.what}, repaired`);
      }
      expect(older).toBeGreaterThan(3);
    });

    it('an image cut short is refused, and said to be short', () => {
      const { blocks } = specimen.superblock;
      for (let end = 0; end < blocks; end += 1 + Math.floor(blocks / 16)) {
        for (const size of [end * blockBytes, end * blockBytes + 1000]) {
          const device = new MemoryDevice(size);
          const bytes = new Uint8Array(size);
          specimen.device.read([bytes], 0);
          device.write([bytes], 0);
          const damage = damageOf(`cut to ${size} bytes`, ...Array.from({ length: blocks - end }, (_, i) => end + i));
          const { opened, errors, check } = examine(specimen, device, damage);
          expect(opened, damage.what).toBe(false);
          expect(errors[0].message).toMatch(
            size < SUPERBLOCK_BYTES ? /no Emmental store/ : new RegExp(`device has ${size}`),
          );
          expect(check.clean).toBe(false);
          expect(repairAndVerify(specimen, device, damage)).toBeNull();
        }
      }
    });
  });
}

/** Every file that can be read is as it is or was at some time, page by page: as it was, or a hole. */
function expectVersions(specimen: Specimen, device: MemoryDevice, what: string): void {
  const { blockBytes } = specimen;
  const mounted = new Mounted(specimen, device.clone());
  for (const file of specimen.files.values()) {
    const versions = [file.bytes, ...file.older.map(({ bytes }) => bytes)];
    const names = [file.name, ...file.older.map(({ name }) => name), `lost+found/ino-${file.ino}`];
    for (const name of names) {
      const found = mounted.readFile(name);
      if (found === null || 'error' in found) continue;
      for (let at = 0; at < found.bytes.length; at += blockBytes) {
        const page = found.bytes.subarray(at, at + blockBytes);
        const isKnown = versions.some((version) => Buffer.compare(page, version.subarray(at, at + page.length)) === 0);
        if (isKnown || page.every((byte) => byte === 0)) continue;
        if (isPadded(page, versions, at)) continue;
        throw new Error(`${what}: page ${at / blockBytes} of '${name}' is nothing that the file ever held`);
      }
    }
  }
}

/** The size may be older or newer than the content: then zeros follow, or less of it is seen. */
function isPadded(page: Uint8Array, versions: readonly Uint8Array[], at: number): boolean {
  return versions.some((version) => {
    const part = version.subarray(at, at + page.length);
    return page.every((byte, i) => byte === (i < part.length ? part[i] : 0));
  });
}
