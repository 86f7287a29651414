import { describe, expect, it } from 'vitest';
import { compareNames } from '#dist/src/inode/name-bytes.js';
import { shortestSeparator } from '#dist/src/inode/name-split.js';
import { NamesWorld } from './names-world.js';

const encoder = new TextEncoder();

function byBytes(a: string, b: string): number {
  return compareNames(encoder.encode(a), encoder.encode(b));
}

/** Mulberry32. */
function randomOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

type Namer = (random: () => number) => string;

const NAMERS: Record<string, Namer> = {
  short: (random) => Math.floor(random() * 5000).toString(36),
  long: (random) => `${Math.floor(random() * 3000).toString(36)}-${'x'.repeat(200 + Math.floor(random() * 50))}`,
  'with a long shared prefix': (random) => `${'logs/2026/'.repeat(24)}${Math.floor(random() * 4000)}`,
  'of other scripts': (random) =>
    Array.from(
      { length: 1 + Math.floor(random() * 6) },
      () => ['ä', '水', '🜁', 'z', '~', '/'][Math.floor(random() * 6)],
    ).join(''),
  'of all lengths': (random) => {
    const length = 1 + Math.floor(random() * 255);
    return `${Math.floor(random() * 1e6)}${'abcdefghij'[Math.floor(random() * 10)].repeat(255)}`.slice(0, length);
  },
};

/** Random changes, against a map; the tree verified now and then and at the end. */
function compareWithMap(namer: Namer, operations: number, seed: number, blockBytes = 4096): NamesWorld {
  const world = new NamesWorld(blockBytes);
  world.missRatio = 0.2;
  const model = new Map<string, number>();
  const random = randomOf(seed);
  for (let i = 0; i < operations; i++) {
    // Waves of growing and shrinking, so that the tree gains and loses levels.
    const growing = Math.floor((i / operations) * 4) % 2 === 0;
    const name = namer(random);
    const known = model.get(name);
    const choice = random();
    if (choice < 0.01) {
      // Whole leaves go while their neighbours are full.
      for (const entry of world.list('', name, 40)) {
        expect(world.remove(entry.name)).toBe(model.get(entry.name));
        model.delete(entry.name);
      }
    } else if (choice < 0.05) {
      expect(world.lookup(name)).toBe(known ?? 0);
    } else if (choice < 0.1) {
      expect(world.replace(name, i + 2)).toBe(known ?? 0);
      if (known !== undefined) model.set(name, i + 2);
    } else if (growing ? choice < 0.9 : choice < 0.3) {
      if (known === undefined) {
        world.insert(name, i + 2);
        model.set(name, i + 2);
      }
    } else {
      const victim =
        known !== undefined || random() < 0.1
          ? name
          : [...model.keys()][Math.floor(random() * Math.min(50, model.size))];
      expect(world.remove(victim ?? name)).toBe(model.get(victim ?? name) ?? 0);
      model.delete(victim ?? name);
    }
    if (i % 1000 === 0) world.verify();
  }
  world.verify();
  expect(world.files).toBe(model.size);
  const sorted = [...model].sort(([a], [b]) => byBytes(a, b)).map(([name, ino]) => ({ name, ino }));
  expect(world.list()).toEqual(sorted);
  for (const { name } of sorted) world.remove(name);
  expect(world.verify()).toBe(1);
  expect(world.files).toBe(0);
  expect(world.list()).toEqual([]);
  return world;
}

describe('the name tree against a map', () => {
  for (const [kind, namer] of Object.entries(NAMERS)) {
    it(`agrees on names ${kind}`, () => {
      const seed = Number(process.env.EMMENTAL_SEED ?? Math.floor(Math.random() * 2 ** 31));
      try {
        compareWithMap(namer, 6000, seed);
        compareWithMap(namer, 3000, seed, 16384);
      } catch (error) {
        throw new Error(`seed ${seed} (EMMENTAL_SEED=${seed} replays it): ${String(error)}`, { cause: error });
      }
    });
  }
});

describe('the name tree', () => {
  it('dirties every block that it changes', () => {
    const world = new NamesWorld();
    const random = randomOf(7);
    const names = Array.from({ length: 600 }, (_, i) => `${Math.floor(random() * 1e9)}-${i}-${'y'.repeat(150)}`);
    for (const [i, name] of names.entries()) world.watched(() => world.insert(name, i + 2));
    expect(world.levels).toBeGreaterThan(1);
    world.watched(() => world.replace(names[5], 99));
    for (const name of names) world.watched(() => world.remove(name));
    world.verify();
  });

  it('lists by prefix, after a name, and up to a limit', () => {
    const world = new NamesWorld();
    const names = ['a', 'a/', 'a/1', 'a/2', 'a/2/x', 'a0', 'b', 'ä', 'ä/1', '水', '🜁'];
    for (let i = 0; i < 400; i++) names.push(`m/${String(i).padStart(4, '0')}`);
    for (const [i, name] of names.entries()) world.insert(name, i + 2);
    const inOrder = [...names].sort(byBytes);
    const listed = (prefix: string, after: string, limit?: number): string[] =>
      world.list(prefix, after, limit).map((entry) => entry.name);
    const expected = (prefix: string, after: string, limit = 1e9): string[] =>
      inOrder.filter((name) => name.startsWith(prefix) && byBytes(name, after) > 0).slice(0, limit);
    for (const prefix of ['', 'a', 'a/', 'a/2', 'm/', 'm/01', 'm/0399', 'zz', 'ä', '🜁', 'n']) {
      for (const after of ['', 'a', 'a/1', 'a/1zzz', 'm/', 'm/0123', 'm/0399', 'zzz', '🜁', '🜁🜁']) {
        for (const limit of [1, 7, 1000]) expect(listed(prefix, after, limit)).toEqual(expected(prefix, after, limit));
      }
    }
    expect(listed('', '', 0)).toEqual([]);
    const paged: string[] = [];
    for (let after = ''; ; after = paged[paged.length - 1]) {
      const page = listed('m/', after, 17);
      paged.push(...page);
      if (page.length < 17) break;
    }
    expect(paged).toEqual(expected('m/', ''));
  });

  it('changes nothing when no block is left for a split', () => {
    const world = new NamesWorld();
    const nameOf = (i: number): string => `${String((i * 7919) % 10007).padStart(5, '0')}${'n'.repeat(200)}`;
    let i = 0;
    for (; i < 500; i++) world.insert(nameOf(i), i + 2);
    const before = world.list();
    for (let spare = 0; spare < 3; spare++) {
      world.blocksMax = world.pages.size + spare;
      let refused = 0;
      for (let k = i; k < i + 200; k++) {
        try {
          world.insert(nameOf(k), k + 2);
          world.remove(nameOf(k));
        } catch (error) {
          expect(error).toMatchObject({ code: 'ENOSPC' });
          refused += 1;
        }
        world.verify();
      }
      if (spare === 0) expect(refused).toBeGreaterThan(0);
      expect(world.list()).toEqual(before);
    }
  });

  it('changes everything or nothing where blocks cannot be read', () => {
    const world = new NamesWorld();
    world.mayRootBeThin = true;
    const random = randomOf(11);
    const model = new Map<string, number>();
    const nameOf = (): string => `${'p'.repeat(230)}${Math.floor(random() * 600)}`;
    let failed = 0;
    for (let i = 0; i < 8000; i++) {
      world.broken.clear();
      for (const block of world.pages.keys()) if (block > 0 && random() < 0.03) world.broken.add(block);
      const name = nameOf();
      const isGrowing = Math.floor(i / 1000) % 2 === 0;
      try {
        if (!model.has(name) && (isGrowing || random() < 0.1)) {
          world.insert(name, i + 2);
          model.set(name, i + 2);
        } else if (model.has(name) && !isGrowing) {
          expect(world.remove(name)).toBe(model.get(name));
          model.delete(name);
        }
      } catch (error) {
        expect(error).toMatchObject({ code: 'EIO' });
        failed += 1;
      }
      if (i % 50 === 0) world.verify();
    }
    expect(failed).toBeGreaterThan(100);
    world.broken.clear();
    expect(new Map(world.list().map(({ name, ino }) => [name, ino]))).toEqual(new Map([...model].sort()));
    for (const name of model.keys()) world.remove(name);
    expect(world.verify()).toBeLessThan(4);
    expect(world.list()).toEqual([]);
  });

  it('refuses a name that is there, and reports a node of the wrong level', () => {
    const world = new NamesWorld();
    for (let i = 0; i < 100; i++) world.insert(`${i}-${'w'.repeat(200)}`, i + 2);
    expect(() => world.insert(`5-${'w'.repeat(200)}`, 9)).toThrow('already there');
    world.verify();
    // The root's first child becomes the root itself: a descent must not go round.
    const root = world.pages.get(world.root)!.bytes;
    const cell = root[48] | (root[49] << 8);
    new DataView(root.buffer).setUint32(cell, world.root, true);
    expect(() => world.lookup('0')).toThrow(/EUCLEAN.*name node at block .*level/);
    expect(() => world.list()).toThrow(/EUCLEAN/);
    expect(() => world.insert('0', 2)).toThrow(/EUCLEAN/);
  });

  it('leaves full leaves behind when names come in order', () => {
    const world = new NamesWorld();
    const count = 20_000;
    for (let i = 0; i < count; i++) world.insert(`file-${String(i).padStart(8, '0')}`, i + 2);
    const bytesOfName = 7 + 13;
    const leavesAtLeast = (count * bytesOfName) / (4096 - 48);
    expect(world.verify()).toBeLessThan(leavesAtLeast * 1.05 + 3);
  });

  it('holds very many names, at a cost that does not grow with their number', () => {
    const count = Number(process.env.EMMENTAL_NAMES ?? 200_000);
    const world = new NamesWorld();
    const nameOf = (i: number): string => `dir${(Math.imul(i, 0x9e3779b1) >>> 0) % 1000}/file-${i}`;
    const times: number[] = [];
    const parts = 100;
    for (let part = 0; part < parts; part++) {
      const start = performance.now();
      const end = Math.floor(((part + 1) * count) / parts);
      for (let i = Math.floor((part * count) / parts); i < end; i++) world.insert(nameOf(i), i + 2);
      times.push(performance.now() - start);
    }
    world.verify();
    expect(world.files).toBe(count);
    expect(world.list('dir500/').length).toBe(new Set(world.list('dir500/').map(({ name }) => name)).size);
    for (let i = 0; i < count; i += 997) expect(world.lookup(nameOf(i))).toBe(i + 2);
    let listed = 0;
    for (let after = ''; ; ) {
      const page = world.list('', after, 1000);
      listed += page.length;
      if (page.length < 1000) break;
      after = page[page.length - 1].name;
    }
    expect(listed).toBe(count);
    // The median part of a quarter: the machine is shared.
    const quarter = parts / 4;
    const median = (from: number): number => times.slice(from, from + quarter).sort((a, b) => a - b)[quarter >> 1];
    expect(median(parts - quarter)).toBeLessThan(median(0) * 4);
  });
});

describe('separators', () => {
  it('are the shortest that tell two names apart', () => {
    const separator = (a: string, b: string): string =>
      Buffer.from(shortestSeparator(encoder.encode(a), encoder.encode(b))).toString();
    expect(separator('apple', 'banana')).toBe('b');
    expect(separator('apple', 'apply')).toBe('apply');
    expect(separator('app', 'apple')).toBe('appl');
    expect(separator('a', 'ab')).toBe('ab');
    expect(separator('log/2025/12', 'log/2026/01')).toBe('log/2026');
  });
});
