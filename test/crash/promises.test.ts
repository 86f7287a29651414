/**
 * What each call promises, one test a promise, as docs/ARCHITECTURE.md lists them: a workload that calls it, does more that
 * nobody promises anything about, and is cut at every write; all images from the call's return on must hold the promise. The
 * campaigns of power-cut.test.ts hold all promises at once; here each is said in plain terms, beside no model.
 */
import { copyFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { openHostDevice } from '#dist/src/device/host-device.js';
import { makeBase } from '#dist/src/explore/crash-base.js';
import type { SeenFile } from '#dist/src/explore/crash-judge.js';
import type { CrashOperation } from '#dist/src/explore/crash-operation.js';
import { CrashRandom } from '#dist/src/explore/crash-random.js';
import { CrashRecovery } from '#dist/src/explore/crash-recovery.js';
import { CrashRunner } from '#dist/src/explore/crash-run.js';
import { BlockContents, ZEROS } from '#dist/src/explore/power-cut-contents.js';
import { ImageDevice } from '#dist/src/explore/power-cut-device.js';
import { PowerCuts } from '#dist/src/explore/power-cut-images.js';
import { fallocate } from '#dist/src/file/allocate.js';
import { readSuperblock, SUPERBLOCK_BYTES } from '#dist/src/format/superblock.js';
import { createStore, openStore, type Store } from '#dist/src/index.js';
import { Access } from '#dist/src/store/arguments.js';
import { statOf } from '#dist/src/store/stat.js';
import { FileWorld, pattern } from '../support/file-world.js';
import { temporaryDirectory } from '../support/temporary.js';

const BLOCK = 4096;
const SECTOR = 512;
const contents = new BlockContents(BLOCK);
const runner = new CrashRunner(contents, true);
const recovery = new CrashRecovery(contents);
const bounds = { subsets: 12, torn: 4 };

const create = (name: string): CrashOperation => ({ kind: 'create', name });
const write = (name: string, block: number, blocks: number): CrashOperation => ({
  kind: 'write',
  name,
  position: block * BLOCK,
  length: blocks * BLOCK,
});
const writeback = (name: string): CrashOperation => ({ kind: 'writeback', name });
const sync = (name: string): CrashOperation => ({ kind: 'sync', name });
const commit: CrashOperation = { kind: 'commit', name: '' };

const BASE = [create('old'), write('old', 0, 4), create('other'), write('other', 0, 3)];
/** Nobody syncs any of it, but some of it reaches the device. */
const UNSYNCED = [
  write('old', 1, 2),
  writeback('old'),
  create('noise'),
  write('noise', 0, 5),
  writeback('noise'),
  commit,
  write('noise', 0, 3),
];

interface Found {
  files: Map<string, SeenFile>;
  /** Whether everything before `after` had returned when the power went. */
  isPromised: boolean;
  isTorn: boolean;
  /** As the cut left it. */
  device: ImageDevice;
  /** As it was after recovery and closing. */
  closed: ImageDevice;
}

/** All stores that cuts of `before` and then `after` leave, recovered and checked. */
function* cutsOf(before: CrashOperation[], after: CrashOperation[], dataChecksums = false): Generator<Found> {
  const base = makeBase(contents, { blocks: 256, journalBlocks: 96, operations: BASE, dataChecksums });
  const { records, models, from } = runner.run(base, [...before, ...after], true);
  const last = models[0].versions.findLast(({ operation }) => operation === before.at(-1));
  for (const cut of new PowerCuts(base.image, records, contents, new CrashRandom(1), bounds).images(from)) {
    const device = new ImageDevice(cut.image.slice(), contents);
    const closed = new ImageDevice(cut.image, contents);
    const { files, error } = recovery.look(closed);
    expect(error, cut.what).toBeNull();
    yield { files, isPromised: last === undefined || last.end < cut.until, isTorn: cut.isTorn, device, closed };
  }
}

/** How many images came after the promise, each shown to `hold`. */
function promised(before: CrashOperation[], hold: (found: Found) => void): number {
  let count = 0;
  for (const found of cutsOf(before, UNSYNCED)) {
    if (!found.isPromised) continue;
    hold(found);
    count += 1;
  }
  return count;
}

/** The file's blocks as the runner's threads see them when they are done. */
function contentOf(operations: CrashOperation[], name: string): SeenFile {
  let latest: SeenFile | undefined;
  for (const { files } of cutsOf([...operations, sync(name)], [])) latest = files.get(name);
  return latest!;
}

const running = join(temporaryDirectory(true), 'running.img');
const bytes = pattern(7, 3 * BLOCK);
let store: Store;

// The background of this one has its time while the tests run.
beforeAll(async () => {
  await createStore(running, { sizeBytes: 8 * 2 ** 20 });
  store = await openStore(running, { dirtyExpireMs: 200, threads: 2 });
  await (await store.open('later', 'w')).write(bytes, 0, bytes.length, 0);
});
afterAll(() => store.close());

describe('after a power cut', () => {
  it('datasync: the data are there, and the size that it takes to read them', () => {
    const work = [create('a'), write('a', 0, 3), { kind: 'append', name: 'a', length: 700 } as const];
    const whole = contentOf(work, 'a');
    expect(whole).toMatchObject({ size: 3 * BLOCK + 700 });
    const images = promised([...work, { kind: 'datasync', name: 'a' }], ({ files }) =>
      expect(files.get('a')).toEqual(whole),
    );
    expect(images).toBeGreaterThan(15);
  });

  it('sync: the data, the size, the times and the name are there', () => {
    const work: CrashOperation[] = [
      create('a'),
      write('a', 2, 2),
      { kind: 'rename', name: 'a', to: 'b' },
      write('b', 0, 1),
    ];
    const whole = contentOf(work, 'b');
    const times = new Set<string>();
    const images = promised([...work, sync('b')], ({ files, device }) => {
      expect(files.has('a')).toBe(false);
      expect(files.get('b')).toEqual(whole);
      times.add(timesOf(device, 'b'));
    });
    expect(images).toBeGreaterThan(15);
    expect(times.size).toBe(1);
  });

  it('store.sync: every file is there as it was', () => {
    const work = [write('old', 3, 3), write('other', 0, 1), create('c'), write('c', 1, 1)];
    const whole = ['other', 'c'].map((name) => [name, contentOf(work, name)] as const);
    const images = promised([...work, { kind: 'syncAll', name: '' }], ({ files }) => {
      for (const [name, file] of whole) expect(files.get(name)).toEqual(file);
      expect(files.get('old')?.size).toBe(6 * BLOCK);
    });
    expect(images).toBeGreaterThan(15);
  });

  it('rename: one file of that name at all times, the old one or the new one, and never neither', () => {
    const before = [sync('old'), sync('other')];
    const rename: CrashOperation = { kind: 'rename', name: 'old', to: 'other' };
    const states = new Set<string>();
    for (const { files } of cutsOf(before, [rename, commit, create('noise')])) {
      const { blocks } = files.get('other')!;
      const isRenamed = blocks.length === 4;
      expect(files.has('old')).toBe(!isRenamed);
      expect(blocks).not.toContain(ZEROS);
      states.add(String(isRenamed));
    }
    expect(states).toEqual(new Set(['true', 'false']));
  });

  it('metadata: each operation whole or not at all, and none without those before it', () => {
    const steps: CrashOperation[] = [
      create('1'),
      { kind: 'truncate', name: 'old', position: BLOCK },
      { kind: 'rename', name: '1', to: '2' },
      { kind: 'unlink', name: 'other' },
      { kind: 'insert', name: 'old', position: 0, length: 2 * BLOCK },
      create('3'),
      { kind: 'collapse', name: 'old', position: 0, length: BLOCK },
      { kind: 'unlink', name: '2' },
    ];
    const states = ['old4 other3', '1 old4 other3', '1 old1 other3', '2 old1 other3', '2 old1', '2 old3', '2 3 old3'];
    states.push('2 3 old2', '3 old2');
    const seen = new Set<string>();
    const operations = steps.flatMap((step) => [step, commit]);
    for (const { files } of cutsOf([], operations)) {
      const state = [...files].map(([name, { blocks }]) => `${name}${blocks.length || ''}`).sort();
      expect(states).toContain(state.join(' '));
      seen.add(state.join(' '));
    }
    expect(seen.size).toBe(states.length);
  });

  it('write: a block is the old one or the new one, or sectors of both; each block by itself', () => {
    const old = contentOf([], 'other').blocks;
    const fresh = contentOf([write('other', 0, 3)], 'other').blocks;
    const mixtures = new Set<string>();
    let torn = 0;
    for (const { files, isTorn } of cutsOf([], [write('other', 0, 3), writeback('other')])) {
      const { blocks } = files.get('other')!;
      mixtures.add(blocks.map((block, i) => (block === fresh[i] ? 'n' : block === old[i] ? 'o' : '/')).join(''));
      for (const [i, block] of blocks.entries()) {
        if (block === old[i] || block === fresh[i]) continue;
        expect(isTorn).toBe(true);
        torn += 1;
        expectSectorsOf(block, [old[i], fresh[i]]);
      }
    }
    expect(mixtures).toContain('ooo');
    expect(mixtures).toContain('nnn');
    expect(torn).toBeGreaterThan(0);
  });

  it('write, with data checksums: a block is the old one or the new one', () => {
    const old = contentOf([], 'other').blocks;
    const fresh = contentOf([write('other', 0, 3)], 'other').blocks;
    const seen = new Set<number>();
    for (const { files } of cutsOf([], [write('other', 0, 3), writeback('other'), commit], true)) {
      for (const [i, block] of files.get('other')!.blocks.entries()) {
        expect([old[i], fresh[i]]).toContain(block);
        seen.add(block);
      }
    }
    expect(seen.size).toBe(6);
  });

  it('no sync: data may be lost, and nothing stale or foreign is in their place', () => {
    const grow: CrashOperation = { kind: 'truncate', name: 'a', position: 9 * BLOCK };
    const work = [create('a'), write('a', 0, 6), grow, commit, writeback('a'), commit];
    const { blocks } = contentOf(work, 'a');
    let [lost, kept] = [0, 0];
    for (const { files } of cutsOf([], [...work, ...UNSYNCED])) {
      for (const [i, block] of (files.get('a')?.blocks ?? []).entries()) {
        if (block !== ZEROS) expect(block).toBe(blocks[i]);
        if (i < 6 && block === ZEROS) lost += 1;
        if (i < 6 && block !== ZEROS) kept += 1;
      }
    }
    expect(lost).toBeGreaterThan(0);
    expect(kept).toBeGreaterThan(0);
  });

  it('punch, truncation: once they are durable, what they removed does not come back', () => {
    const work: CrashOperation[] = [
      { kind: 'punch', name: 'old', position: 0, length: 2 * BLOCK },
      { kind: 'truncate', name: 'other', position: 100 },
      { kind: 'truncate', name: 'other', position: 3 * BLOCK },
      { kind: 'syncAll', name: '' },
    ];
    const other = contentOf(work, 'other').blocks;
    expect(other.slice(1)).toEqual([ZEROS, ZEROS]);
    const images = promised(work, ({ files }) => {
      expect(files.get('old')!.blocks[0]).toBe(ZEROS);
      expect(files.get('other')!.blocks).toEqual(other);
    });
    expect(images).toBeGreaterThan(15);
  });

  it('unlink: a file that was open leaves nothing, nor what was written to it afterwards', () => {
    const work: CrashOperation[] = [
      write('old', 0, 4),
      { kind: 'unlink', name: 'old' },
      { kind: 'writeUnlinked', name: '', length: 6 * BLOCK },
      sync('other'),
    ];
    const close: CrashOperation = { kind: 'closeAll', name: '' };
    const free = new Set<number>();
    for (const { files, isPromised, closed } of cutsOf(work, [
      commit,
      create('new'),
      write('new', 0, 4),
      close,
      commit,
    ])) {
      if (!isPromised) continue;
      expect(files.has('old')).toBe(false);
      if (!files.has('new')) free.add(freeBlocksOf(closed));
    }
    expect(free.size).toBe(1);
  });
});

describe('on a running store', () => {
  it('fallocate: writes to the range find room on a full store', () => {
    const world = new FileWorld({ blocks: 512 });
    const [kept, greedy] = [world.create('kept'), world.create('greedy')];
    const bytes = pattern(3, 40 * BLOCK);
    world.run(fallocate(world.task, world.engine, kept, 0, bytes.length, false));
    const fill = () => {
      for (let block = 0; ; block++) world.write(greedy, bytes.subarray(0, BLOCK), block * BLOCK);
    };
    expect(fill).toThrow('ENOSPC');
    world.write(kept, bytes, 0);
    world.sync();
    expect(Buffer.compare(world.read(kept, 0, bytes.length), bytes)).toBe(0);
    expect(world.finish().errors).toEqual([]);
  });

  it('nothing: the background makes it durable', async () => {
    const copy = `${running}.copy`;
    await vi.waitUntil(
      () => {
        copyFileSync(running, copy);
        const device = openHostDevice(copy);
        const { files, error } = new CrashRecovery(contents).look(device);
        device.close();
        expect(error).toBeNull();
        return files.get('later')?.size === bytes.length;
      },
      { timeout: 60_000, interval: 500 },
    );
    const later = await openStore(copy, { threads: 2 });
    const found = await (await later.open('later')).readFile();
    await later.close();
    expect(Buffer.compare(found as Buffer, bytes)).toBe(0);
  }, 90_000);
});

/** As the superblock of a closed store says. */
function freeBlocksOf(device: ImageDevice): number {
  const bytes = new Uint8Array(SUPERBLOCK_BYTES);
  device.read([bytes], 0);
  return readSuperblock(new DataView(bytes.buffer)).blocksFree;
}

function expectSectorsOf(block: number, sources: number[]): void {
  const bytes = contents.bytes(block);
  for (let at = 0; at < BLOCK; at += SECTOR) {
    const sector = Buffer.from(bytes.subarray(at, at + SECTOR));
    expect(sources.some((source) => sector.equals(contents.bytes(source).subarray(at, at + SECTOR)))).toBe(true);
  }
}

/** Of a file of the store on the device, recovered. */
function timesOf(device: ImageDevice, name: string): string {
  const session = recovery.mount(device);
  const slot = session.run('open', session.namespace.open(session.task, Buffer.from(name), Access.Read));
  const { mtimeMs, ctimeMs, birthtimeMs } = statOf(session, slot);
  return [mtimeMs, ctimeMs, birthtimeMs].join(' ');
}
