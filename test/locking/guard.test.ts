import { describe, expect, it } from 'vitest';
import { initInodeSlots, iRwsemAt } from '#dist/src/inode/inode.js';
import { Guard, Taken } from '#dist/src/locking/guard.js';
import {
  FILL_OPERATIONS,
  INVALIDATE_OPERATIONS,
  OPERATIONS,
  Operation,
  rowsExclude,
} from '#dist/src/locking/scheme.js';
import { schemeByName, schemes } from '#dist/src/locking/schemes.js';
import { runBlocking } from '#dist/src/routine/blocking-driver.js';
import { LockMode, LockRank } from '#dist/src/sync/lockdep.js';
import type { Slot } from '#dist/src/units.js';
import { Actor, ManualDriver } from '../support/actor.js';
import { makeArena } from '../support/arena.js';

const SLOT = 3 as Slot;

function setUp(scheme: string) {
  const arena = makeArena();
  initInodeSlots(arena);
  const driver = new ManualDriver();
  return { guard: new Guard(arena, schemeByName(scheme)!), a: new Actor(arena, driver), b: new Actor(arena, driver) };
}

describe('guard', () => {
  it('takes what the table says, and nothing under a row of nones', () => {
    const { guard, a } = setUp('invalidate-lock');
    expect(guard.maskOf(Operation.ReadHit)).toBe(Taken.Nothing);
    expect(guard.maskOf(Operation.ReadMiss)).toBe(Taken.InvalidateShared);
    expect(guard.maskOf(Operation.Write)).toBe(Taken.IRwsemExclusive);
    expect(guard.maskOf(Operation.Punch)).toBe(Taken.IRwsemExclusive | Taken.InvalidateExclusive);
    expect(guard.tryEnter(a.task, SLOT, Operation.Punch)).toBe(true);
    a.task.lockdep!.assertHeld(LockRank.IRwsem, iRwsemAt(a.task.arena, SLOT), LockMode.Exclusive);
    guard.leave(a.task, SLOT, guard.maskOf(Operation.Punch));
    a.task.lockdep!.assertNothingHeld();
  });

  it('does not take again what the caller holds', () => {
    const { guard, a } = setUp('i-rwsem');
    const held = runBlocking(a.task, guard.enter(a.task, SLOT, Operation.ReadHit));
    expect(held).toBe(Taken.IRwsemShared);
    const taken = runBlocking(a.task, guard.enter(a.task, SLOT, Operation.ReadMiss, 0, 1, held));
    expect(taken).toBe(Taken.InvalidateShared);
    guard.leave(a.task, SLOT, taken);
    guard.leave(a.task, SLOT, held);
    a.task.lockdep!.assertNothingHeld();
  });

  it('gives i_rwsem back when the invalidate lock is not free at once', () => {
    const { guard, a, b } = setUp('invalidate-lock');
    expect(guard.tryEnter(a.task, SLOT, Operation.ReadMiss)).toBe(true);
    expect(guard.tryEnter(b.task, SLOT, Operation.Punch)).toBe(false);
    b.task.lockdep!.assertNothingHeld();
    expect(guard.tryEnter(b.task, SLOT, Operation.Write)).toBe(true);
  });

  it('makes an invalidation wait for a fill, and a fill for an invalidation', () => {
    const { guard, a, b } = setUp('invalidate-lock');
    guard.tryEnter(a.task, SLOT, Operation.ReadMiss);
    expect(b.start(guard.enter(b.task, SLOT, Operation.Punch))).toBe(false);
    guard.leave(a.task, SLOT, guard.maskOf(Operation.ReadMiss));
    expect(b.go()).toBe(true);
    expect(a.start(guard.enter(a.task, SLOT, Operation.ReadMiss))).toBe(false);
    guard.leave(b.task, SLOT, guard.maskOf(Operation.Punch));
    expect(a.go()).toBe(true);
  });

  it('asserts of who drops pages what the scheme takes to keep fills away', () => {
    for (const scheme of schemes) {
      for (const name of INVALIDATE_OPERATIONS) {
        const { guard, a } = setUp(scheme.name);
        const operation: Operation = OPERATIONS.indexOf(name);
        const check = () => guard.assertInvalidating(a.task, SLOT, operation);
        if (FILL_OPERATIONS.some((fill) => rowsExclude(scheme, fill, name))) {
          expect(check, `${scheme.name} ${name}`).toThrow(/invalidation lock/);
          guard.tryEnter(a.task, SLOT, Operation.ReadMiss);
          expect(check, `${scheme.name} ${name}`).toThrow(/invalidation lock/);
          guard.leave(a.task, SLOT, guard.maskOf(Operation.ReadMiss));
        }
        expect(guard.tryEnter(a.task, SLOT, operation)).toBe(true);
        check();
        guard.leave(a.task, SLOT, guard.maskOf(operation));
        a.task.lockdep!.assertNothingHeld();
      }
    }
  });

  it('refuses a table with a hold that the type of lock does not have', () => {
    const { arena } = setUp('tmpfs').a.task;
    const tmpfs = schemeByName('tmpfs')!;
    expect(() => new Guard(arena, { ...tmpfs, locks: schemeByName('none')!.locks })).toThrow(/rwsem is held waits/);
  });

  it('makes faults on a published range wait, and lets those on the way go on', () => {
    const { guard, a, b } = setUp('tmpfs');
    expect(guard.tryEnter(b.task, SLOT, Operation.Fault, 10, 11)).toBe(true); // before: it passes, and holds nothing
    expect(guard.tryEnter(a.task, SLOT, Operation.Punch, 8, 12)).toBe(true);
    guard.leave(b.task, SLOT, guard.maskOf(Operation.Fault));
    for (const [first, end] of [
      [7, 8],
      [12, 13],
    ]) {
      expect(guard.tryEnter(b.task, SLOT, Operation.Fault, first, end)).toBe(true);
    }
    expect(guard.tryEnter(b.task, SLOT, Operation.Fault, 11, 12)).toBe(false);
    expect(b.start(guard.enter(b.task, SLOT, Operation.FaultHit, 8, 9))).toBe(false);
    guard.leave(a.task, SLOT, guard.maskOf(Operation.Punch));
    expect(b.go()).toBe(true);
    a.task.lockdep!.assertNothingHeld();
    b.task.lockdep!.assertNothingHeld();
  });

  it('never turns a shared lock into an exclusive one', () => {
    const { guard, a } = setUp('i-rwsem');
    const held = runBlocking(a.task, guard.enter(a.task, SLOT, Operation.ReadHit));
    expect(() => runBlocking(a.task, guard.enter(a.task, SLOT, Operation.Write, 0, 1, held))).toThrow(/upgraded/);
  });
});
