/**
 * What is no mistake of a block but of the whole: stores of another version, stores that were not closed and may not be
 * written to, and a journal whose head or blocks are damaged, with the checksums of data and without them.
 */
import { describe, expect, it } from 'vitest';
import { MemoryDevice } from '#dist/src/device/memory-device.js';
import { SuperblockAt, sealSuperblock, VERSION_MAJOR, VERSION_MINOR } from '#dist/src/format/superblock.js';
import { Findings } from '#dist/src/store/check/findings.js';
import { loadImage } from '#dist/src/store/check/superblock-check.js';
import { checkDevice } from '#dist/src/store/check.js';
import type { StoreHandle } from '#dist/src/store/session.js';
import { expectBytes, pattern } from '../support/bytes.js';
import { failureOf } from '../support/expect-code.js';
import { type InMemory, type InMemoryOptions, inMemory } from '../support/in-memory.js';
import { flipsOf, PART, SEED } from './flips.js';

const BLOCK = 4096;
const BLOCKS = 512;

let memory: StoreHandle | undefined;

function open(device: MemoryDevice, options: InMemoryOptions = {}): InMemory {
  const mounted = inMemory(device, { frames: 64, verify: false, ...(memory && { memory }), ...options });
  memory = mounted.session.handle;
  return mounted;
}

/** File i, as it was synced; 'a' to 'f', in so many transactions. */
const FILES = 6;
const nameOf = (i: number): string => String.fromCharCode(97 + i);
const contentOf = (i: number): Uint8Array => pattern((i + 1) * BLOCK + 100 * i, i);

/** A store that was not closed: all that it holds beyond an empty root is in its journal. */
function crashed(dataChecksums: boolean): MemoryDevice {
  const device = new MemoryDevice(BLOCKS * BLOCK);
  const { store } = open(device, { format: { dataChecksums } });
  for (let i = 0; i < FILES; i++) {
    const file = store.open(nameOf(i), 'w+');
    file.write(contentOf(i), 0, contentOf(i).length, 0);
    file.sync();
    file.close();
  }
  return device.clone();
}

function read({ store }: InMemory, i: number): Uint8Array {
  const file = store.open(nameOf(i));
  const bytes = new Uint8Array(file.stat().size);
  file.read(bytes, 0, bytes.length, 0);
  file.close();
  return bytes;
}

function bytesOf(device: MemoryDevice): Uint8Array {
  const bytes = new Uint8Array(device.sizeBytes);
  device.read([bytes], 0);
  return bytes;
}

function flip(device: MemoryDevice, block: number, at: number, bit = 1): void {
  const bytes = new Uint8Array(BLOCK);
  device.read([bytes], block * BLOCK);
  bytes[at] ^= bit;
  device.write([bytes], block * BLOCK);
}

it('a store of a newer format is refused, and both versions are named, by opening and by the check', () => {
  const device = new MemoryDevice(BLOCKS * BLOCK);
  open(device, { format: true }).unmount();
  for (const block of [0, BLOCKS - 1]) {
    const bytes = new Uint8Array(BLOCK);
    device.read([bytes], block * BLOCK);
    new DataView(bytes.buffer).setUint16(SuperblockAt.VersionMajor, VERSION_MAJOR + 1, true);
    sealSuperblock(bytes, block, 1, 1);
    device.write([bytes], block * BLOCK);
  }
  const before = bytesOf(device);
  const versions = new RegExp(`${VERSION_MAJOR + 1}\\.\\d+, newer than ${VERSION_MAJOR}\\.${VERSION_MINOR}`);
  for (const readOnly of [false, true]) expect(() => open(device, { readOnly })).toThrow(versions);
  for (const repair of [false, true]) {
    const { clean, errors } = checkDevice(device, { repair });
    expect(clean).toBe(false);
    expect(errors.map(({ message }) => message).join()).toMatch(versions);
  }
  expectBytes(bytesOf(device), before);
});

for (const dataChecksums of [false, true]) {
  describe(`a store that was not closed, with${dataChecksums ? '' : 'out'} data checksums`, () => {
    const image = crashed(dataChecksums);
    const { journalStart, journalBlocks } = loadImage(image, new Findings())!.superblock;

    it('is recovered in memory where it is opened for reading only, and not written to', () => {
      const device = image.clone();
      device.onWrite =
        device.onFlush =
        device.onDiscard =
          () => {
            throw new Error('the device was touched');
          };
      const mounted = open(device, { readOnly: true });
      for (let i = 0; i < FILES; i++) expectBytes(read(mounted, i), contentOf(i));
      mounted.unmount();
      expect(checkDevice(device)).toMatchObject({ clean: true, replayed: expect.any(Number) });
      expectBytes(bytesOf(device), bytesOf(image));
    });

    it('is refused where the head of its journal is damaged, and told what a repair will do', () => {
      const device = image.clone();
      const whole = bytesOf(image);
      // Both copies of the head.
      for (let block = journalStart; block < journalStart + 2; block++) {
        expect(whole.subarray(block * BLOCK, (block + 1) * BLOCK).some((byte) => byte !== 0)).toBe(true);
        flip(device, block, 40);
      }
      for (const readOnly of [false, true]) {
        const error = failureOf(() => open(device.clone(), { readOnly }));
        expect(error).toMatchObject({ code: 'EUCLEAN' });
        expect(error!.message).toMatch(/journal.*head is damaged.*emmental check --repair/s);
        expect(error!.message).toMatch(/discard|lost/);
      }
      expect(checkDevice(device).errors.map(({ code }) => code)).toContain('JOURNAL');
      const report = checkDevice(device, { repair: true });
      expect(report).toMatchObject({ clean: true });
      expect(report.repaired.join()).toMatch(/discarded the journal/);
      const mounted = open(device);
      mounted.store.open('new', 'w+').close();
      expect(mounted.finish()).toMatchObject({ clean: true });
    });

    it(`recovers, or names the journal, whatever byte of it is flipped, seed ${SEED}`, { timeout: 3_600_000 }, () => {
      const whole = bytesOf(image);
      const counts = { flips: 0, refused: 0, shorter: 0, whole: 0 };
      const journal = Array.from({ length: journalBlocks }, (_, i) => journalStart + i);
      const used = journal.filter((block) =>
        whole.subarray(block * BLOCK, (block + 1) * BLOCK).some((byte) => byte !== 0),
      );
      for (const { block, at, mask } of flipsOf(used, () => BLOCK)) {
        const device = image.clone();
        flip(device, block, at, mask);
        const where = `seed ${SEED}: block ${block} of the journal, byte ${at}`;
        counts.flips += 1;
        let mounted: InMemory | null = null;
        const refusal = failureOf(() => {
          mounted = open(device.clone(), { readOnly: true });
        });
        if (refusal !== null) {
          counts.refused += 1;
          expect(refusal.message, where).toMatch(/EUCLEAN.*journal/s);
          continue;
        }
        // All files, or all but the last ones: a transaction that does not verify counts as cut short.
        let files = 0;
        while (files < FILES && mounted!.store.exists(nameOf(files))) files += 1;
        if (files < FILES) counts.shorter += 1;
        else counts.whole += 1;
        expect(mounted!.store.statfs().files, where).toBe(files);
        // What is promised of the last file there is its name and what was committed with it: its content may be to come.
        for (let i = 0; i < files; i++) {
          const found = read(mounted!, i);
          if (i < files - 1 || found.length > 0) expectBytes(found, contentOf(i));
        }
        expect(checkDevice(device).errors, where).toEqual([]);
      }
      expect(counts.flips).toBeGreaterThan(20);
      expect(counts.refused).toBeGreaterThan(0);
      console.log(`flipped bytes of a journal: ${JSON.stringify(counts)}, part ${PART}`);
    });
  });
}
