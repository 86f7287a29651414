/** The extent map against an array of pages: random changes, deep trees, full devices, cold metadata. */
import { describe, expect, it } from 'vitest';
import {
  CREDITS_CONVERT,
  CREDITS_INSERT,
  CREDITS_REMOVE_STEP,
  CREDITS_SHIFT_STEP,
  Extent,
  SHIFT_DONE,
} from '#dist/src/inode/extent-map.js';
import { BlockRun, RunKind } from '#dist/src/pagecache/mapping-operations.js';
import { runBlocking } from '#dist/src/routine/blocking-driver.js';
import { MAX_FILE_PAGES } from '#dist/src/units.js';
import { ExtentWorld, type ExtentWorldOptions, WORLD_SLOT } from '../support/extent-world.js';
import { seededRandom } from '../support/random.js';

const PAGES = 1200;
const MORE_CREDITS = 1000;

/** What each page maps to: 0 a hole, else the block; negative for unwritten. */
class Model {
  pages: number[] = new Array(PAGES).fill(0);

  extents(): Extent[] {
    const list: Extent[] = [];
    for (let page = 0; page < this.pages.length; page++) {
      const value = this.pages[page] ?? 0;
      if (value === 0) continue;
      const last = list.at(-1);
      const block = Math.abs(value);
      const isNext =
        last !== undefined &&
        last.page + last.length === page &&
        last.block + last.length === block &&
        last.unwritten === value < 0;
      if (isNext) last.length++;
      else list.push({ page, block, length: 1, unwritten: value < 0 });
    }
    return list;
  }
}

class Game {
  readonly world: ExtentWorld;
  readonly model = new Model();
  /** Shifts leave neighbours that could be one extent. */
  shifted = false;

  constructor(
    readonly random: (below: number) => number,
    options: ExtentWorldOptions,
  ) {
    this.world = new ExtentWorld({ ...options, random: () => random(1000) / 1000 });
  }

  step(): void {
    const { random } = this;
    const kind = random(100);
    if (kind < 45) this.insert();
    else if (kind < 65) this.convert();
    else if (kind < 85) this.remove();
    else if (kind < 88) this.lookup();
    else if (kind < 91) this.lookups();
    else if (kind < 94) this.unreadable();
    else this.full();
  }

  insert(): void {
    const { random, world, model } = this;
    const page = random(PAGES);
    let room = 0;
    while (page + room < PAGES && model.pages[page + room] === 0 && room < 12) room++;
    if (room === 0) return;
    const length = 1 + random(room);
    const block = this.freeRun(page, length);
    if (block === 0) return;
    const unwritten = random(2) === 0;
    world.take(block, length);
    try {
      world.change(this.credits(CREDITS_INSERT), () =>
        world.map.insert(world.task, WORLD_SLOT, page, block, length, unwritten),
      );
    } catch (error) {
      world.giveBack(block, length);
      throw error;
    }
    for (let i = 0; i < length; i++) model.pages[page + i] = unwritten ? -(block + i) : block + i;
  }

  /** Free blocks: next to a neighbour's when those are free, else anywhere. */
  freeRun(page: number, length: number): number {
    const { random, world, model } = this;
    const before = Math.abs(model.pages[page - 1] ?? 0);
    const after = Math.abs(model.pages[page + length] ?? 0);
    const wishes = [before === 0 ? 0 : before + 1, after === 0 ? 0 : after - length];
    if (random(4) === 0) wishes.length = 0;
    for (let tries = 0; tries < 20; tries++) wishes.push(10 + random(8000));
    for (const block of wishes) {
      if (block < 10) continue;
      let free = true;
      for (let i = 0; i < length; i++) if (world.used[block + i] !== 0) free = false;
      if (free) return block;
    }
    return 0;
  }

  convert(): void {
    const { random, world, model } = this;
    const list = model.extents();
    if (list.length === 0) return;
    const extent = list[random(list.length)];
    const from = random(extent.length);
    const count = 1 + random(extent.length - from);
    const first = extent.page + from;
    const piece = this.pieceOf(first, count);
    world.change(this.credits(CREDITS_CONVERT), () =>
      world.map.convert(world.task, WORLD_SLOT, first, piece, !extent.unwritten),
    );
    for (let i = 0; i < piece; i++) model.pages[first + i] *= -1;
  }

  /** After a shift an extent of the model may be several. */
  pieceOf(first: number, count: number): number {
    const run = new BlockRun();
    const { world } = this;
    world.look(() => runBlocking(world.task, world.map.lookup(world.task, WORLD_SLOT, first, run, count)));
    return run.length;
  }

  remove(): void {
    const { random, world, model } = this;
    const first = random(PAGES);
    const end = random(10) === 0 ? MAX_FILE_PAGES : first + 1 + random(random(4) === 0 ? 400 : 12);
    let page = first;
    while (page < end) {
      const from = page;
      page = world.change(this.credits(CREDITS_REMOVE_STEP), () => world.map.remove(world.task, WORLD_SLOT, from, end));
      expect(page).toBeGreaterThan(from);
    }
    model.pages.fill(0, first, Math.min(end, model.pages.length));
  }

  shift(): void {
    const { random, world, model } = this;
    const from = 1 + random(PAGES - 1);
    const delta = random(2) === 0 ? -(1 + random(Math.min(from, 60))) : 1 + random(60);
    if (delta < 0) {
      for (let page = from + delta; page < from; ) {
        const at = page;
        page = world.change(this.credits(CREDITS_REMOVE_STEP), () =>
          world.map.remove(world.task, WORLD_SLOT, at, from),
        );
      }
      model.pages.splice(from + delta, -delta);
      model.pages.push(...new Array(-delta).fill(0));
    } else {
      // What would pass the end of the model goes first.
      for (let page = PAGES - delta; page < PAGES; ) {
        const at = page;
        page = world.change(this.credits(CREDITS_REMOVE_STEP), () =>
          world.map.remove(world.task, WORLD_SLOT, at, PAGES),
        );
      }
      model.pages.length = PAGES - delta;
      model.pages.splice(Math.min(from, model.pages.length), 0, ...new Array(delta).fill(0));
      while (model.pages.length < PAGES) model.pages.push(0);
    }
    this.shifted = true;
    let resume: number | undefined;
    do {
      resume = world.change(this.credits(CREDITS_SHIFT_STEP), () =>
        world.map.shift(world.task, WORLD_SLOT, from, delta, resume),
      );
      world.validate();
    } while (resume !== SHIFT_DONE);
  }

  lookup(page = this.random(PAGES + 10)): void {
    const { random, world, model } = this;
    const max = 1 + random(50);
    const run = new BlockRun();
    world.look(() => {
      if (world.map.tryLookup(world.task, WORLD_SLOT, page, run, max)) return;
      expect(world.coldness).toBeGreaterThan(0);
      runBlocking(world.task, world.map.lookup(world.task, WORLD_SLOT, page, run, max));
    });
    expect(run.length).toBeGreaterThan(0);
    expect(run.length).toBeLessThanOrEqual(max);
    const value = model.pages[page] ?? 0;
    expect(run.kind).toBe(value === 0 ? RunKind.Hole : value < 0 ? RunKind.Unwritten : RunKind.Written);
    for (let i = 0; i < run.length; i++) {
      const expected = value === 0 ? 0 : (run.block + i) * Math.sign(value);
      if ((model.pages[page + i] ?? 0) !== expected) expect.fail(`page ${page + i} is said to be at ${expected}`);
    }
    const after = model.pages[page + run.length] ?? 0;
    if (run.length === max || this.shifted) return;
    expect(after).not.toBe(value === 0 ? 0 : value + Math.sign(value) * run.length);
  }

  /** So many that the inner nodes are copied, and the copy is used. */
  lookups(): void {
    for (let i = 0; i < 100; i++) this.lookup();
  }

  /** Bitmaps that cannot be read: a removal stops, and what it freed is what it unmapped. */
  unreadable(): void {
    const { world, model, random } = this;
    this.lookups();
    world.freesLeft = random(4);
    try {
      this.remove();
    } catch (error) {
      expect((error as { code: string }).code).toBe('EIO');
      model.pages.fill(0);
      for (const { page, block, length, unwritten } of this.list()) {
        for (let i = 0; i < length; i++) model.pages[page + i] = unwritten ? -(block + i) : block + i;
      }
    }
    world.freesLeft = Number.POSITIVE_INFINITY;
    this.lookups();
  }

  /** A device without a block left for nodes: changes fail, or need none; either way the tree is sound. */
  full(): void {
    const { world } = this;
    world.allocationsLeft = this.random(2);
    const before = JSON.stringify(this.list());
    try {
      this.insert();
    } catch (error) {
      expect((error as { code: string }).code).toBe('ENOSPC');
      expect(JSON.stringify(this.list())).toBe(before);
    }
    world.allocationsLeft = Number.POSITIVE_INFINITY;
  }

  list(): Extent[] {
    const { world } = this;
    const list: Extent[] = [];
    for (let page = 0; ; ) {
      const extent = new Extent();
      if (!runBlocking(world.task, world.map.next(world.task, WORLD_SLOT, page, extent))) return list;
      list.push(extent);
      page = extent.page + extent.length;
    }
  }

  /** The tree after every step; each of its extents now and then, as that takes as many lookups. */
  check(): void {
    const { entries } = this.world.validate();
    if (this.random(4) !== 0) return;
    const expected = this.model.extents();
    const list = this.list();
    expect(list.length).toBe(entries);
    if (!this.shifted) expect(list.length).toBe(expected.length);
    const pages: number[] = new Array(PAGES).fill(0);
    for (const { page, block, length, unwritten } of list) {
      for (let i = 0; i < length; i++) pages[page + i] = unwritten ? -(block + i) : block + i;
    }
    const wrong = pages.findIndex((value, page) => value !== this.model.pages[page]);
    if (wrong >= 0) expect.fail(`page ${wrong} is at ${pages[wrong]}, the model says ${this.model.pages[wrong]}`);
  }

  /** Trees of four entries a node are deeper than credits reckon with. */
  credits(credits: number): number {
    return this.world.nodeMax < 100 ? MORE_CREDITS : credits;
  }
}

function randomOf(seed: number): (below: number) => number {
  const chance = seededRandom(seed);
  return (below) => Math.floor(chance() * below);
}

const SEED = Number(process.env.EMMENTAL_SEED ?? Math.floor(Math.random() * 2 ** 31));

describe(`extent map, EMMENTAL_SEED=${SEED}`, () => {
  const shapes: [string, ExtentWorldOptions][] = [
    ['four entries a node', { maxEntries: 4, frames: 700, blockBytes: 1024 }],
    ['five entries a node, cold metadata', { maxEntries: 5, frames: 700, blockBytes: 1024, coldness: 0.2 }],
    ['nine entries a node', { maxEntries: 9, blockBytes: 1024 }],
    ['whole nodes', { frames: 40 }],
  ];
  for (const [name, options] of shapes) {
    it(`follows the model with ${name}`, () => {
      const random = randomOf(SEED);
      const game = new Game(random, options);
      for (let i = 0; i < 600; i++) {
        game.step();
        game.check();
      }
      game.remove();
      drain(game);
    });

    it(`follows the model through shifts with ${name}`, () => {
      const random = randomOf(SEED + 1);
      const game = new Game(random, options);
      for (let i = 0; i < 250; i++) {
        if (random(8) === 0) game.shift();
        else game.step();
        game.check();
      }
      drain(game);
    });
  }

  it('forgets what lookups remembered when a change fails after a split', () => {
    const game = new Game(randomOf(SEED + 2), { maxEntries: 4, frames: 700, blockBytes: 1024 });
    const { world } = game;
    // Out of order, so that there are full leaves.
    for (let n = 0; n < 30; n++) {
      const i = (n * 7) % 30;
      world.take(100 + 3 * i, 3);
      world.change(MORE_CREDITS, () => world.map.insert(world.task, WORLD_SLOT, 4 * i, 100 + 3 * i, 3, false));
      for (let k = 0; k < 3; k++) game.model.pages[4 * i + k] = 100 + 3 * i + k;
    }
    let splits = 0;
    for (let i = 0; i < 30; i++) {
      game.lookups();
      const nodes = world.validate().nodes;
      world.freesLeft = 0;
      const page = 4 * i + 1;
      expect(() => world.change(MORE_CREDITS, () => world.map.remove(world.task, WORLD_SLOT, page, page + 1))).toThrow(
        /EIO/,
      );
      if (world.validate().nodes === nodes) continue;
      splits++;
      for (const at of game.model.pages.keys()) game.lookup(at);
    }
    expect(splits).toBeGreaterThan(0);
  });
});

function drain(game: Game): void {
  const { world } = game;
  for (let page = 0; page < MAX_FILE_PAGES; ) {
    const from = page;
    page = world.change(MORE_CREDITS, () => world.map.remove(world.task, WORLD_SLOT, from, MAX_FILE_PAGES));
  }
  expect(world.validate()).toEqual({ nodes: 0, entries: 0, height: 0 });
  expect(world.usedCount).toBe(0);
}
