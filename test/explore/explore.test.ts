/** The exploring driver on its first scenario: what it finds, what it does not find, and what it leaves out. */
import { describe, expect, it } from 'vitest';
import { Execution } from '#dist/src/explore/execution.js';
import { searchExhaustively } from '#dist/src/explore/exhaustive.js';
import { World } from '#dist/src/explore/world.js';
import { explore, formatSchedule, parseSchedule, replay, scenarioByName } from '#dist/src/explore.js';
import { schemes } from '#dist/src/index.js';
import { schemeByName } from '#dist/src/locking/schemes.js';

const SCENARIO = 'punch-read';
const MANY = 100_000;

describe('exhaustive search', () => {
  it('finds the stale read without a lock, and a schedule that shows it again', () => {
    const verdict = explore('none', SCENARIO, { unsafe: true });
    expect(verdict.failures).toMatchObject([{ kind: 'stale' }]);
    const replayed = replay(verdict.failures[0].schedule);
    expect(verdict.failures[0]).toMatchObject(replayed.failure!);
    expect(replayed.events.map(({ point }) => point)).toContain('punch:dropped');
  });

  it.each(schemes.filter(({ safe, aliasOf }) => safe && aliasOf === null).map(({ name }) => name))(
    'goes through all schedules under %s',
    (name) => {
      const verdict = explore(name, SCENARIO, { preemptions: MANY });
      expect(verdict.failures).toEqual([]);
      expect(verdict.bound).toBe(Number.POSITIVE_INFINITY);
    },
  );

  it('leaves nothing out by its reduction', () => {
    const run = new Execution(new World(scenarioByName(SCENARIO)!, schemeByName('invalidate-lock')!));
    const [some, all] = [true, false].map((reduction) => {
      const keys = new Set<number>();
      const result = searchExhaustively(run, {
        preemptions: 2,
        schedules: MANY,
        reduction,
        onSchedule: (done) => {
          if (!done.stopped) keys.add(done.happensBefore.key(0));
          return true;
        },
      });
      return { keys, result };
    });
    expect(some.keys).toEqual(all.keys);
    expect(some.result.schedules).toBeLessThan(all.result.schedules / 2);
    expect(some.result.pruned).toBeGreaterThan(0);
  });
});

describe('a replay', () => {
  it('tells step by step who stands where in the source, and holds what', () => {
    const { events } = replay(formatSchedule({ scheme: 'invalidate-lock', scenario: SCENARIO, choices: [] }));
    const dropped = events.find(({ point }) => point === 'punch:dropped');
    expect(dropped?.source?.file).toBe('src/file/punch.ts');
    expect(dropped?.source?.line).toBeGreaterThan(0);
    expect(dropped?.held).toEqual([
      { lock: 'i_rwsem of victim', mode: 'exclusive' },
      { lock: 'invalidate_lock of victim', mode: 'exclusive' },
    ]);
  });

  it('is the same every time', () => {
    const text = formatSchedule({ scheme: 'invalidate-lock', scenario: SCENARIO, choices: [0, 0, 0, 1, 1, 1, 0] });
    expect(replay(text)).toEqual(replay(text));
  });
});

describe('a schedule', () => {
  it('is a short string', () => {
    const choices = [...new Array<number>(40).fill(0), 1, 1, 0, 17];
    const text = formatSchedule({ scheme: 'none', scenario: SCENARIO, choices });
    expect(text).toBe('1:none:punch-read:A15B2AzB');
    expect(parseSchedule(text)).toEqual({ scheme: 'none', scenario: SCENARIO, choices });
  });

  it.each([
    ['1:none:punch-read', 'is no schedule'],
    ['9:none:punch-read:A', 'of version 9, and this is version 1'],
    ['1:none:punch-read:A5!', "'!' is no run of choices"],
    ['1:never:punch-read:A', "unknown scheme 'never'; there are invalidate-lock, i-rwsem"],
    ['1:none:never:A', "unknown scenario 'never'; there are punch-read"],
    ['1:none:punch-read:A5H', 'thread 7 cannot take step 6'],
  ])('%s is refused', (text, message) => {
    expect(() => replay(text)).toThrow(message);
  });

  it('of an unsafe scheme is not looked for without permission', () => {
    expect(() => explore('none', SCENARIO)).toThrow(/'none' is not safe/);
  });
});
