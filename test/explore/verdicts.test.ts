/**
 * The table of verdicts in docs/schemes.md is whole, and what it says still holds: every schedule that breaks something
 * breaks it again, and a part of the safe cells is tried anew. EMMENTAL_EXPLORE=all tries all of them, as far as the table did.
 *
 * The verdicts are held, not the number of schedules, which changes with every step that the engine takes differently. Where
 * a schedule does not fit any more, its cell is searched again.
 */
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { Execution } from '#dist/src/explore/execution.js';
import { searchExhaustively } from '#dist/src/explore/exhaustive.js';
import { Replay } from '#dist/src/explore/replay.js';
import { World } from '#dist/src/explore/world.js';
import { explore, parseCell, parseSchedule, readTables, scenarioByName, scenarios } from '#dist/src/explore.js';
import { schemes } from '#dist/src/index.js';
import { schemeByName } from '#dist/src/locking/schemes.js';

const TRIES_ALL = process.env['EMMENTAL_EXPLORE'] === 'all';
/** Of the safe cells, so many are left out for one that is tried. */
const EVERY = 41;
const document = readFileSync(join(resolve(import.meta.dirname, '../..'), 'docs/schemes.md'), 'utf8');
const cells = readTables(document);
const broken = cells.flatMap((cell) => {
  const found = parseCell(cell.text, cell.scheme, cell.scenario);
  return found === null ? [] : [{ ...cell, ...found }];
});
const safe = cells.filter(({ text }) => text.startsWith('safe'));

describe('docs/schemes.md', () => {
  it('has a verdict for every scheme with a table of its own, and every scenario', () => {
    const own = schemes.filter(({ aliasOf }) => aliasOf === null).map(({ name }) => name);
    const wanted = scenarios.flatMap((scenario) => own.map((scheme) => `${scheme} ${scenario.name}`));
    expect(cells.map(({ scheme, scenario }) => `${scheme} ${scenario}`).sort()).toEqual(wanted.sort());
    expect(broken.length + safe.length).toBe(cells.length);
  });

  it('finds nothing in the schemes that are safe, and something in each of the others', () => {
    for (const { name, safe: isSafe, aliasOf } of schemes) {
      if (aliasOf !== null) continue;
      const breaks = broken.filter(({ scheme }) => scheme === name).map(({ scenario }) => scenario);
      if (isSafe) expect(breaks, name).toEqual([]);
      else expect(breaks.length, name).toBeGreaterThan(0);
    }
  });

  it.each([...new Set(broken.map(({ scheme }) => scheme))])('shows what %s breaks', (scheme) => {
    for (const cell of broken) {
      if (cell.scheme !== scheme) continue;
      const run = new Execution(new World(scenarioByName(cell.scenario)!, schemeByName(scheme)!));
      const failure = run.run(new Replay(parseSchedule(cell.schedule).choices));
      if (failure?.kind === cell.kind) continue;
      const { found } = searchExhaustively(run, { preemptions: 2, schedules: 1500 });
      expect(
        found.map((other) => other.failure.kind),
        `${scheme} ${cell.scenario}`,
      ).toContain(cell.kind);
    }
  });

  it('is right about what is safe', () => {
    const tried = TRIES_ALL ? safe : safe.filter((_, i) => i % EVERY === 0);
    for (const { scheme, scenario } of tried) {
      const { failures } = explore(scheme, scenario, { unsafe: true, schedules: TRIES_ALL ? 1500 : 30 });
      expect(failures, `${scheme} ${scenario}`).toEqual([]);
    }
  });
});
