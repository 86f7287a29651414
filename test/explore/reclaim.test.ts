/** The scenarios that are about a cache short of frames do evict, however many pages the metadata take by now. */
import { expect, it } from 'vitest';
import { Execution, standsAt } from '#dist/src/explore/execution.js';
import { searchExhaustively } from '#dist/src/explore/exhaustive.js';
import { World } from '#dist/src/explore/world.js';
import { scenarios } from '#dist/src/explore.js';
import { schemeByName } from '#dist/src/locking/schemes.js';

const SHORT = scenarios.filter(({ family, frames }) => family === 'reclaim' && frames !== undefined);

it.each(SHORT.map((scenario) => [scenario.name, scenario] as const))('%s', (_, scenario) => {
  const run = new Execution(new World(scenario, schemeByName('invalidate-lock')!));
  let evictions = 0;
  run.listener = {
    started() {},
    stepped(_run, thread) {
      if (standsAt(thread) === 'reclaim:frozen') evictions++;
    },
  };
  searchExhaustively(run, { preemptions: 0, schedules: 20 });
  expect(evictions).toBeGreaterThan(0);
});
