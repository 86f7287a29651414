/**
 * Canaries: an engine that is broken on purpose must fail, and for the right reason. Each sabotage is done to the objects of
 * the logical threads, and each kind of failure is met at least once, here or in the table of verdicts.
 */
import { expect, it } from 'vitest';
import { type Chooser, Execution } from '#dist/src/explore/execution.js';
import { searchExhaustively } from '#dist/src/explore/exhaustive.js';
import type { Scenario } from '#dist/src/explore/scenario.js';
import { type Actor, World } from '#dist/src/explore/world.js';
import { type FailureKind, scenarioByName } from '#dist/src/explore.js';
import type { Scheme } from '#dist/src/locking/scheme.js';
import { schemeByName } from '#dist/src/locking/schemes.js';
import { Thread } from '#dist/src/sync/layout.js';
import { RWSEM_POLICIES } from '#dist/src/sync/rwsem-policy.js';
import type { Slot } from '#dist/src/units.js';

type Sabotage = (actor: Actor) => void;

const GOOD = schemeByName('invalidate-lock')!;

class SabotagedWorld extends World {
  sabotage: Sabotage = () => {};

  override actor(...args: Parameters<World['actor']>): Actor {
    const actor = super.actor(...args);
    // Whoever looks afterwards has to be well.
    if (args[0] < this.scenario.threads.length) this.sabotage(actor);
    return actor;
  }
}

function failuresOf(scenario: string | Scenario, sabotage: Sabotage, scheme: Scheme = GOOD): FailureKind[] {
  const world = new SabotagedWorld(typeof scenario === 'string' ? scenarioByName(scenario)! : scenario, scheme);
  world.sabotage = sabotage;
  const result = searchExhaustively(new Execution(world), { preemptions: 2, schedules: 500 });
  return result.found.map(({ failure }) => failure.kind);
}

it('finds a wake-up that is left out', () => {
  const run = new Execution(new World(scenarioByName('punch-read')!, GOOD));
  run.wake = () => {};
  const { found } = searchExhaustively(run, { preemptions: 2, schedules: 500 });
  expect(found.map(({ failure }) => failure.kind)).toEqual(['lost-wakeup']);
  expect(found[0].failure.message).toMatch(/sleeps on .* of victim, which has come; nobody woke it/);
});

it('finds a lock that is kept', () => {
  const keep: Sabotage = ({ engine }) => {
    engine.guard.leave = () => {};
  };
  const kinds = failuresOf('punch-read', keep);
  expect(kinds).toContain('left-held');
});

it('finds a page that is not marked dirty', () => {
  const forget: Sabotage = ({ engine }) => {
    const { cache } = engine;
    const { markDirty } = cache;
    cache.markDirty = (task, mapping, frame) => {
      if (mapping === 0) markDirty.call(cache, task, mapping, frame);
    };
  };
  expect(failuresOf('edge-mkwrite', forget)).toContain('lost');
});

it('finds blocks that are taken out of the map and not freed', () => {
  const forget: Sabotage = ({ engine }) => {
    engine.allocator.free = function* () {};
  };
  expect(failuresOf('punch-read', forget)).toEqual(['check']);
});

it('finds pages that are dropped without the lock', () => {
  const enterNothing: Sabotage = ({ engine }) => {
    engine.guard.enter = function* () {
      return 0;
    };
  };
  expect(failuresOf('punch-read', enterNothing)).toEqual(['assertion']);
});

it('finds pages that are not dropped', () => {
  const keep: Sabotage = ({ engine }) => {
    engine.cache.drop = function* () {};
  };
  expect(failuresOf('punch-read', keep)).toContain('stale');
});

it('finds blocks that are freed and not taken out of the map', () => {
  const free: Sabotage = ({ engine }) => {
    engine.extents.remove = function* (_task, _slot: Slot, _first, end) {
      return end;
    };
  };
  expect(failuresOf('punch-read', free)).toContain('stale');
});

it('finds a read that is not as atomic as was claimed', () => {
  expect(failuresOf('miss-write', () => {}, { ...GOOD, readAtomicity: 'request' })).toContain('torn');
  expect(failuresOf('miss-write', () => {})).toEqual([]);
});

/** The first reader goes in, the puncher queues, and then the readers hold the lock by turns, one always before the other lets go. */
class Relay implements Chooser {
  private turn = 2;
  private hasLetGo = true;
  private hasStarted = false;

  choose({ threads, world, enabled }: Execution): number {
    const holds = (index: number) => world.arena.words[threads[index].actor.task.record + Thread.HeldDepth] > 0;
    const mayStep = (index: number) => (enabled & (1 << index)) !== 0;
    this.hasStarted ||= holds(1);
    if (!this.hasStarted) return 1;
    if (mayStep(0)) return 0;
    if (this.hasLetGo && holds(this.turn)) {
      this.turn = 3 - this.turn;
      this.hasLetGo = false;
    }
    if (!holds(this.turn)) this.hasLetGo = true;
    return mayStep(this.turn) ? this.turn : 3 - this.turn;
  }
}

it('finds a writer that starves behind readers who are let in before it', () => {
  const kinds = ['kernel', 'fifo', 'reader-preferring'].map((name) => {
    const policy = RWSEM_POLICIES.findIndex((other) => other === name);
    const world = new World(scenarioByName('starved-punch')!, schemeByName('i-rwsem')!, policy);
    return new Execution(world).run(new Relay())?.kind ?? null;
  });
  expect(kinds).toEqual([null, null, 'starvation']);
});

it('names the circle of a deadlock', () => {
  const run = new Execution(new World(scenarioByName('callback-two-writes')!, schemeByName('gfs2')!));
  const { found } = searchExhaustively(run, { preemptions: 1, schedules: 500 });
  expect(found.map(({ failure }) => failure)).toMatchObject([
    {
      kind: 'deadlock',
      message:
        'leftward waits for invalidate_lock of right, held exclusive by rightward; ' +
        'rightward waits for invalidate_lock of left, held exclusive by leftward',
    },
  ]);
});
