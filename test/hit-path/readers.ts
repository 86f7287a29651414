/**
 * The two hit paths as programs: with a pin, and by looking twice.
 *
 * Each step names the function that it stands for and a piece of its text. Keep them so: when the source changes, change
 * the steps in the same order; hit-path.test.ts fails when a piece is no longer there, or no longer in this order. What a
 * sabotage leaves out is an option here, so that a canary differs from the real thing in nothing else.
 */
import assert from 'node:assert/strict';
import { FREQUENCY_ONE, PageFlag, PIN_ONE } from '#dist/src/pagecache/page.js';
import { OWNER_MASK } from '#dist/src/sync/layout.js';
import {
  BUCKETS,
  Field,
  FRAME,
  FRAMES,
  FROM,
  HALF,
  HELD,
  HIT,
  judge,
  type Key,
  LEFT,
  MISS,
  OLD,
  OWNER,
  STEPS,
  VERSIONS,
  wordOf,
} from './cache.js';
import { ANSWER, type Cpu, END, type Program, programOf, type Step } from './machine.js';

export const LOOKUP = 'src/pagecache/lookup.ts';
const COPIER = 'src/file/page-copier.ts';
/** As STEPS_MAX of the source: enough for both frames and once around. */
const STEPS_MAX = FRAMES + 1;
const HIT_MASK = PageFlag.Frozen | PageFlag.Uptodate | PageFlag.Readahead;

export interface Sabotage {
  noRecheck?: boolean;
  noFrozenCheck?: boolean;
  noSecondLook?: boolean;
  freeWithoutExchange?: boolean;
  uptodateFirst?: boolean;
  countLate?: boolean;
  freezePinned?: boolean;
  fillUnlocked?: boolean;
}

export function plain(label: string, source: string, code: string, run: (cpu: Cpu) => string): Step {
  return { label, source, code, locked: false, run };
}

export function locked(label: string, source: string, code: string, run: (cpu: Cpu) => string): Step {
  return { label, source, code, locked: true, run };
}

/** A word of the frame that the program is at. */
export function at(cpu: Cpu, field: Field): number {
  return wordOf(cpu.get(FRAME), field);
}

function answer(cpu: Cpu, value: number): string {
  cpu.set(ANSWER, value);
  return END;
}

export function addState(cpu: Cpu, change: number): number {
  const old = cpu.load(at(cpu, Field.State));
  assert(old + change >= 0, `the pins of frame ${cpu.get(FRAME)} become negative`);
  assert(old + change < 0x10000, `too many pins on frame ${cpu.get(FRAME)}`);
  return cpu.swap(at(cpu, Field.State), old + change);
}

/** Lookup.unpin, and freeDetached where it was the last one of a detached page. Continues at `next`. */
export function unpinSteps(sabotage: Sabotage, next: (cpu: Cpu) => string): Step[] {
  const source = `${LOOKUP}: unpin`;
  const free = `${LOOKUP}: freeDetached`;
  return [
    locked(
      'unpin',
      source,
      'Atomics.sub(this.words, this.records + frame * Page.Words + Page.State, PIN_ONE)',
      (cpu) => {
        cpu.set(HELD, 0);
        const left = addState(cpu, -PIN_ONE) - PIN_ONE;
        cpu.set(LEFT, left);
        return left < PIN_ONE && (left & PageFlag.Detached) !== 0 ? 'free' : next(cpu);
      },
    ),
    locked('free', free, 'Atomics.compareExchange(words, at + Page.State, left, PageFlag.Frozen) !== left', (cpu) => {
      if (sabotage.freeWithoutExchange === true) cpu.swap(at(cpu, Field.State), PageFlag.Frozen);
      else if (!cpu.compareSwap(at(cpu, Field.State), cpu.get(LEFT), PageFlag.Frozen)) return next(cpu);
      return 'push';
    }),
    locked('push', free, 'Atomics.compareExchange(words, Header.DetachedHead, head, frame) === head', (cpu) => {
      assert.equal(cpu.swap(at(cpu, Field.Free), 1), 0, `frame ${cpu.get(FRAME)} is freed twice`);
      return next(cpu);
    }),
  ];
}

/** PageCopier.copyPinned with Lookup.findHit; `find` has the same steps. */
export function pinnedReader(name: string, key: Key, sabotage: Sabotage = {}): Program {
  const find = `${LOOKUP}: findHit`;
  const copy = `${COPIER}: copyPinned`;
  return programOf(name, [
    plain('head', find, 'let frame = words[this.buckets + (hashOf(mapping, index) & this.bucketMask)]', (cpu) => {
      cpu.set(FROM, cpu.state[VERSIONS + key.id]);
      return cpu.set(FRAME, cpu.load(BUCKETS + key.bucket)) === 0 ? answer(cpu, MISS) : 'index';
    }),
    plain('index', find, 'words[at + Page.Index] === key &&', (cpu) =>
      cpu.load(at(cpu, Field.Index)) === key.index ? 'mapping' : 'link',
    ),
    plain('mapping', find, 'words[at + Page.Mapping] === tag) {', (cpu) =>
      cpu.load(at(cpu, Field.Mapping)) === key.tag ? 'pin' : 'link',
    ),
    locked('pin', find, 'const old = Atomics.add(words, at + Page.State, PIN_ONE)', (cpu) => {
      const old = addState(cpu, PIN_ONE);
      if (sabotage.noFrozenCheck !== true && (old & PageFlag.Frozen) !== 0) return 'unpin';
      if (sabotage.noRecheck !== true) return 'mapping again';
      cpu.set(HELD, cpu.get(FRAME));
      return 'state';
    }),
    plain('mapping again', find, 'words[at + Page.Mapping] === tag && words', (cpu) =>
      cpu.load(at(cpu, Field.Mapping)) === key.tag ? 'index again' : 'unpin',
    ),
    plain('index again', find, 'words[at + Page.Index] === key) {', (cpu) => {
      if (cpu.load(at(cpu, Field.Index)) !== key.index) return 'unpin';
      cpu.set(HELD, cpu.get(FRAME));
      return 'state';
    }),
    plain('link', find, 'frame = words[at + Page.HashNext]', (cpu) => {
      const frame = cpu.load(at(cpu, Field.HashNext));
      const steps = cpu.set(STEPS, cpu.get(STEPS) + 1);
      return cpu.set(FRAME, frame) === 0 || steps === STEPS_MAX ? answer(cpu, MISS) : 'index';
    }),
    plain('state', copy, 'const state = Atomics.load(', (cpu) => {
      const state = cpu.set(OLD, cpu.load(at(cpu, Field.State)));
      return (state & HIT_MASK) === PageFlag.Uptodate ? 'first half' : 'unpin';
    }),
    plain('first half', copy, 'this.copyPage(frame, start, target, targetOffset, n)', (cpu) => {
      cpu.set(HALF, cpu.load(at(cpu, Field.Half0)));
      return 'second half';
    }),
    plain('second half', copy, 'this.copyPage(frame, start, target, targetOffset, n)', (cpu) => {
      judge(cpu, key, cpu.get(HALF), cpu.load(at(cpu, Field.Half1)));
      cpu.set(ANSWER, HIT);
      return 'count use';
    }),
    locked('count use', copy, 'this.countUse(task, frame, state)', (cpu) => {
      touch(cpu);
      return 'unpin';
    }),
    ...unpinSteps(sabotage, (cpu) => answer(cpu, cpu.get(ANSWER) === HIT ? HIT : MISS)),
  ]);
}

/** PageCopier.copy where the processor keeps loads in order. `guess` is the frame that FrameGuess names, 0 for none. */
export function optimisticReader(name: string, key: Key, sabotage: Sabotage = {}, guess = 0): Program {
  const copy = `${COPIER}: copy`;
  const chain = [
    plain('head', copy, 'frame = words[this.buckets + (hashOf(slot, index) & this.bucketMask)]', (cpu) => {
      if (guess === 0) cpu.set(FROM, cpu.state[VERSIONS + key.id]);
      return cpu.set(FRAME, cpu.load(BUCKETS + key.bucket)) === 0 ? answer(cpu, MISS) : 'owner';
    }),
  ];
  const guessing = [
    plain('guessed index', copy, 'words[page + Page.Index] !== key ||', (cpu) => {
      cpu.set(FROM, cpu.state[VERSIONS + key.id]);
      cpu.set(FRAME, guess);
      return cpu.load(at(cpu, Field.Index)) === key.index ? 'guessed mapping' : 'head';
    }),
    plain('guessed mapping', copy, 'words[page + Page.Mapping] !== tag', (cpu) =>
      cpu.load(at(cpu, Field.Mapping)) === key.tag ? 'owner' : 'head',
    ),
  ];
  return programOf(name, [
    ...(guess === 0 ? chain : [...guessing, ...chain]),
    plain('owner', copy, 'owner = words[page + Page.Owner]', (cpu) => {
      cpu.set(OWNER, cpu.load(at(cpu, Field.Owner)) & ~OWNER_MASK);
      return 'state';
    }),
    plain('state', copy, 'state = words[page + Page.State]', (cpu) => {
      cpu.set(OLD, cpu.load(at(cpu, Field.State)));
      return 'index';
    }),
    plain('index', copy, 'words[page + Page.Index] === key &&', (cpu) =>
      cpu.load(at(cpu, Field.Index)) === key.index ? 'mapping' : 'link',
    ),
    plain('mapping', copy, 'words[page + Page.Mapping] === tag) break', (cpu) => {
      if (cpu.load(at(cpu, Field.Mapping)) !== key.tag) return 'link';
      return (cpu.get(OLD) & HIT_MASK) === PageFlag.Uptodate ? 'first half' : answer(cpu, MISS);
    }),
    plain('link', copy, 'frame = words[page + Page.HashNext]', (cpu) => {
      const frame = cpu.load(at(cpu, Field.HashNext));
      const steps = cpu.set(STEPS, cpu.get(STEPS) + 1);
      return cpu.set(FRAME, frame) === 0 || steps === STEPS_MAX ? answer(cpu, MISS) : 'owner';
    }),
    plain('first half', copy, 'this.copyPage(frame as Frame, start, target, targetOffset, n)', (cpu) => {
      cpu.set(HALF, cpu.load(at(cpu, Field.Half0)));
      return 'second half';
    }),
    plain('second half', copy, 'this.copyPage(frame as Frame, start, target, targetOffset, n)', (cpu) => {
      cpu.set(LEFT, cpu.load(at(cpu, Field.Half1)));
      return 'owner again';
    }),
    plain('owner again', copy, 'this.unsigned[page + Page.Owner] ^ owner', (cpu) => {
      const owner = cpu.load(at(cpu, Field.Owner)) & ~OWNER_MASK;
      if (sabotage.noSecondLook !== true && owner !== cpu.get(OWNER)) return answer(cpu, MISS);
      judge(cpu, key, cpu.get(HALF), cpu.get(LEFT));
      cpu.set(ANSWER, HIT);
      return 'count use';
    }),
    locked('count use', copy, 'this.countUse(task, frame as Frame, state)', (cpu) => {
      touch(cpu);
      return END;
    }),
  ]);
}

/** Lookup.touch: the word of which the state was read may by now be another page's, whose count of uses is only a hint. */
function touch(cpu: Cpu): void {
  const old = cpu.get(OLD);
  if ((old & (PageFlag.Frequency | PageFlag.Prefetched)) === PageFlag.Frequency) return;
  cpu.compareSwap(at(cpu, Field.State), old, old + FREQUENCY_ONE);
}
