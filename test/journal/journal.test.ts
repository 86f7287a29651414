/** Handles and commits: what becomes durable when, and who waits for whom. */
import { beforeEach, describe, expect, test } from 'vitest';
import { MemoryDevice } from '#dist/src/device/memory-device.js';
import { StoreError } from '#dist/src/errors.js';
import { BlockKind, HeaderAt, verifyBlock } from '#dist/src/format/block-header.js';
import { DiskState } from '#dist/src/format/superblock.js';
import { Header, Journal as Word } from '#dist/src/sync/layout.js';
import { Count, sumStatistics } from '#dist/src/sync/statistics.js';
import {
  type AllocWorld,
  addBlock,
  BLOCK_BYTES,
  formatForTest,
  inHandle,
  makeAllocWorld,
  readBlock,
  setMark,
  superblockOn,
} from '../support/alloc-world.js';
import { Scheduler } from '../support/scheduler.js';

let device: MemoryDevice;
let world: AllocWorld;

beforeEach(() => {
  device = new MemoryDevice(2048 * BLOCK_BYTES);
  formatForTest(device, 512);
  world = makeAllocWorld(device);
});

function addCommitted(mark: number): number {
  const block = world.inHandle(4, () => addBlock(world, world.task, mark));
  world.run(world.journal.commit(world.task));
  return block;
}

function commits(): number {
  return sumStatistics(world.arena)[Count.Commits];
}

const markOn = (block: number): number => readBlock(device, block)[100];
const dirtyBlocks = (): number => world.arena.words[Header.MetadataDirty];

describe('a commit', () => {
  test('writes what handles changed, sealed, and the counters', () => {
    const before = superblockOn(device, 0);
    const block = world.inHandle(4, () => addBlock(world, world.task, 42));
    expect(markOn(block)).toBe(0);
    expect(superblockOn(device, 0).blocksFree).toBe(before.blocksFree);
    world.run(world.journal.commit(world.task));
    expect(markOn(block)).toBe(42);
    expect(verifyBlock(readBlock(device, block), block, BlockKind.Inodes)).toBeNull();
    const after = superblockOn(device, 0);
    expect(after.blocksFree).toBe(before.blocksFree - 1);
    expect(after.transaction).toBe(before.transaction + 1);
    expect(new DataView(readBlock(device, block).buffer).getUint32(HeaderAt.Transaction, true)).toBe(after.transaction);
    expect(dirtyBlocks()).toBe(0);
  });

  test('survives reopening', () => {
    const block = addCommitted(9);
    world = makeAllocWorld(device.clone());
    const frame = world.run(world.metadata.get(world.task, block, BlockKind.Inodes));
    expect(world.frames.bytes(frame)[100]).toBe(9);
  });

  test('of nothing writes nothing, and flushes', () => {
    let writes = 0;
    let flushes = 0;
    device.onWrite = () => {
      writes += 1;
      return undefined;
    };
    device.onFlush = () => {
      flushes += 1;
    };
    world.run(world.journal.commit(world.task));
    expect({ writes, flushes }).toEqual({ writes: 0, flushes: 1 });
  });

  test('holds the superblock where that has changed, and then only', () => {
    const block = addCommitted(1);
    const lengths: number[] = [];
    device.onWrite = (_position, length) => {
      lengths.push(length / BLOCK_BYTES);
      return undefined;
    };
    world.inHandle(1, () => setMark(world, world.task, block, 2));
    world.run(world.journal.commit(world.task));
    // A descriptor, the block, the commit record.
    expect(lengths.splice(0)).toEqual([3]);
    world.inHandle(4, () => addBlock(world, world.task, 3));
    world.run(world.journal.commit(world.task));
    // The bitmap and the superblock, with its count of free blocks, too.
    expect(lengths).toEqual([5]);
  });

  test('refreshes the copy of the superblock when the state changes, and then only', () => {
    const copy = superblockOn(device, 0).blocks - 1;
    world.run(world.journal.setState(world.task, DiskState.Open));
    expect(superblockOn(device, 0).state).toBe(DiskState.Open);
    expect(superblockOn(device, copy).state).toBe(DiskState.Open);
    const { transaction } = superblockOn(device, copy);
    addCommitted(1);
    expect(superblockOn(device, copy).transaction).toBe(transaction);
    world.run(world.journal.close(world.task));
    expect(superblockOn(device, 0)).toEqual({ ...superblockOn(device, copy) });
    expect(superblockOn(device, 0).state).toBe(DiskState.Clean);
  });

  test('does not write a block freed in the same transaction', () => {
    const block = world.inHandle(8, function* () {
      const added = yield* addBlock(world, world.task, 77);
      yield* world.metadata.forget(world.task, added);
      yield* world.allocator.free(world.task, added, 1);
      return added;
    });
    world.run(world.journal.commit(world.task));
    expect(markOn(block)).toBe(0);
    expect(world.metadata.tryGet(world.task, block, BlockKind.Inodes)).toBe(0);
  });

  test('writes to the log at once, and a checkpoint writes neighbouring blocks together', () => {
    world.inHandle(16, function* () {
      for (let i = 0; i < 8; i++) yield* addBlock(world, world.task, i);
    });
    const lengths: number[] = [];
    device.onWrite = (_position, length) => {
      lengths.push(length / BLOCK_BYTES);
      return undefined;
    };
    world.run(world.journal.commit(world.task));
    // To the log at once: a descriptor, superblock, bitmap and eight blocks, the commit record.
    expect(lengths.splice(0)).toEqual([12]);
    world.run(world.journal.checkpoint(world.task));
    // In place: superblock and bitmap; the blocks, which lie behind each other; the journal's head.
    expect(lengths).toEqual([2, 8, 1]);
  });
});

describe('concurrent commits', () => {
  test('a commit waits for open handles and holds new ones back until it has its copy', () => {
    const block = addCommitted(1);
    const scheduler = new Scheduler(world.arena);
    const order: string[] = [];
    scheduler.held.add('writeback:mapped').add('journal:snapshot');
    scheduler.spawn('open', function* (task) {
      yield* inHandle(world, task, 2, function* () {
        yield task.point('writeback:mapped');
        yield* setMark(world, task, block, 2);
      });
    });
    scheduler.run();
    scheduler.spawn('commit', (task) => world.journal.commit(task));
    scheduler.run();
    scheduler.spawn('late', function* (task) {
      yield* inHandle(world, task, 2, () => setMark(world, task, block, 3));
      order.push('late');
    });
    // Nothing was dirtied yet, so the commit has nothing to wait for.
    expect(scheduler.run()).toEqual({ open: 'writeback:mapped' });
    expect(order).toEqual(['late']);

    scheduler.spawn('commit again', (task) => world.journal.commit(task));
    expect(scheduler.run()).toEqual({ open: 'writeback:mapped', 'commit again': 'asleep' });
    scheduler.spawn('later', function* (task) {
      yield* inHandle(world, task, 2, () => setMark(world, task, block, 4));
      order.push('later');
    });
    expect(scheduler.run()).toEqual({ open: 'writeback:mapped', 'commit again': 'asleep', later: 'asleep' });
    scheduler.release('writeback:mapped');
    // The open handle ends, the snapshot is taken, and the later handle goes on before anything is written.
    expect(scheduler.run()).toEqual({ 'commit again': 'journal:snapshot' });
    expect(order).toEqual(['late', 'later']);
    expect(markOn(block)).toBe(1);
    scheduler.release('journal:snapshot');
    scheduler.finish();
    expect(markOn(block)).toBe(2);
    expect(dirtyBlocks()).toBe(1);
    world.run(world.journal.commit(world.task));
    expect(markOn(block)).toBe(4);
  });

  test('callers share one', () => {
    const block = addCommitted(1);
    const before = commits();
    const scheduler = new Scheduler(world.arena);
    scheduler.held.add('journal:stopped').add('writeback:mapped');
    for (let i = 0; i < 5; i++) {
      scheduler.spawn(`caller ${i}`, function* (task) {
        yield* inHandle(world, task, 2, () => setMark(world, task, block, 10 + i));
        yield task.point('writeback:mapped');
        yield* world.journal.commit(task);
      });
    }
    scheduler.run();
    scheduler.release('writeback:mapped');
    expect(scheduler.run()).toMatchObject({ 'caller 0': 'journal:stopped', 'caller 4': 'asleep' });
    scheduler.release('journal:stopped');
    scheduler.finish();
    expect(commits() - before).toBe(1);
    expect(markOn(block)).toBe(14);
  });

  test('a caller whose data came after the flush began waits for another flush', () => {
    const block = addCommitted(1);
    world.inHandle(2, () => setMark(world, world.task, block, 2));
    const scheduler = new Scheduler(world.arena);
    let flushes = 0;
    let sawData = -1;
    const data = 900;
    device.onFlush = () => {
      flushes += 1;
      if (flushes === 1) {
        // Data reach the device while the first flush is under way: it need not cover them.
        scheduler.spawn('late', function* (task) {
          yield task.write(device, [new Uint8Array(BLOCK_BYTES).fill(5)], data * BLOCK_BYTES);
          yield* world.journal.commit(task);
          sawData = flushes;
        });
      }
    };
    scheduler.held.add('journal:written');
    scheduler.spawn('commit', (task) => world.journal.commit(task));
    scheduler.run();
    scheduler.release('journal:written');
    scheduler.finish();
    expect(sawData).toBe(2);
  });

  test('under random schedules every change is durable when its commit returns, and nothing is lost', () => {
    for (let seed = 1; seed <= 40; seed++) {
      device = new MemoryDevice(2048 * BLOCK_BYTES);
      formatForTest(device, 512);
      world = makeAllocWorld(device);
      const blocks = Array.from({ length: 4 }, (_, i) => addCommitted(i));
      let state = seed;
      const scheduler = new Scheduler(world.arena, () => {
        state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff;
        return (state >>> 8) / 2 ** 23;
      });
      for (const [i, block] of blocks.entries()) {
        scheduler.spawn(`fiber ${i}`, function* (task) {
          for (let mark = 10; mark < 16; mark++) {
            yield* inHandle(world, task, 2, () => setMark(world, task, block, mark));
            if ((mark + i) % 3 === 0) continue;
            yield* world.journal.commit(task);
            expect(markOn(block), `seed ${seed}`).toBe(mark);
          }
        });
      }
      scheduler.finish();
      world.run(world.journal.commit(world.task));
      expect(blocks.map(markOn)).toEqual([15, 15, 15, 15]);
      expect(world.arena.words[world.arena.layout.journal + Word.Handles]).toBe(0);
      expect(world.arena.words[world.arena.layout.journal + Word.Credits]).toBe(0);
    }
  });
});

describe('ordered data', () => {
  /** What the device is asked to do: writes to the log and flushes. */
  function record(): string[] {
    const done: string[] = [];
    const { journalStart, journalBlocks } = world.geometry;
    device.onWrite = (position) => {
      const block = position / BLOCK_BYTES;
      done.push(block >= journalStart && block < journalStart + journalBlocks ? 'log' : 'data');
      return undefined;
    };
    device.onFlush = () => {
      done.push('flush');
    };
    return done;
  }

  test('are flushed before the transaction that maps them is in the log, and only then', () => {
    const block = addCommitted(1);
    const done = record();
    world.inHandle(2, () => setMark(world, world.task, block, 2));
    world.run(world.journal.commit(world.task));
    expect(done.splice(0)).toEqual(['log', 'flush']);
    world.inHandle(2, function* () {
      yield* setMark(world, world.task, block, 3);
      world.journal.orderData(world.task);
    });
    world.run(world.journal.commit(world.task));
    expect(done).toEqual(['flush', 'log', 'flush']);
  });

  // The mark was one word, looked at after the snapshot: by then a handle of the next transaction could have moved it on.
  test('are flushed although the next transaction orders data while this one commits', () => {
    const block = addCommitted(1);
    world.inHandle(2, function* () {
      yield* setMark(world, world.task, block, 2);
      world.journal.orderData(world.task);
    });
    const done = record();
    const scheduler = new Scheduler(world.arena);
    scheduler.held.add('journal:snapshot');
    scheduler.spawn('commit', (task) => world.journal.commit(task));
    expect(scheduler.run()).toEqual({ commit: 'journal:snapshot' });
    scheduler.spawn('next', (task) =>
      inHandle(world, task, 2, function* () {
        yield* setMark(world, task, block, 3);
        world.journal.orderData(task);
      }),
    );
    scheduler.run();
    scheduler.release('journal:snapshot');
    scheduler.finish();
    expect(done.splice(0)).toEqual(['flush', 'log', 'flush']);
    world.run(world.journal.commit(world.task));
    expect(done).toEqual(['flush', 'log', 'flush']);
  });
});

describe('credits', () => {
  test('a transaction that would outgrow the buffer is committed first', () => {
    const { capacity } = world.journal;
    const before = commits();
    for (let i = 0; i < capacity; i++) world.inHandle(3, () => addBlock(world, world.task, i & 0xff));
    expect(commits()).toBeGreaterThan(before);
    expect(dirtyBlocks()).toBeLessThanOrEqual(capacity);
  });

  test('a handle waits for others that were promised the room', () => {
    const scheduler = new Scheduler(world.arena);
    const most = world.journal.creditsMax;
    scheduler.held.add('writeback:mapped');
    scheduler.spawn('first', (task) =>
      inHandle(world, task, most, function* () {
        yield task.point('writeback:mapped');
      }),
    );
    scheduler.run();
    scheduler.spawn('second', (task) => inHandle(world, task, most, function* () {}));
    expect(scheduler.run()).toEqual({ first: 'writeback:mapped', second: 'asleep' });
    scheduler.release('writeback:mapped');
    scheduler.finish();
  });

  test('more than a transaction can hold is a mistake', () => {
    expect(() => world.run(world.journal.begin(world.task, world.journal.creditsMax + 1))).toThrow(/credits/);
  });

  test('so is dirtying more than asked for, or without a handle', () => {
    const block = addCommitted(1);
    expect(() => world.inHandle(1, () => addBlock(world, world.task, 1))).toThrow(/1 credits/);
    expect(() => world.run(setMark(world, world.task, block, 2))).toThrow(/outside a transaction/);
  });

  test('a nested handle is the outer one', () => {
    world.inHandle(2, function* () {
      yield* world.journal.begin(world.task, 50);
      world.journal.end(world.task);
      expect(world.task.handleDepth).toBe(1);
    });
    expect(world.arena.words[world.arena.layout.journal + Word.Handles]).toBe(0);
  });

  test('a full half of the buffer asks the background for a commit', () => {
    const { arena, journal, task } = world;
    const work = arena.words[Header.WritebackWork];
    expect(journal.isWanted).toBe(false);
    for (let i = 0; i < 40; i++) world.inHandle(3, () => addBlock(world, task, i));
    expect(journal.isWanted).toBe(true);
    expect(arena.words[Header.WritebackWork]).toBe(work + 1);
    world.run(journal.commit(task));
    expect(journal.isWanted).toBe(false);
  });
});

describe('a failed commit', () => {
  test.each(['write', 'flush'])('of a %s stops the journal and leaves the store readable', (kind) => {
    const block = addCommitted(1);
    world.inHandle(2, () => setMark(world, world.task, block, 2));
    const dirty = dirtyBlocks();
    const fail = (): never => {
      throw new StoreError('EIO', { syscall: kind });
    };
    if (kind === 'write') device.onWrite = fail;
    else device.onFlush = fail;
    expect(() => world.run(world.journal.commit(world.task))).toThrow(/EIO/);
    device.onWrite = undefined;
    device.onFlush = undefined;
    expect(world.journal.failed).toBe(true);
    expect(() => world.run(world.journal.begin(world.task, 1))).toThrow(/EIO.*journal stopped/);
    expect(() => world.run(world.journal.commit(world.task))).toThrow(/EIO/);
    const frame = world.run(world.metadata.get(world.task, block, BlockKind.Inodes));
    expect(world.frames.bytes(frame)[100]).toBe(2);
    expect(dirtyBlocks()).toBeGreaterThanOrEqual(dirty);
    expect(world.task.handleDepth).toBe(0);
  });

  test('fails those who share it', () => {
    const block = addCommitted(1);
    device.onWrite = () => {
      throw new StoreError('EIO');
    };
    const scheduler = new Scheduler(world.arena);
    scheduler.held.add('journal:snapshot');
    for (let i = 0; i < 3; i++) {
      scheduler.spawn(`caller ${i}`, function* (task) {
        if (i === 0) yield* inHandle(world, task, 2, () => setMark(world, task, block, 2));
        yield* world.journal.commit(task);
      });
    }
    scheduler.run();
    scheduler.release('journal:snapshot');
    expect(scheduler.run()).toEqual({});
    expect(scheduler.errors.map(({ error }) => (error as StoreError).code)).toEqual(['EIO', 'EIO', 'EIO']);
  });
});
