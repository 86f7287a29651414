/**
 * The shared words of a cache of two frames, two buckets and two or three keys, and what must be true of them at any moment.
 *
 * State and Owner are the engine's own words, with its flags and its table of transitions. A frame's bytes are two halves,
 * each a tag: key and version of the content. Left out is what a hit never reads: lists, queues, blocks, device. The
 * reclaim lock's critical sections are one step each, since only their one word of State matters to others.
 *
 * The scheme's invalidation lock, which excludes fills from drops, is one word. A drop ends the version of its key.
 */
import assert from 'node:assert/strict';
import { PageFlag, PIN_ONE } from '#dist/src/pagecache/page.js';
import { INSERTION_ONE } from '#dist/src/sync/layout.js';
import { ANSWER, type Cpu, type Program } from './machine.js';
import type { Model } from './search.js';

export interface Key {
  id: number;
  name: string;
  tag: number;
  index: number;
  bucket: number;
}

/** Words of a frame. */
export const enum Field {
  State,
  Mapping,
  Index,
  Owner,
  HashNext,
  Half0,
  Half1,
  /** Ghost: 1 while the frame is on the stack of detached frames or the free list. */
  Free,
  Words,
}

export const FRAMES = 2;
export const BUCKETS = 0;
export const BUCKET_LOCKS = 2;
export const INVALIDATE = 4;
/** Ghosts: which version of each key's content is the present one. */
export const VERSIONS = 5;
const FIRST = 8;
const SHARED = FIRST + FRAMES * Field.Words;

export const EXCLUSIVE = 0x100;

/** Registers. HELD is a ghost: the frame that the program may rely on, from an identified pin to the unpin. */
export const HELD = 1;
export const FRAME = 2;
export const STEPS = 3;
export const OLD = 4;
export const OWNER = 5;
export const FROM = 6;
export const HALF = 7;
export const LEFT = 8;
/** Ghost, 0 for none: the frame that the program has taken out of use, and will put back or give to a page. */
export const TAKEN = 9;

export const MISS = 1;
export const HIT = 2;

export function wordOf(frame: number, field: Field): number {
  return FIRST + (frame - 1) * Field.Words + field;
}

export function contentOf(key: Key, version: number): number {
  return (key.id + 1) * 16 + version;
}

/** The bytes that a program answers with are the key's, whole, of a version that was there during the call. */
export function judge(cpu: Cpu, key: Key, half0: number, half1: number): void {
  const from = cpu.get(FROM);
  const to = cpu.state[VERSIONS + key.id];
  const describe = (tag: number) => (tag === 0 ? 'never filled' : `key ${(tag >> 4) - 1} version ${tag & 15}`);
  assert(
    half0 === half1 && half0 >= contentOf(key, from) && half0 <= contentOf(key, to),
    `wrong bytes: a hit for key ${key.id} answers ${describe(half0)} and ${describe(half1)}, from versions ${from} to ${to}`,
  );
}

/** All that is the same in every model: keys in frames 1, 2 at the start (or a free frame), the invariants, the outcome. */
export function modelOf(name: string, cached: (Key | null)[], programs: Program[]): Model {
  const shared = new Uint16Array(SHARED);
  cached.forEach((key, i) => {
    const frame = i + 1;
    shared[wordOf(frame, Field.Owner)] = INSERTION_ONE;
    if (key === null) {
      shared[wordOf(frame, Field.State)] = PageFlag.Frozen;
      shared[wordOf(frame, Field.Free)] = 1;
      return;
    }
    shared[wordOf(frame, Field.State)] = PageFlag.Uptodate;
    shared[wordOf(frame, Field.Mapping)] = key.tag;
    shared[wordOf(frame, Field.Index)] = key.index;
    shared[wordOf(frame, Field.HashNext)] = shared[BUCKETS + key.bucket];
    shared[BUCKETS + key.bucket] = frame;
    shared.fill(contentOf(key, 0), wordOf(frame, Field.Half0), wordOf(frame, Field.Half1) + 1);
  });
  return {
    name,
    shared,
    programs,
    check(state, cpu) {
      for (let i = 0; i < programs.length; i++) {
        const taken = cpu.registerOf(state, i, TAKEN);
        if (taken !== 0) {
          const isTaken = (state[wordOf(taken, Field.State)] & PageFlag.Frozen) !== 0;
          assert(
            isTaken && state[wordOf(taken, Field.Free)] === 0,
            `frame ${taken} is not ${programs[i].name}'s alone`,
          );
        }
        const held = cpu.registerOf(state, i, HELD);
        if (held === 0) continue;
        const word = state[wordOf(held, Field.State)];
        assert((word & PageFlag.Frozen) === 0, `frame ${held} is frozen while ${programs[i].name} has it pinned`);
        assert(word >= PIN_ONE, `frame ${held} has no pin while ${programs[i].name} has it pinned`);
        assert(state[wordOf(held, Field.Free)] === 0, `frame ${held} is free while ${programs[i].name} has it pinned`);
      }
    },
    outcome(state, cpu) {
      for (let frame = 1; frame <= FRAMES; frame++) checkRest(state, frame);
      for (let bucket = 0; bucket < 2; bucket++)
        assert.equal(state[BUCKET_LOCKS + bucket], 0, 'a bucket is left locked');
      return programs.map((p, i) => `${p.name} ${['-', 'miss', 'hit'][cpu.registerOf(state, i, ANSWER)]}`).join(', ');
    },
  };
}

/** A frame at rest is either free, or an attached page that lookups find; nothing is lost, locked or pinned. */
function checkRest(state: Uint16Array, frame: number): void {
  const word = state[wordOf(frame, Field.State)];
  const isFree = state[wordOf(frame, Field.Free)] === 1;
  assert(word < PIN_ONE, `frame ${frame} is left pinned`);
  assert.equal((word & PageFlag.Locked) !== 0, false, `frame ${frame} is left locked`);
  if (isFree) {
    assert.equal(word, PageFlag.Frozen, `free frame ${frame} is not frozen`);
    return;
  }
  assert.equal(
    word & (PageFlag.Detached | PageFlag.Frozen),
    0,
    `frame ${frame} is lost: in no mapping, and never freed`,
  );
  let chained = 0;
  for (let bucket = 0; bucket < 2; bucket++) {
    let at = state[BUCKETS + bucket];
    for (let steps = 0; at !== 0; steps++) {
      assert(steps < FRAMES, `the chain of bucket ${bucket} has a knot`);
      if (at === frame) chained++;
      at = state[wordOf(at, Field.HashNext)];
    }
  }
  assert.equal(chained, 1, `attached frame ${frame} is in ${chained} chains`);
}
