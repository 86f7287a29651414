/**
 * Logical threads that find, create, write, unlink and release inodes, with hardly more slots than threads, under random
 * schedules: eviction against finders, freeing against finders, growth against creation. The seed replays the schedule.
 */
import { describe, expect, it } from 'vitest';
import { INODE_TABLE_SLOT, inoOf, sizeOf, slotAt } from '#dist/src/inode/inode.js';
import type { Routine } from '#dist/src/routine/effect.js';
import type { Task } from '#dist/src/routine/task.js';
import { Header, Inode } from '#dist/src/sync/layout.js';
import { MAX_FILE_PAGES, type Slot } from '#dist/src/units.js';
import { InodeWorld } from '../support/inode-world.js';
import { seededRandom } from '../support/random.js';
import { Scheduler } from '../support/scheduler.js';

const SEED = Number(process.env.EMMENTAL_SEED ?? Math.floor(Math.random() * 2 ** 31));
const THREADS = 5;
const STEPS = 60;
const SCHEDULES = 12;

class Race {
  readonly world = new InodeWorld({ inodes: THREADS + 5, frames: 160, blocks: 2048, blocksPerGroup: 512 });
  /** Files that may have a name, and the byte in all their pages. */
  readonly inos: number[] = [];
  readonly bytes = new Map<number, number>();

  constructor(readonly chance: () => number) {}

  private below(limit: number): number {
    return Math.floor(this.chance() * limit);
  }

  *thread(task: Task): Routine<void> {
    for (let step = 0; step < STEPS; step++) {
      const kind = this.below(10);
      if (kind < 3) yield* this.create(task);
      else if (kind < 8) yield* this.visit(task, false);
      else if (kind < 9) yield* this.visit(task, true);
      else yield* this.background(task);
    }
  }

  private *create(task: Task): Routine<void> {
    const slot = yield* this.world.createFile(task);
    const ino = inoOf(this.world.arena, slot);
    const byte = 1 + this.below(255);
    expect(sizeOf(this.world.arena, slot)).toBe(0);
    this.bytes.set(ino, byte);
    yield* this.world.writePages(task, slot, 0, 1 + this.below(3), byte);
    this.inos.push(ino);
    yield* this.world.inodes.release(task, slot);
  }

  private *visit(task: Task, removing: boolean): Routine<void> {
    const { world } = this;
    if (this.inos.length === 0) return;
    const ino = this.inos[this.below(this.inos.length)];
    const slot = yield* world.findFile(task, ino);
    if (slot === 0) return;
    expect(inoOf(world.arena, slot)).toBe(ino);
    const byte = this.bytes.get(ino)!;
    const pages = sizeOf(world.arena, slot) / world.blockBytes;
    if (removing) yield* world.unlinkFile(task, slot);
    // Its creator may have written nothing yet. Named or not, as long as it is referenced it is that file.
    if (pages > 0) {
      const frame = yield* world.cache.read(task, slot, this.below(pages));
      expect(world.frames.bytes(frame)[99]).toBe(byte);
      world.cache.unpin(frame);
      if (this.below(3) === 0) yield* world.writePages(task, slot, 0, 1, byte);
    }
    yield* world.inodes.release(task, slot);
  }

  private *background(task: Task): Routine<void> {
    if (this.below(2) === 0) yield* this.world.cache.writeSome(task, 8);
    yield* this.world.inodes.updateDirty(task);
    yield* this.world.journal.commit(task);
  }

  /** All are done: nobody has a reference, every named file is whole, and the device agrees. */
  check(): void {
    const { world } = this;
    for (let slot = 2 as Slot; slot < world.arena.layout.inodes; slot++) {
      expect(world.arena.words[slotAt(world.arena, slot) + Inode.Refs]).toBe(0);
    }
    expect(world.arena.words[slotAt(world.arena, INODE_TABLE_SLOT) + Inode.Refs]).toBe(1);
    for (const ino of new Set(this.inos)) {
      const slot = world.run(world.findFile(world.task, ino));
      if (slot === 0) continue;
      expect(world.run(world.cache.writeRange(world.task, slot, 0, MAX_FILE_PAGES, { wait: true }))).toBeNull();
      world.release(slot);
    }
    expect(world.arena.unsigned[Header.OrphanHead]).toBe(0);
    expect(world.arena.unsigned[Header.BlocksReserved]).toBe(0);
    world.sync();
    expect(world.check()).toEqual([]);
  }
}

describe(`inodes under random schedules, EMMENTAL_SEED=${SEED}`, () => {
  for (let n = 0; n < SCHEDULES; n++) {
    it(`schedule ${n}`, () => {
      const chance = seededRandom(SEED + n);
      const race = new Race(chance);
      const scheduler = new Scheduler(race.world.arena, chance);
      for (let i = 0; i < THREADS; i++) scheduler.spawn(`thread ${i}`, (task) => race.thread(task));
      scheduler.finish();
      race.check();
    });
  }
});
