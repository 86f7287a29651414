/**
 * The lock-free hit path, interleaving by interleaving. `emmental explore` takes a hit for one step; here it is a dozen, on
 * a machine with x86's store buffers. src/pagecache/page.ts and src/file/page-copier.ts argue what is searched here.
 *
 * Each canary is the real thing with one part left out, and must fail. EMMENTAL_HIT_MODEL=all adds models of four
 * processors, and prints how each canary fails.
 */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { type Key, modelOf } from './cache.js';
import { ANSWER, type Cpu, END, type Program, programOf, type Step } from './machine.js';
import { optimisticReader, pinnedReader, type Sabotage } from './readers.js';
import { type Model, search } from './search.js';
import { dropper, evictor, filler, rangeEvictor } from './writers.js';

const ALL = process.env.EMMENTAL_HIT_MODEL === 'all';
const ROOT = fileURLToPath(new URL('../../', import.meta.url));

/** Two files' pages in one chain; `middle` is what a mixture of their identities names; the other chain's are `far` and `near`. */
const a: Key = { id: 0, name: 'a', tag: 1, index: 0, bucket: 0 };
const b: Key = { id: 1, name: 'b', tag: 2, index: 1, bucket: 0 };
const middle: Key = { id: 2, name: 'middle', tag: 1, index: 1, bucket: 0 };
const far: Key = { id: 1, name: 'far', tag: 2, index: 0, bucket: 1 };
const near: Key = { id: 2, name: 'near', tag: 3, index: 0, bucket: 1 };

/** The last two begin with a guess: the frame that is right at first, and one that may come to be. */
const readers = {
  pinned: pinnedReader,
  optimistic: optimisticReader,
  'guessing 1': (name: string, key: Key, sabotage?: Sabotage) => optimisticReader(name, key, sabotage, 1),
  'guessing 2': (name: string, key: Key, sabotage?: Sabotage) => optimisticReader(name, key, sabotage, 2),
};
type Kind = keyof typeof readers;

function modelsOf(kind: Kind): Model[] {
  const reader = readers[kind];
  return [
    modelOf(
      'the frame becomes another page of the same chain',
      [a, null],
      [reader('old', a), reader('new', b), evictor('evictor', 1, [a, b], b)],
    ),
    modelOf(
      'the frame moves to another chain under a walker',
      [a, far],
      [reader('first', a), reader('second', far), evictor('evictor', 1, [a, far], near)],
    ),
    modelOf(
      'a mixture of two identities is a third page',
      [a, null],
      [reader('reader', middle), evictor('evictor', 1, [a, b], b), filler('filler', middle)],
    ),
    modelOf(
      'two frames change places in the chains',
      [a, b],
      [reader('reader', a), evictor('one', 1, [a, b, middle], middle), evictor('two', 2, [a, b, middle], a)],
    ),
    modelOf(
      'a drop, and the same page filled anew',
      [a, null],
      [reader('reader', a), dropper('dropper', a), filler('filler', a)],
    ),
    modelOf(
      'a drop, and the frame reused',
      [a, b],
      [reader('reader', a), dropper('dropper', a), filler('filler', middle)],
    ),
    modelOf(
      'a drop against the evictor',
      [a, null],
      [reader('reader', a), dropper('dropper', a), evictor('evictor', 1, [a, b], b)],
    ),
    modelOf('the last unpin', [a, b], [reader('first', a), reader('second', a), dropper('dropper', a)]),
    modelOf(
      'eviction of a pinned page',
      [a, b],
      [reader('reader', a), rangeEvictor('range', 1, a), filler('filler', middle)],
    ),
  ];
}

function largeModelsOf(kind: Kind): Model[] {
  const reader = readers[kind];
  return [
    modelOf(
      'two readers, a drop and a fill',
      [a, b],
      [reader('first', a), reader('second', a), dropper('dropper', a), filler('filler', a)],
    ),
    modelOf(
      'a reader, a drop, a fill and an evictor',
      [a, b],
      [reader('reader', a), dropper('dropper', a), filler('filler', middle), evictor('evictor', 2, [a, b, middle], a)],
    ),
  ];
}

describe.each(Object.keys(readers) as Kind[])('the %s reader', (kind) => {
  test.each([...modelsOf(kind), ...(ALL ? largeModelsOf(kind) : [])])('$name', { timeout: 600_000 }, (model) => {
    const { states, outcomes, failure } = search(model);
    if (failure !== undefined) throw new Error([failure.message, ...failure.trace].join('\n'));
    console.log(`${kind}, ${model.name}: ${states} states, ${outcomes.size} outcomes`);
    // Races are won and lost: a reader that only ever misses would satisfy everything else.
    expect([...outcomes].some((outcome) => outcome.includes('hit'))).toBe(true);
    expect([...outcomes].some((outcome) => outcome.includes('miss'))).toBe(true);
  });
});

describe('what is left out is noticed', () => {
  const reuse = (kind: Kind, key: Key, sabotage: Sabotage) =>
    modelOf('', [a, null], [readers[kind]('reader', key, sabotage), evictor('evictor', 1, [a, b], b, sabotage)]);
  const lastUnpin = (sabotage: Sabotage) =>
    modelOf(
      '',
      [a, b],
      [pinnedReader('first', a, sabotage), pinnedReader('second', a, sabotage), dropper('dropper', a, sabotage)],
    );
  const canaries: [string, RegExp, Model][] = [
    ['no recheck behind the pin', /wrong bytes/, reuse('pinned', a, { noRecheck: true })],
    ['no look at Frozen', /is frozen while reader has it pinned/, reuse('pinned', a, { noFrozenCheck: true })],
    ['a pinned page is frozen', /while reader has it pinned|pins of frame/, reuse('pinned', a, { freezePinned: true })],
    ['the count of insertions raised after the identity', /wrong bytes/, reuse('optimistic', b, { countLate: true })],
    ['no second look', /wrong bytes/, reuse('optimistic', a, { noSecondLook: true })],
    ['no second look behind a guess', /wrong bytes/, reuse('guessing 1', a, { noSecondLook: true })],
    [
      'a fill that a drop does not exclude',
      /wrong bytes/,
      modelOf(
        '',
        [null, b],
        [optimisticReader('reader', a), dropper('dropper', a), filler('filler', a, { fillUnlocked: true })],
      ),
    ],
    ['freed without a compare-exchange', /freed twice|pinned|pins of frame/, lastUnpin({ freeWithoutExchange: true })],
    ['up to date before the bytes, pinned', /wrong bytes/, reuse('pinned', b, { uptodateFirst: true })],
    ['up to date before the bytes, optimistic', /wrong bytes/, reuse('optimistic', b, { uptodateFirst: true })],
  ];
  test.each(canaries)('%s', (name, message, model) => {
    const { states, failure } = search(model);
    expect(failure?.message).toMatch(message);
    const { trace } = failure!;
    console.log(`${name}: ${failure!.message}, after ${trace.length} steps, ${states} states`);
    if (ALL) console.log(trace.join('\n'));
    expect(trace.length).toBeGreaterThan(5);
  });
});

describe('the machine', () => {
  const step = (label: string, locked: boolean, run: (cpu: Cpu) => string): Step => ({
    label,
    source: '',
    code: '',
    locked,
    run,
  });
  const setThenSee = (name: string, mine: number, other: number, locked: boolean): Program =>
    programOf(name, [
      step('set', locked, (cpu) => {
        if (locked) cpu.swap(mine, 1);
        else cpu.store(mine, 1);
        return 'see';
      }),
      step('see', false, (cpu) => {
        cpu.set(ANSWER, cpu.load(other));
        return END;
      }),
    ]);
  const outcomesOf = (programs: Program[]) =>
    search({
      name: '',
      shared: new Uint16Array(2),
      programs,
      check: () => {},
      outcome: (state, cpu) => programs.map((_, i) => cpu.registerOf(state, i, ANSWER)).join(),
    }).outcomes;

  test('lets a load pass an earlier store, unless that is locked', () => {
    expect(outcomesOf([setThenSee('x', 0, 1, false), setThenSee('y', 1, 0, false)])).toContain('0,0');
    expect(outcomesOf([setThenSee('x', 0, 1, true), setThenSee('y', 1, 0, true)])).not.toContain('0,0');
  });

  test('keeps the order of stores, and of loads', () => {
    const writer = programOf('writer', [
      step('data', false, (cpu) => {
        cpu.store(0, 1);
        return 'flag';
      }),
      step('flag', false, (cpu) => {
        cpu.store(1, 1);
        return END;
      }),
    ]);
    const reader = programOf('reader', [
      step('flag', false, (cpu) => {
        cpu.set(ANSWER, 2 * cpu.load(1));
        return 'data';
      }),
      step('data', false, (cpu) => {
        cpu.set(ANSWER, cpu.get(ANSWER) + cpu.load(0));
        return END;
      }),
    ]);
    expect(outcomesOf([writer, reader])).toEqual(new Set(['0,0', '0,1', '0,3']));
  });
});

describe('the steps are those of the source', () => {
  const programs = [
    pinnedReader('pinned reader', a),
    optimisticReader('optimistic reader', a),
    evictor('evictor', 1, [a], a),
    filler('filler', a),
    dropper('dropper', a),
    rangeEvictor('range evictor', 1, a),
  ];
  test.each(programs)('$name', ({ steps }) => {
    let last = { source: '', from: 0 };
    for (const { label, source, code } of steps) {
      if (source === '') continue;
      const body = bodyOf(source);
      const from = source === last.source ? last.from : 0;
      const found = body.indexOf(code, from);
      expect(found, `${label}: ${source} has no \`${code}\` behind the step before`).toBeGreaterThanOrEqual(0);
      last = { source, from: found };
    }
  });
});

/** A function's text: from its head to the end of its block, which the formatter puts at the head's indentation. */
function bodyOf(source: string): string {
  const [file, name] = source.split(': ');
  const text = readFileSync(ROOT + file, 'utf8');
  const head = new RegExp(`^( *)(?:export |private )*(?:function\\*? |\\*)?${name}\\(`, 'm').exec(text);
  if (head === null) throw new Error(`${file} has no ${name}`);
  return text.slice(head.index, text.indexOf(`\n${head[1]}}`, head.index));
}
