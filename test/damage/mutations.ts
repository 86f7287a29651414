/**
 * Ways to damage an image, chosen by chance: each changes a clone of the specimen's device and says what it did.
 *
 * Those that a checksum tells are followed by a comparison of contents. The others are `plausible`: blocks that verify and
 * are wrong all the same (an older version, a hostile or a stray edit with a checksum of its own). Of those it is asked that
 * nothing crashes, hangs or takes memory without bound, and that a repair leaves a sound store.
 */
import { MemoryDevice } from '#dist/src/device/memory-device.js';
import { sealBlock } from '#dist/src/format/block-header.js';
import { sealSuperblock } from '#dist/src/format/superblock.js';
import { seededRandom } from '../support/random.js';
import type { Damage } from './examine.js';
import type { Specimen } from './specimen.js';

type Random = () => number;
type Mutation = (specimen: Specimen, device: MemoryDevice, random: Random, damage: Damage) => MemoryDevice | undefined;

/** A damaged clone of the specimen's device; the same for the same seed. */
export function mutate(specimen: Specimen, seed: number): { device: MemoryDevice; damage: Damage } {
  const random = seededRandom(seed);
  const damage: Damage = { what: `seed ${seed}:`, blocks: new Set(), seed };
  let device = specimen.device.clone();
  const times = random() < 0.7 ? 1 : 1 + below(random, 4);
  for (let i = 0; i < times; i++) {
    const mutation = MUTATIONS[below(random, MUTATIONS.length)];
    damage.what += ` ${mutation.name}`;
    device = mutation(specimen, device, random, damage) ?? device;
  }
  return { device, damage };
}

const MUTATIONS: Mutation[] = [
  flipBits,
  flipBits,
  overwrite,
  zero,
  copyOver,
  edit,
  edit,
  edit,
  editRecord,
  rollBack,
  truncateImage,
];

function flipBits(specimen: Specimen, device: MemoryDevice, random: Random, damage: Damage): undefined {
  for (let n = 1 + below(random, 3); n > 0; n--) {
    const block = anyBlock(specimen, random);
    change(specimen, device, damage, block, (bytes) => {
      const at = below(random, bytes.length);
      bytes[at] ^= 1 << below(random, 8);
      return `byte ${at}`;
    });
  }
}

/** A range of bytes gets one value, or noise; it may cross blocks. */
function overwrite(specimen: Specimen, device: MemoryDevice, random: Random, damage: Damage): undefined {
  const { blockBytes } = specimen;
  const start = anyBlock(specimen, random) * blockBytes + below(random, blockBytes);
  if (start >= device.sizeBytes) return;
  const bytes = new Uint8Array(Math.min(1 + below(random, 2 * blockBytes), device.sizeBytes - start));
  const value = random();
  for (let i = 0; i < bytes.length; i++) bytes[i] = value < 0.4 ? 0xff : value < 0.6 ? 0 : below(random, 256);
  device.write([bytes], start);
  damage.what += ` bytes ${start} … ${start + bytes.length - 1}`;
  for (let block = Math.floor(start / blockBytes); block * blockBytes < start + bytes.length; block++)
    damage.blocks.add(block);
}

function zero(specimen: Specimen, device: MemoryDevice, random: Random, damage: Damage): undefined {
  change(specimen, device, damage, anyBlock(specimen, random), (bytes) => {
    bytes.fill(0);
    return '';
  });
}

/** A stray write: one block's content lies in another one too, or the two are swapped. */
function copyOver(specimen: Specimen, device: MemoryDevice, random: Random, damage: Damage): undefined {
  const [from, to] = [anyBlock(specimen, random), anyBlock(specimen, random)];
  // The log holds older versions of blocks, whole and sealed.
  const { journalStart, journalBlocks } = specimen.superblock;
  if ([from, to].some((block) => block >= journalStart && block < journalStart + journalBlocks))
    damage.plausible = true;
  const [a, b] = [specimen.read(device, from), specimen.read(device, to)];
  change(specimen, device, damage, to, (bytes) => {
    bytes.set(a);
    return `from ${from}`;
  });
  if (random() < 0.5) return;
  change(specimen, device, damage, from, (bytes) => {
    bytes.set(b);
    return 'swapped';
  });
}

/** Words of a metadata block get other values, and a checksum that fits. */
function edit(specimen: Specimen, device: MemoryDevice, random: Random, damage: Damage): undefined {
  damage.plausible = true;
  const block = metadataBlock(specimen, random);
  change(specimen, device, damage, block, (bytes) => {
    const view = new DataView(bytes.buffer);
    let text = '';
    for (let n = 1 + below(random, 3); n > 0; n--) {
      // Most of what counts lies near the front.
      const reach = random() < 0.6 ? Math.min(bytes.length, 600) : bytes.length;
      const at = below(random, reach / 4) * 4;
      const value = interesting(specimen, random, view.getUint32(at, true));
      view.setUint32(at, value, true);
      text += `${at}=${value} `;
    }
    seal(specimen, bytes, block);
    return text;
  });
}

/** As `edit`, aimed at the fields of an inode's record. */
function editRecord(specimen: Specimen, device: MemoryDevice, random: Random, damage: Damage): undefined {
  damage.plausible = true;
  const blocks = [...specimen.kinds].filter(([, kind]) => kind === 'inodes').map(([block]) => block);
  const block = blocks[below(random, blocks.length)];
  change(specimen, device, damage, block, (bytes) => {
    const view = new DataView(bytes.buffer);
    const at = 32 + below(random, 15) * 256 + below(random, 24) * 4;
    const value = interesting(specimen, random, view.getUint32(at, true));
    view.setUint32(at, value, true);
    seal(specimen, bytes, block);
    return `${at}=${value}`;
  });
}

/** Some blocks are what they were earlier: writes that were lost. */
function rollBack(specimen: Specimen, device: MemoryDevice, random: Random, damage: Damage): undefined {
  damage.plausible = true;
  for (let n = 1 + below(random, 3); n > 0; n--) {
    const block = metadataBlock(specimen, random);
    const older = specimen.olderVersion(block);
    if (older === null) continue;
    change(specimen, device, damage, block, (bytes) => {
      bytes.set(older);
      return 'older';
    });
  }
}

/** The image ends early. */
function truncateImage(specimen: Specimen, device: MemoryDevice, random: Random, damage: Damage): MemoryDevice {
  const { blockBytes } = specimen;
  const size =
    random() < 0.5 ? below(random, device.sizeBytes) : below(random, device.sizeBytes / blockBytes) * blockBytes;
  const short = new MemoryDevice(size);
  const bytes = new Uint8Array(size);
  device.read([bytes], 0);
  short.write([bytes], 0);
  damage.what += ` to ${size} bytes`;
  for (let block = Math.floor(size / blockBytes); block < specimen.superblock.blocks; block++) damage.blocks.add(block);
  return short;
}

function change(
  specimen: Specimen,
  device: MemoryDevice,
  damage: Damage,
  block: number,
  how: (bytes: Uint8Array) => string,
): void {
  if ((block + 1) * specimen.blockBytes > device.sizeBytes) return;
  const bytes = specimen.read(device, block);
  damage.what += ` block ${block} (${specimen.kinds.get(block) ?? 'data'}) ${how(bytes)}`;
  damage.blocks.add(block);
  device.write([bytes], block * specimen.blockBytes);
}

function seal(specimen: Specimen, bytes: Uint8Array, block: number): void {
  const isSuperblock = specimen.kinds.get(block) === 'superblock';
  if (isSuperblock) sealSuperblock(bytes, block, specimen.superblock.transaction, 1);
  else sealBlock(bytes, block, specimen.superblock.transaction);
}

/** Metadata four times out of five. */
function anyBlock(specimen: Specimen, random: Random): number {
  return random() < 0.8 ? metadataBlock(specimen, random) : below(random, specimen.superblock.blocks);
}

function metadataBlock(specimen: Specimen, random: Random): number {
  const blocks = [...specimen.kinds.keys()];
  return blocks[below(random, blocks.length)];
}

/** Values at which mistakes live. */
function interesting(specimen: Specimen, random: Random, old: number): number {
  const { blocks } = specimen.superblock;
  const kind = below(random, 9);
  if (kind === 0) return 0;
  if (kind === 1) return 0xffff_ffff;
  if (kind === 2) return (old + 1) >>> 0;
  if (kind === 3) return (old - 1) >>> 0;
  if (kind === 4) return (old ^ (1 << below(random, 32))) >>> 0;
  if (kind === 5) return metadataBlock(specimen, random);
  if (kind === 6) return below(random, blocks + 2);
  if (kind === 7) return below(random, 30);
  return Math.floor(random() * 2 ** 32);
}

function below(random: Random, limit: number): number {
  return Math.floor(random() * limit);
}
