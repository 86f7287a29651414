/** The scenarios that are about a full log do find it full, and their threads do wait for room. */
import { expect, it } from 'vitest';
import { Execution, standsAt } from '#dist/src/explore/execution.js';
import { searchExhaustively } from '#dist/src/explore/exhaustive.js';
import { World } from '#dist/src/explore/world.js';
import { scenarios } from '#dist/src/explore.js';
import { schemeByName } from '#dist/src/locking/schemes.js';

const FULL = scenarios.filter(({ logFree }) => logFree !== undefined);

it.each(FULL.map((scenario) => [scenario.name, scenario] as const))('%s', (_, scenario) => {
  const run = new Execution(new World(scenario, schemeByName('invalidate-lock')!));
  let emptied = 0;
  let committers = new Set<number>();
  run.listener = {
    started() {},
    stepped({ step }, thread) {
      if (step === 1) committers = new Set();
      const at = standsAt(thread);
      if (at === 'journal:snapshot') committers.add(thread.index);
      if (at === 'checkpoint:scanned' && committers.has(thread.index)) emptied++;
    },
  };
  searchExhaustively(run, { preemptions: 0, schedules: 20 });
  // By who commits, not by the background.
  expect(emptied).toBeGreaterThan(0);
});
