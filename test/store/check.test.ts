import { describe, expect, it } from 'vitest';
import { MemoryDevice } from '#dist/src/device/memory-device.js';
import { StoreError } from '#dist/src/errors.js';
import { markFree, markUsed } from '#dist/src/format/bitmap.js';
import { BlockKind } from '#dist/src/format/block-header.js';
import { NODE_ENTRIES_WORD } from '#dist/src/format/extent-node.js';
import { InodeAt } from '#dist/src/format/inode-record.js';
import { nameValue, setNameValue, setNextNameNode } from '#dist/src/format/name-node.js';
import { DiskState, sealSuperblock } from '#dist/src/format/superblock.js';
import { type CheckReport, checkDevice } from '#dist/src/store/check.js';
import { formatted, TestImage, variedImage } from './check-image.js';

const ENTRY = InodeAt.RootEntries;

function codesOf(report: CheckReport): Set<string> {
  return new Set(report.errors.map(({ code }) => code));
}

/** What the check says; then a repair, after which another check is clean. */
function checkAndRepair(device: MemoryDevice): { found: CheckReport; repaired: CheckReport } {
  const found = checkDevice(device);
  const repaired = checkDevice(device, { repair: true, now: 3000 });
  expect(repaired.errors).toEqual([]);
  expect(repaired.clean).toBe(true);
  expect(checkDevice(device).errors).toEqual([]);
  return { found, repaired };
}

const PLAIN = () =>
  new TestImage([
    { name: 'a', runs: [{ page: 0, length: 4 }] },
    { name: 'b', runs: [{ page: 0, length: 4 }] },
    { name: 'c', runs: [] },
    { name: 'many', runs: Array.from({ length: 30 }, (_, i) => ({ page: i * 3, length: 1 })) },
  ]);

describe('a sound store', () => {
  it('is clean, and its parts are counted', () => {
    const image = variedImage();
    const report = checkDevice(image.device);
    expect(report.errors).toEqual([]);
    expect(report.clean).toBe(true);
    expect(report.counts).toMatchObject({ blocks: 2000, files: 65, inodes: 65, dataBlocks: 532, extentBlocks: 3 });
    expect(report.repaired).toEqual([]);
  });

  it('is clean with an extent tree of three levels', () => {
    const runs = Array.from({ length: 5000 }, (_, i) => ({ page: i * 2, length: 1 }));
    const image = new TestImage([{ name: 'huge', runs }], { blocks: 6000 });
    const report = checkDevice(image.device);
    expect(report.errors).toEqual([]);
    expect(report.counts).toMatchObject({ extents: 5000, extentBlocks: 16 });
  });

  it('is not written to by a check, nor by a repair that finds nothing', () => {
    const image = variedImage();
    image.device.onWrite = () => {
      throw new Error('written');
    };
    expect(checkDevice(image.device, { repair: true }).clean).toBe(true);
  });
});

describe('a flipped bit', () => {
  const CODES = {
    [BlockKind.Bitmap]: 'BITMAP_BLOCK',
    [BlockKind.Inodes]: 'INODE_BLOCK',
    [BlockKind.ExtentNode]: 'EXTENT_NODE',
    [BlockKind.NameNode]: 'NAME_NODE',
    [BlockKind.Checksums]: 'CHECKSUM_BLOCK',
  };

  it('in any metadata block is found, told by its structure, and repaired', () => {
    const image = variedImage();
    const kinds = image.metadataBlocks();
    expect(new Set(kinds.values()).size).toBe(5);
    let bit = 12345;
    for (const [block, kind] of kinds) {
      const code = kind === 'superblock' ? (block === 0 ? 'SUPERBLOCK' : 'SUPERBLOCK_COPY') : CODES[kind];
      for (let flip = 0; flip < 3; flip++) {
        bit = (Math.imul(bit, 1103515245) + 12345) >>> 0;
        // The first 4096 bytes of a block are all that a superblock has.
        const at = flip === 0 ? bit % 32 : bit % 4096;
        const device = image.device.clone();
        flipBit(device, block * 4096 + at, bit >>> 29);
        const { found } = checkAndRepair(device);
        expect(found.clean).toBe(false);
        const told = found.errors.find((error) => error.block === block && error.code === code);
        expect(told, `block ${block}, byte ${at}: ${JSON.stringify(found.errors)}`).toBeDefined();
      }
    }
  });

  it('costs only what lies below it', () => {
    const image = variedImage();
    const nodes = [...image.metadataBlocks()].filter(([, kind]) => kind === BlockKind.ExtentNode);
    flipBit(image.device, nodes[0][0] * 4096 + 100, 3);
    const { repaired } = checkAndRepair(image.device);
    expect(repaired.counts!.files).toBe(65);
    expect(repaired.counts!.extents).toBeGreaterThan(50);
    expect(repaired.counts!.extents).toBeLessThan(443);
  });

  it('in a leaf of the name tree leaves its files under lost+found', () => {
    const image = variedImage();
    const leaf = [...image.metadataBlocks()].find(([, kind]) => kind === BlockKind.NameNode)![0];
    flipBit(image.device, leaf * 4096 + 2000, 1);
    const { repaired } = checkAndRepair(image.device);
    expect(repaired.counts!.files).toBe(65);
    expect(repaired.counts!.dataBlocks).toBe(532);
    expect(repaired.repaired.join('\n')).toContain('lost+found/ino-');
  });
});

function flipBit(device: MemoryDevice, position: number, bit: number): void {
  const byte = new Uint8Array(1);
  device.read([byte], position);
  byte[0] ^= 1 << bit;
  device.write([byte], position);
}

describe('damage that no checksum tells', () => {
  /** Makes the damage, and expects the code; returns what the check and the repair said. */
  function damaged(code: string, damage: (image: TestImage) => void): { found: CheckReport; repaired: CheckReport } {
    const image = PLAIN();
    damage(image);
    const result = checkAndRepair(image.device);
    expect([...codesOf(result.found)]).toContain(code);
    return result;
  }

  it('a block with two owners names both', () => {
    const { found, repaired } = damaged('BLOCK_SHARED', (image) => {
      const { block } = image.extents.get('a')![0];
      image.editRecord('b', (view, at) => view.setUint32(at + ENTRY + 4, block, true));
    });
    const shared = found.errors.find(({ code }) => code === 'BLOCK_SHARED')!;
    expect(shared.message).toMatch(/data of inode 2 and to the data of inode 3/);
    expect(shared).toMatchObject({ name: 'b', ino: 3 });
    expect(repaired.counts!.files).toBe(4);
  });

  it('an extent over the format itself', () => {
    const { found } = damaged('BLOCK_SHARED', (image) => {
      image.editRecord('a', (view, at) => view.setUint32(at + ENTRY + 4, 0, true));
      image.editRecord('b', (view, at) => view.setUint32(at + ENTRY + 4, 1, true));
    });
    expect(found.errors.map(({ message }) => message).join('\n')).toMatch(
      /the format itself and to the data of inode 3/,
    );
    expect([...codesOf(found)]).toContain('INODE_ROOT');
  });

  it('extents out of order, past the device, past the last page', () => {
    damaged('INODE_ROOT', (image) => image.editRecord('a', (view, at) => view.setUint32(at + ENTRY + 4, 5000, true)));
    damaged('INODE_ROOT', (image) =>
      image.editRecord('a', (view, at) => view.setUint32(at + ENTRY, 0xffff_fffd, true)),
    );
    damaged('INODE_ROOT', (image) =>
      image.editRecord('a', (view, at) => view.setUint16(at + InodeAt.RootCount, 13, true)),
    );
    damaged('INODE_ROOT', (image) =>
      image.editRecord('a', (view, at) => view.setUint16(at + InodeAt.RootLevel, 99, true)),
    );
    damaged('EXTENT_NODE', (image) => {
      // The only node of 'many' begins before the root says.
      image.editRecord('many', (view, at) => view.setUint32(at + ENTRY, 1, true));
    });
  });

  it('an extent node that leads to itself, or to another inode’s', () => {
    damaged('BLOCK_SHARED', (image) => {
      const node = blockOf(image, BlockKind.ExtentNode);
      image.edit(node, ({ words }) => {
        words[8] = 1 | (1 << 16);
        words[NODE_ENTRIES_WORD + 1] = node;
      });
      image.editRecord('many', (view, at) => view.setUint16(at + InodeAt.RootLevel, 2, true));
    });
    damaged('BLOCK_SHARED', (image) => {
      const node = blockOf(image, BlockKind.ExtentNode);
      image.editRecord('a', (view, at) => {
        view.setUint16(at + InodeAt.RootLevel, 1, true);
        view.setUint32(at + ENTRY + 4, node, true);
      });
    });
  });

  it('counts, sizes and links in a record', () => {
    damaged('INODE_BLOCKS', (image) =>
      image.editRecord('a', (view, at) => view.setUint32(at + InodeAt.Blocks, 9, true)),
    );
    damaged('INODE_BLOCKS', (image) =>
      image.editRecord('a', (view, at) => view.setUint32(at + InodeAt.TreeBlocks, 1, true)),
    );
    damaged('INODE_SIZE', (image) =>
      image.editRecord('a', (view, at) => view.setUint32(at + InodeAt.Size, 5000, true)),
    );
    damaged('INODE', (image) =>
      image.editRecord('a', (view, at) => view.setUint32(at + InodeAt.Size + 4, 0x10_0000, true)),
    );
    damaged('INODE_LINKS', (image) => image.editRecord('a', (view, at) => view.setUint32(at + InodeAt.Links, 2, true)));
    damaged('INODE', (image) => image.editRecord('a', (view, at) => view.setUint32(at + InodeAt.Ino, 3, true)));
    damaged('INODE', (image) => image.editRecord('a', (view, at) => view.setUint32(at + InodeAt.Flags, 8, true)));
    const { repaired } = damaged('INODE_LINKS', (image) =>
      image.editRecord('a', (view, at) => view.setUint32(at + InodeAt.Flags, 3, true)),
    );
    expect(repaired.counts).toMatchObject({ files: 4, dataBlocks: 38 });
  });

  it('a name that leads to nothing, to a free inode, or a second time to a file', () => {
    const setIno = (image: TestImage, index: number, ino: number): void =>
      image.edit(blockOf(image, BlockKind.NameNode), ({ bytes }) => setNameValue(bytes, 0, index, ino));
    for (const ino of [1, 15, 100_000, 0xffff_ffff]) {
      const { found, repaired } = damaged('NAME_DANGLING', (image) => setIno(image, 0, ino));
      expect(found.errors.find(({ code }) => code === 'NAME_DANGLING')).toMatchObject({ name: 'a' });
      expect([...codesOf(found)]).toContain('INODE_NAMELESS');
      expect(repaired.repaired).toContain("gave inode 2 the name 'lost+found/ino-2'");
      expect(repaired.counts).toMatchObject({ files: 4, dataBlocks: 38 });
    }
    const { found, repaired } = damaged('NAME_DUPLICATE', (image) => setIno(image, 0, 3));
    expect(found.errors.find(({ code }) => code === 'NAME_DUPLICATE')).toMatchObject({ name: 'b', ino: 3 });
    expect(repaired.counts!.files).toBe(4);
  });

  it('names out of order, no UTF-8, or in a tree that leads in circles', () => {
    const nameAt = (image: TestImage, change: (bytes: Uint8Array, cell: number) => void): void =>
      image.edit(blockOf(image, BlockKind.NameNode), ({ bytes }) => change(bytes, bytes[48] | (bytes[49] << 8)));
    damaged('NAME_NODE', (image) => nameAt(image, (bytes, cell) => bytes.fill(0x7a, cell + 5, cell + 6)));
    damaged('NAME_BYTES', (image) => nameAt(image, (bytes, cell) => bytes.fill(0, cell + 5, cell + 6)));
    damaged('NAME_CHAIN', (image) =>
      image.edit(blockOf(image, BlockKind.NameNode), ({ bytes }) => setNextNameNode(bytes, 0, 7)),
    );
    const image = variedImage();
    const { nameRoot } = image.superblock;
    image.edit(nameRoot, ({ bytes }) => setNameValue(bytes, 0, 1, nameValue(bytes, 0, 0)));
    const shared = checkAndRepair(image.device).found.errors.find(({ code }) => code === 'BLOCK_SHARED');
    expect(shared!.message).toMatch(/the name tree and to the name tree/);
    const circle = variedImage();
    circle.edit(circle.superblock.nameRoot, ({ bytes }) => setNameValue(bytes, 0, 0, circle.superblock.nameRoot));
    expect([...codesOf(checkAndRepair(circle.device).found)]).toContain('BLOCK_SHARED');
  });

  it('bitmaps and counters', () => {
    const bitmap = (image: TestImage, change: (words: Uint32Array, free: number) => void): void =>
      image.edit(1, ({ words }) => change(words, 1900));
    const { found } = damaged('BITMAP', (image) => bitmap(image, (words, free) => markUsed(words, 0, free, 3)));
    expect(found.errors[0].message).toBe(
      'the bitmap of group 0 calls 3 blocks used that nobody owns; the first is block 1900',
    );
    damaged('BITMAP', (image) => bitmap(image, (words) => markFree(words, 0, image.extents.get('a')![0].block, 1)));
    damaged('BLOCKS_FREE', (image) => {
      image.superblock.blocksFree -= 1;
      image.writeSuperblocks();
    });
    damaged('FILES', (image) => {
      image.superblock.files = 77;
      image.writeSuperblocks();
    });
  });

  it('the lists of free and deleted inodes', () => {
    const setNext = (image: TestImage, name: string, next: number): void =>
      image.editRecord(name, (view, at) => view.setUint32(at + InodeAt.Next, next, true));
    damaged('INODE_FREE_LIST', (image) => {
      image.superblock.inodeFreeHead = 3;
      image.writeSuperblocks();
    });
    damaged('INODE_FREE_LIST', (image) => {
      image.superblock.inodeFreeHead = 0;
      image.writeSuperblocks();
    });
    damaged('INODE_FREE_LIST', (image) => {
      // The last free record leads back to the first.
      const { block, at } = image.recordOf('a');
      image.edit(block, ({ view }) => {
        for (let record = at + 4 * 256; record + 256 <= 4096; record += 256) {
          view.setUint32(record + InodeAt.Next, 6, true);
        }
      });
    });
    damaged('ORPHAN_LIST', (image) => {
      image.superblock.orphanHead = 2;
      image.writeSuperblocks();
      setNext(image, 'a', 3);
      setNext(image, 'b', 2);
    });
    damaged('ORPHAN_LIST', (image) => {
      image.superblock.orphanHead = 10;
      image.writeSuperblocks();
    });
  });

  it('the record of the inode table', () => {
    damaged('INODE_TABLE', (image) => {
      image.superblock.inodeHighWater += 5;
      image.writeSuperblocks();
    });
    damaged('INODE_TABLE', (image) => {
      image.store.superblockBuffer.view.setUint32(256 + InodeAt.Blocks, 3, true);
      image.writeSuperblocks();
    });
    // Its only extent begins at page 1, or is no extent at all: the inodes are lost.
    for (const [field, value] of [
      [ENTRY, 1],
      [ENTRY + 4, 0x7fff_ffff],
    ]) {
      const { repaired } = damaged('INODE_TABLE', (image) => {
        image.store.superblockBuffer.view.setUint32(256 + field, value, true);
        image.writeSuperblocks();
      });
      expect(repaired.counts!.blocks).toBe(2048);
    }
  });
});

function blockOf(image: TestImage, wanted: BlockKind): number {
  for (const [block, kind] of image.metadataBlocks()) if (kind === wanted) return block;
  throw new Error('no such block');
}

describe('a store that was not closed', () => {
  it('is as good as any once its journal is replayed, and marked clean by a repair', () => {
    const image = PLAIN();
    image.superblock.state = DiskState.Open;
    image.writeSuperblocks();
    const { found, repaired } = checkAndRepair(image.device);
    expect(found.errors).toEqual([]);
    expect(repaired.repaired).toEqual(['marked the store clean']);
  });

  it('may have deleted inodes, which a repair frees as the next opening would', () => {
    const image = PLAIN();
    image.editRecord('c', (view, at) => {
      view.setUint32(at + InodeAt.Flags, 3, true);
      view.setUint32(at + InodeAt.Links, 0, true);
    });
    image.superblock.orphanHead = image.inos.get('c')!;
    image.superblock.state = DiskState.Open;
    image.writeSuperblocks();
    image.edit(image.superblock.nameRoot, ({ bytes }) => setNameValue(bytes, 0, 2, 15));
    const { repaired } = checkAndRepair(image.device);
    expect(repaired.counts).toMatchObject({ files: 3, inodes: 3 });
    expect(repaired.repaired.slice(-2)).toEqual([
      'did what was left to do on the orphan list',
      'marked the store clean',
    ]);
  });
});

describe('a lost superblock', () => {
  it('is restored from its copy after a clean close, and only then', () => {
    const image = variedImage();
    flipBit(image.device, 200, 1);
    const other = image.device.clone();
    checkAndRepair(image.device);

    const open = variedImage();
    open.superblock.state = DiskState.Open;
    open.writeSuperblocks();
    flipBit(open.device, 200, 1);
    const report = checkDevice(open.device, { repair: true });
    expect(report.clean).toBe(false);
    expect(report.errors.map(({ message }) => message).join('\n')).toContain('may be old');

    flipBit(other, (image.superblock.blocks - 1) * 4096 + 100, 1);
    const both = checkDevice(other, { repair: true });
    expect(both.errors.map(({ message }) => message).join('\n')).toContain('no copy of the superblock was found');
    expect(both.counts).toBeNull();
  });

  it('is found whatever the block size', () => {
    for (const blockBytes of [4096, 16384, 65536]) {
      const device = formatted({ blockBytes, blocks: 700 });
      expect(checkDevice(device).errors).toEqual([]);
      flipBit(device, 64, 0);
      expect([...codesOf(checkAndRepair(device).found)]).toEqual(['SUPERBLOCK']);
    }
  });
});

describe('a device that is no store, or not whole', () => {
  it('gets a report, whatever it holds', () => {
    const noise = new MemoryDevice(4096 * 300);
    const bytes = Uint8Array.from({ length: 4096 * 300 }, (_, i) => Math.imul(i, 0x9e3779b1) >>> 24);
    noise.write([bytes], 0);
    for (const device of [new MemoryDevice(0), new MemoryDevice(512), new MemoryDevice(1 << 20), noise]) {
      const report = checkDevice(device, { repair: true });
      expect(report.clean).toBe(false);
      expect([...codesOf(report)]).toContain('SUPERBLOCK');
    }
  });

  it('tells of a truncated image', () => {
    const image = variedImage();
    const short = new MemoryDevice(1000 * 4096);
    const bytes = new Uint8Array(1000 * 4096);
    image.device.read([bytes], 0);
    short.write([bytes], 0);
    const report = checkDevice(short, { repair: true });
    expect(report.errors[0]).toMatchObject({ code: 'SUPERBLOCK' });
    expect(report.errors[0].message).toContain('the store needs 8192000 bytes, the device has 4096000');
  });

  it('tells of blocks that cannot be read, and of a repair that cannot write', () => {
    const image = variedImage();
    for (const [block, kind] of image.metadataBlocks()) {
      if (kind === 'superblock') continue;
      image.device.onRead = (position, length) => {
        if (position <= block * 4096 && block * 4096 < position + length)
          throw new StoreError('EIO', { syscall: 'read' });
        return undefined;
      };
      const report = checkDevice(image.device);
      expect(report.errors.find((error) => error.code === 'IO')).toMatchObject({ block });
    }
    image.device.onRead = undefined;
    image.edit(512, ({ words }) => markUsed(words, 0, 400, 1));
    image.device.onWrite = () => {
      throw new StoreError('EIO', { syscall: 'write' });
    };
    const report = checkDevice(image.device, { repair: true });
    expect(report.clean).toBe(false);
    expect(report.errors[0]).toMatchObject({ code: 'REPAIR' });
    expect(report.errors[0].message).toContain('EIO');
  });
});

describe('random damage under good checksums', () => {
  const rounds = Number(process.env.EMMENTAL_CHECK_ROUNDS ?? 30);
  const first = Number(process.env.EMMENTAL_SEED ?? Math.floor(Math.random() * 2 ** 31));
  const WORDS = [0, 1, 2, 5, 700, 1999, 0xffff_ffff];

  /** Calls `damage` on sound images with a random source, then `judge`; says which seed replays a failure. */
  function each(
    damage: (image: TestImage, random: (limit: number) => number) => void,
    judge: (d: MemoryDevice) => void,
  ) {
    const images = [variedImage(), PLAIN()];
    const originals = images.map(({ device }) => device.clone());
    for (let round = 0; round < rounds; round++) {
      let state = (first + round) | 0;
      const random = (limit: number): number => {
        state = (Math.imul(state, 1664525) + 1013904223) | 0;
        return Math.floor(((state >>> 0) / 2 ** 32) * limit);
      };
      const image = images[round % 2];
      damage(image, random);
      try {
        judge(image.device);
      } catch (error) {
        const replay = `EMMENTAL_SEED=${first + round} EMMENTAL_CHECK_ROUNDS=2`;
        throw new Error(`${replay}: ${String(error)}`, { cause: error });
      }
      const bytes = new Uint8Array(image.device.sizeBytes);
      originals[round % 2].read([bytes], 0);
      image.device.write([bytes], 0);
    }
  }

  it('never stops a check, and a repair always ends clean', () => {
    each((image, random) => {
      const blocks = [...image.metadataBlocks().keys()].filter((b) => b !== 0 && b !== image.superblock.blocks - 1);
      for (let i = random(4); i >= 0; i--) {
        image.edit(blocks[random(blocks.length)], ({ bytes, view }) => {
          const at = random(3) === 0 ? 32 + random(40) : 32 + random(4000);
          if (random(2) === 0) bytes[at] = random(256);
          else view.setUint32(at & ~3, WORDS[random(WORDS.length)], true);
        });
      }
    }, checkAndRepair);
  });

  it('in the superblock ends clean too, or leaves the store alone', () => {
    each(
      (image, random) => {
        image.edit(0, ({ bytes, view }) => {
          for (let i = random(3); i >= 0; i--) {
            const at = 12 + random(450);
            if (random(2) === 0) bytes[at] = random(256);
            else view.setUint32(at & ~3, WORDS[random(WORDS.length)], true);
          }
          sealSuperblock(bytes, 0, 1, 2000);
        });
      },
      (device) => {
        const report = checkDevice(device, { repair: true });
        // Refused: the fields say that this code cannot, or must not, do anything with the store.
        const isRefused = report.counts === null || report.errors[0]?.message.includes('features');
        if (isRefused) expect(report.clean).toBe(false);
        else expect(report.errors).toEqual([]);
        expect(checkDevice(device).clean).toBe(report.clean);
      },
    );
  });
});
