/**
 * Changes of extents that take several transactions, cut after each of them: the file is then as it was before or, when the
 * next opening has finished the work, as it was to be.
 */
import { expect, test } from 'vitest';
import type { MemoryDevice } from '#dist/src/device/memory-device.js';
import { mendTail } from '#dist/src/file/edge.js';
import { punchHole, zeroRange } from '#dist/src/file/punch.js';
import { collapseRange, insertRange } from '#dist/src/file/shift.js';
import { truncate } from '#dist/src/file/truncate.js';
import { transfer } from '#dist/src/routine/device-effects.js';
import { EffectKind, type Routine } from '#dist/src/routine/effect.js';
import { checkDevice } from '#dist/src/store/check.js';
import type { Slot } from '#dist/src/units.js';
import { type Actor, FileWorld, pattern } from '../support/file-world.js';

const BLOCK = 4096;
const PAGES = 160;
const OPTIONS = { blocks: 2048, frames: 512, maxEntries: 6 };

type Operation = (actor: Actor, slot: Slot) => Routine<void>;

const operations: [string, Operation][] = [
  ['a truncation', ({ task, engine }, slot) => truncate(task, engine, slot, 9 * BLOCK + 5)],
  ['a punch', ({ task, engine }, slot) => punchHole(task, engine, slot, 20 * BLOCK, 120 * BLOCK)],
  ['a zeroed range', ({ task, engine }, slot) => zeroRange(task, engine, slot, 30 * BLOCK, 60 * BLOCK, true)],
  ['a collapse', ({ task, engine }, slot) => collapseRange(task, engine, slot, 8 * BLOCK, 90 * BLOCK)],
  ['an insertion', ({ task, engine }, slot) => insertRange(task, engine, slot, 4 * BLOCK, 77 * BLOCK)],
];

/** A file of many extents: every other page, and some next to each other. */
function makeFile(world: FileWorld): Slot {
  const slot = world.create('f');
  const bytes = pattern(3, PAGES * BLOCK);
  for (let page = 0; page < PAGES; page++) {
    if (page % 2 === 0 || page % 10 === 3)
      world.write(slot, bytes.subarray(page * BLOCK, (page + 1) * BLOCK), page * BLOCK);
  }
  world.sync();
  return slot;
}

function contentOf(world: FileWorld, slot: Slot): Buffer {
  return Buffer.from(world.read(slot, 0, world.sizeOf(slot)));
}

/** What the device holds whenever a transaction of the operation may have become durable. */
function* cuts(world: FileWorld, slot: Slot, operation: Operation): Generator<MemoryDevice> {
  const actor = world.attach(true);
  const committer = world.attach();
  const routine = operation(actor, slot);
  let answer = 0;
  for (;;) {
    const step = routine.next(answer);
    if (step.done === true) break;
    const effect = step.value;
    answer = effect.kind === EffectKind.Io ? transfer(effect) : 0;
    if (actor.task.handleDepth > 0) continue;
    const { transaction } = world.running();
    world.runAs(committer, committer.engine.journal.commit(committer.task));
    if (world.running().transaction !== transaction) yield world.device.clone();
  }
}

test.each(operations)('%s is whole or not begun, wherever it is cut', (_name, operation) => {
  const world = new FileWorld(OPTIONS);
  const slot = makeFile(world);
  const before = contentOf(world, slot);
  const images = [...cuts(world, slot, operation)];
  world.sync();
  images.push(world.device.clone());
  const after = contentOf(world, slot);
  expect(after.equals(before)).toBe(false);
  expect(images.length).toBeGreaterThan(4);
  expect(world.finish().errors).toEqual([]);

  let finished = 0;
  for (const image of images) {
    expect(checkDevice(image).errors).toEqual([]);
    const again = new FileWorld(OPTIONS, image);
    finished += again.run(
      again.engine.inodes.finishOrphans(again.task, (slot) => mendTail(again.task, again.engine, slot)),
    );
    const found = contentOf(again, again.create('f'));
    const isWhole = found.equals(after) || found.equals(before);
    expect(isWhole, `a file of ${found.length} bytes, neither ${before.length} as before nor ${after.length}`).toBe(
      true,
    );
    expect(again.finish().errors).toEqual([]);
  }
  expect(finished).toBeGreaterThan(1);
});
