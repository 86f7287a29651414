/**
 * Who changes what hits read, as programs: the evictor that gives a frame to another page, the fill that takes a free frame,
 * and the drop.
 *
 * Kept step by step as readers.ts says. Under the bucket's lock chains stand still, so a walk along one is one step there,
 * together with the one access that others can see.
 */
import assert from 'node:assert/strict';
import {
  afterTransition,
  assertTransition,
  BUSY,
  FREQUENCY_ONE,
  PageFlag,
  PIN_ONE,
  Transition,
} from '#dist/src/pagecache/page.js';
import { INSERTION_ONE, OWNER_MASK } from '#dist/src/sync/layout.js';
import {
  BUCKET_LOCKS,
  BUCKETS,
  contentOf,
  EXCLUSIVE,
  Field,
  FRAME,
  FRAMES,
  HELD,
  INVALIDATE,
  type Key,
  OLD,
  STEPS,
  TAKEN,
  VERSIONS,
  wordOf,
} from './cache.js';
import { type Cpu, END, type Program, programOf, type Step, WAIT } from './machine.js';
import { addState, at, LOOKUP, locked, plain, type Sabotage, unpinSteps } from './readers.js';

const RECLAIM = 'src/pagecache/reclaim.ts';
const PAGE_LOCK = 'src/pagecache/page-lock.ts';
const FILL = 'src/pagecache/fill.ts';
const DROP = 'src/pagecache/drop.ts';
/** Whom Owner names: any number that is not 0. */
const HOLDER = 1;

/** Reclaim.step on one frame, Lookup.remove, then `fillSteps`: the frame becomes `key`'s. */
export function evictor(name: string, frame: number, keys: Key[], key: Key, sabotage: Sabotage = {}): Program {
  const step = `${RECLAIM}: step`;
  const remove = `${LOOKUP}: remove`;
  const former = (cpu: Cpu) =>
    keys.find((k) => k.tag === cpu.load(at(cpu, Field.Mapping)) && k.index === cpu.load(at(cpu, Field.Index)))!;
  return programOf(name, [
    lockInvalidateShared('look', sabotage),
    plain('look', step, 'const state = Atomics.load(words, page + Page.State)', (cpu) => {
      cpu.set(FRAME, frame);
      const state = cpu.set(OLD, cpu.load(at(cpu, Field.State)));
      const isPinned = state >= PIN_ONE && sabotage.freezePinned !== true;
      return (state & BUSY) !== 0 || isPinned ? 'unlock invalidate' : 'freeze';
    }),
    locked(
      'freeze',
      step,
      'Atomics.compareExchange(words, page + Page.State, state, PageFlag.Frozen) !== state',
      (cpu) => {
        const state = cpu.get(OLD);
        // Second chance: the count goes down, and the search comes back later.
        if ((state & PageFlag.Frequency) !== 0) {
          cpu.compareSwap(at(cpu, Field.State), state, state - FREQUENCY_ONE);
          return 'look';
        }
        if (!cpu.compareSwap(at(cpu, Field.State), state, PageFlag.Frozen)) return 'unlock invalidate';
        if (sabotage.freezePinned !== true) assertTransition(Transition.Evict, state, frame);
        cpu.set(TAKEN, frame);
        return 'lock bucket of old';
      },
    ),
    lockBucket('lock bucket of old', remove, (cpu) => former(cpu).bucket, 'unlink'),
    plain('unlink', remove, 'this.unlink(hash, frame)', (cpu) => {
      unlink(cpu, former(cpu).bucket);
      cpu.set(STEPS, former(cpu).bucket);
      return 'unset mapping';
    }),
    plain('unset mapping', remove, 'Page.Mapping] = 0', (cpu) => {
      cpu.store(at(cpu, Field.Mapping), 0);
      return 'unlock bucket of old';
    }),
    unlockBucket('unlock bucket of old', remove, (cpu) => cpu.get(STEPS), 'lock bucket'),
    ...fillSteps(key, sabotage),
  ]);
}

/** A fill that finds a frame on the free list or the stack of detached frames; nothing happens when there is none. */
export function filler(name: string, key: Key, sabotage: Sabotage = {}): Program {
  return programOf(name, [
    lockInvalidateShared('pop', sabotage),
    locked('pop', `${RECLAIM}: takeFree`, 'let frame = this.queues.popFree()', (cpu) => {
      for (let frame = 1; frame <= FRAMES; frame++) {
        if (cpu.load(wordOf(frame, Field.Free)) === 0) continue;
        cpu.swap(wordOf(frame, Field.Free), 0);
        assert.notEqual(cpu.load(wordOf(frame, Field.State)) & PageFlag.Frozen, 0, `free frame ${frame} is not frozen`);
        cpu.set(FRAME, frame);
        cpu.set(TAKEN, frame);
        return 'lock bucket';
      }
      return 'unlock invalidate';
    }),
    ...fillSteps(key, sabotage),
  ]);
}

/** Lookup.insert, the bytes, PageLock.unlockFilled; or Reclaim.giveBack when the page is there by now. */
function fillSteps(key: Key, sabotage: Sabotage): Step[] {
  const insert = `${LOOKUP}: insert`;
  const filled = `${PAGE_LOCK}: unlockFilled`;
  const isLate = sabotage.countLate === true;
  return [
    lockBucket('lock bucket', insert, () => key.bucket, 'walk'),
    plain('walk', insert, 'const present = this.walk(hash, mapping, index)', (cpu) => {
      // The page is there: what a fill does with it then is a lookup's business, not modelled twice.
      if (findInChain(cpu, key) !== 0) return 'unlock bucket of present';
      return isLate ? 'set mapping' : 'raise count';
    }),
    locked('raise count', insert, 'Atomics.store(words, at + Page.Owner, insertion | (task.thread + 1))', (cpu) => {
      const owner = cpu.load(at(cpu, Field.Owner)) & ~OWNER_MASK;
      cpu.swap(at(cpu, Field.Owner), (owner + INSERTION_ONE) | HOLDER);
      return isLate ? 'publish' : 'set mapping';
    }),
    plain('set mapping', insert, 'words[at + Page.Mapping] = mapping + 1', (cpu) => {
      cpu.store(at(cpu, Field.Mapping), key.tag);
      return 'set index';
    }),
    plain('set index', insert, 'words[at + Page.Index] = index', (cpu) => {
      cpu.store(at(cpu, Field.Index), key.index);
      return isLate ? 'raise count' : 'publish';
    }),
    locked(
      'publish',
      insert,
      'Atomics.add(words, at + Page.State, PIN_ONE + PageFlag.Locked + hints - PageFlag.Frozen)',
      (cpu) => {
        const old = addState(cpu, PIN_ONE + PageFlag.Locked - PageFlag.Frozen);
        assertTransition(Transition.Insert, old, cpu.get(FRAME));
        cpu.set(TAKEN, 0);
        cpu.set(HELD, cpu.get(FRAME));
        return 'set link';
      },
    ),
    plain('set link', insert, 'words[at + Page.HashNext] = words[bucket]', (cpu) => {
      cpu.store(at(cpu, Field.HashNext), cpu.load(BUCKETS + key.bucket));
      return 'set head';
    }),
    locked('set head', insert, 'Atomics.store(words, bucket, frame)', (cpu) => {
      cpu.swap(BUCKETS + key.bucket, cpu.get(FRAME));
      return 'unlock bucket';
    }),
    unlockBucket(
      'unlock bucket',
      insert,
      () => key.bucket,
      sabotage.uptodateFirst === true ? 'uptodate' : 'fill first half',
    ),
    plain(
      'fill first half',
      `${FILL}: fillRun`,
      'yield* load(cache, task, mapping, indices[done], run, frames, done, end)',
      (cpu) => {
        cpu.store(at(cpu, Field.Half0), contentOf(key, cpu.state[VERSIONS + key.id]));
        return 'fill second half';
      },
    ),
    plain(
      'fill second half',
      `${FILL}: fillRun`,
      'yield* load(cache, task, mapping, indices[done], run, frames, done, end)',
      (cpu) => {
        cpu.store(at(cpu, Field.Half1), contentOf(key, cpu.state[VERSIONS + key.id]));
        return sabotage.uptodateFirst === true ? 'unlock invalidate' : 'clear owner';
      },
    ),
    plain('clear owner', filled, 'words[at + Page.Owner] &= ~OWNER_MASK', (cpu) => {
      cpu.store(at(cpu, Field.Owner), cpu.load(at(cpu, Field.Owner)) & ~OWNER_MASK);
      return 'uptodate';
    }),
    locked('uptodate', filled, 'PIN_ONE + PageFlag.Locked - PageFlag.Uptodate', (cpu) => {
      assertTransition(Transition.FillDone, cpu.load(at(cpu, Field.State)), cpu.get(FRAME));
      cpu.set(HELD, 0);
      addState(cpu, PageFlag.Uptodate - PIN_ONE - PageFlag.Locked);
      return sabotage.uptodateFirst === true ? 'fill first half' : 'unlock invalidate';
    }),
    unlockBucket('unlock bucket of present', '', () => key.bucket, 'give back'),
    locked('give back', `${RECLAIM}: giveBack`, 'this.queues.pushFree(frames[i] as Frame)', (cpu) => {
      assert.equal(cpu.swap(at(cpu, Field.Free), 1), 0, `frame ${cpu.get(FRAME)} is freed twice`);
      cpu.set(TAKEN, 0);
      return 'unlock invalidate';
    }),
    locked('unlock invalidate', '', '', (cpu) => {
      if (sabotage.fillUnlocked !== true) cpu.swap(INVALIDATE, cpu.load(INVALIDATE) - 1);
      return END;
    }),
  ];
}

/** drop of one page, under the invalidation lock: Lookup.lookup, PageLock.lock, Lookup.detach, unlock, unpin. */
export function dropper(name: string, key: Key, sabotage: Sabotage = {}): Program {
  const detach = `${LOOKUP}: detach`;
  const lookup = `${LOOKUP}: lookup`;
  return programOf(name, [
    locked('lock invalidate', '', '', (cpu) =>
      cpu.compareSwap(INVALIDATE, 0, EXCLUSIVE) ? 'lock bucket to look' : WAIT,
    ),
    lockBucket('lock bucket to look', lookup, () => key.bucket, 'walk and pin'),
    locked('walk and pin', lookup, 'const frame = this.walk(hash, mapping, index)', (cpu) => {
      // What is frozen is another's already; the walk's pin on it and the end of that pin leave nothing behind.
      const frame = cpu.set(FRAME, findInChain(cpu, key));
      if (frame === 0) return 'unlock bucket of none';
      addState(cpu, PIN_ONE);
      cpu.set(HELD, frame);
      return 'unlock bucket of found';
    }),
    unlockBucket('unlock bucket of found', lookup, () => key.bucket, 'lock page'),
    unlockBucket('unlock bucket of none', '', () => key.bucket, 'end version'),
    locked(
      'lock page',
      `${PAGE_LOCK}: take`,
      'const old = Atomics.or(words, at + Page.State, PageFlag.Locked)',
      (cpu) => {
        const old = cpu.load(at(cpu, Field.State));
        if ((old & PageFlag.Locked) !== 0) return WAIT;
        assertTransition(Transition.Lock, old, cpu.get(FRAME));
        cpu.swap(at(cpu, Field.State), old | PageFlag.Locked);
        return 'set owner';
      },
    ),
    plain(
      'set owner',
      `${PAGE_LOCK}: take`,
      'words[at + Page.Owner] = (words[at + Page.Owner] & ~OWNER_MASK)',
      (cpu) => {
        cpu.store(at(cpu, Field.Owner), (cpu.load(at(cpu, Field.Owner)) & ~OWNER_MASK) | HOLDER);
        return 'lock bucket to detach';
      },
    ),
    lockBucket('lock bucket to detach', detach, () => key.bucket, 'still attached'),
    plain('still attached', detach, 'words[at + Page.Mapping] === mapping + 1', (cpu) =>
      cpu.load(at(cpu, Field.Mapping)) === key.tag ? 'unset mapping' : 'unlock bucket',
    ),
    locked('unset mapping', detach, 'Atomics.store(words, at + Page.Mapping, 0)', (cpu) => {
      cpu.swap(at(cpu, Field.Mapping), 0);
      return 'load state';
    }),
    plain('load state', detach, 'old = Atomics.load(words, at + Page.State)', (cpu) => {
      cpu.set(OLD, cpu.load(at(cpu, Field.State)));
      return 'set detached';
    }),
    locked('set detached', detach, 'Atomics.compareExchange(words, at + Page.State, old, next) === old', (cpu) => {
      const old = cpu.get(OLD);
      if (!cpu.compareSwap(at(cpu, Field.State), old, afterTransition(Transition.Detach, old))) return 'load state';
      assertTransition(Transition.Detach, old, cpu.get(FRAME));
      return 'unlink';
    }),
    plain('unlink', detach, 'this.unlink(hash, frame)', (cpu) => {
      unlink(cpu, key.bucket);
      return 'unlock bucket';
    }),
    unlockBucket('unlock bucket', detach, () => key.bucket, 'clear owner'),
    plain('clear owner', `${PAGE_LOCK}: unlock`, 'words[at + Page.Owner] &= ~OWNER_MASK', (cpu) => {
      cpu.store(at(cpu, Field.Owner), cpu.load(at(cpu, Field.Owner)) & ~OWNER_MASK);
      return 'unlock page';
    }),
    locked('unlock page', `${PAGE_LOCK}: unlock`, 'Atomics.and(words, at + Page.State, ~(PageFlag.Locked', (cpu) => {
      const old = cpu.load(at(cpu, Field.State));
      assertTransition(Transition.Unlock, old, cpu.get(FRAME));
      cpu.swap(at(cpu, Field.State), old & ~PageFlag.Locked);
      return 'unpin';
    }),
    ...unpinSteps(sabotage, () => 'end version'),
    locked('end version', '', '', (cpu) => {
      cpu.swap(VERSIONS + key.id, cpu.load(VERSIONS + key.id) + 1);
      cpu.swap(INVALIDATE, 0);
      return END;
    }),
  ]);
}

/** evictRange on one page: Lookup.find has pinned it, Reclaim.evictPinned freezes it away under its own pin. */
export function rangeEvictor(name: string, frame: number, key: Key, sabotage: Sabotage = {}): Program {
  const source = `${RECLAIM}: evictPinned`;
  return programOf(name, [
    lockBucket('lock bucket to look', '', () => key.bucket, 'pin'),
    locked('pin', `${DROP}: evictRange`, 'const frame = cache.lookup.find(mapping, indices[i])', (cpu) => {
      cpu.set(FRAME, findInChain(cpu, key));
      if (cpu.get(FRAME) !== frame) return 'unlock bucket of none';
      addState(cpu, PIN_ONE);
      cpu.set(HELD, frame);
      return 'unlock bucket of found';
    }),
    unlockBucket('unlock bucket of none', '', () => key.bucket, END),
    unlockBucket('unlock bucket of found', '', () => key.bucket, 'look'),
    plain('look', source, 'const state = Atomics.load(words, page + Page.State)', (cpu) => {
      const state = cpu.set(OLD, cpu.load(at(cpu, Field.State)));
      return (state & BUSY) === 0 && state >>> 12 === 1 ? 'freeze' : 'unpin';
    }),
    locked(
      'freeze',
      source,
      'Atomics.compareExchange(words, page + Page.State, state, PageFlag.Frozen) === state',
      (cpu) => {
        const state = cpu.get(OLD);
        if (!cpu.compareSwap(at(cpu, Field.State), state, PageFlag.Frozen)) return 'unpin';
        assertTransition(Transition.Evict, state - PIN_ONE, frame);
        cpu.set(HELD, 0);
        cpu.set(TAKEN, frame);
        return 'lock bucket';
      },
    ),
    lockBucket('lock bucket', `${LOOKUP}: remove`, () => key.bucket, 'unlink'),
    plain('unlink', `${LOOKUP}: remove`, 'this.unlink(hash, frame)', (cpu) => {
      unlink(cpu, key.bucket);
      return 'unset mapping';
    }),
    plain('unset mapping', `${LOOKUP}: remove`, 'Page.Mapping] = 0', (cpu) => {
      cpu.store(at(cpu, Field.Mapping), 0);
      return 'unlock bucket';
    }),
    unlockBucket('unlock bucket', `${LOOKUP}: remove`, () => key.bucket, 'give back'),
    locked('give back', `${RECLAIM}: giveBack`, 'this.queues.pushFree(frames[i] as Frame)', (cpu) => {
      assert.equal(cpu.swap(at(cpu, Field.Free), 1), 0, `frame ${frame} is freed twice`);
      return END;
    }),
    ...unpinSteps(sabotage, () => END),
  ]);
}

function lockInvalidateShared(next: string, sabotage: Sabotage): Step {
  return locked('lock invalidate', '', '', (cpu) => {
    if (sabotage.fillUnlocked === true) return next;
    const word = cpu.load(INVALIDATE);
    if (word >= EXCLUSIVE) return WAIT;
    cpu.swap(INVALIDATE, word + 1);
    return next;
  });
}

function lockBucket(label: string, source: string, bucketOf: (cpu: Cpu) => number, next: string): Step {
  return locked(label, source, source === '' ? '' : 'lockLeaf(task, lock)', (cpu) =>
    cpu.compareSwap(BUCKET_LOCKS + bucketOf(cpu), 0, 1) ? next : WAIT,
  );
}

function unlockBucket(label: string, source: string, bucketOf: (cpu: Cpu) => number, next: string): Step {
  return locked(label, source, source === '' ? '' : 'unlockLeaf(task, lock)', (cpu) => {
    cpu.swap(BUCKET_LOCKS + bucketOf(cpu), 0);
    return next;
  });
}

/** Lookup.walk, under the bucket's lock: the key's frame that is not frozen, or 0. */
function findInChain(cpu: Cpu, key: Key): number {
  let frame = cpu.load(BUCKETS + key.bucket);
  for (let steps = 0; frame !== 0; steps++) {
    assert(steps <= FRAMES, `the chain of bucket ${key.bucket} has a knot`);
    const isIt =
      cpu.load(wordOf(frame, Field.Index)) === key.index && cpu.load(wordOf(frame, Field.Mapping)) === key.tag;
    if (isIt && (cpu.load(wordOf(frame, Field.State)) & PageFlag.Frozen) === 0) return frame;
    frame = cpu.load(wordOf(frame, Field.HashNext));
  }
  return 0;
}

/** Lookup.unlink, under the bucket's lock: one store. */
function unlink(cpu: Cpu, bucket: number): void {
  const frame = cpu.get(FRAME);
  let link = BUCKETS + bucket;
  for (let steps = 0; cpu.load(link) !== frame; steps++) {
    assert(steps <= FRAMES && cpu.load(link) !== 0, `frame ${frame} is not in the chain of bucket ${bucket}`);
    link = wordOf(cpu.load(link), Field.HashNext);
  }
  cpu.store(link, cpu.load(wordOf(frame, Field.HashNext)));
}
