/**
 * Goes over a page cache at rest and says everything that does not fit together: chains, lists, queues, free frames,
 * counts, states. Every frame must be in exactly one place.
 */

import { hashOf } from '#dist/src/pagecache/lookup.js';
import { describeState, PageFlag } from '#dist/src/pagecache/page.js';
import { QueueName } from '#dist/src/pagecache/queues.js';
import type { Arena } from '#dist/src/sync/arena.js';
import { Header, Inode, Page } from '#dist/src/sync/layout.js';
import type { Slot } from '#dist/src/units.js';

/** Frames that tests keep pinned on purpose may be named. */
export function auditCache(arena: Arena): string[] {
  const { words, unsigned, layout } = arena;
  const faults: string[] = [];
  const page = (frame: number, word: Page): number => words[layout.pageRecords + frame * Page.Words + word];
  const walk = (head: number, next: Page, what: string): number[] => {
    const seen: number[] = [];
    for (let frame = head; frame !== 0; frame = page(frame, next)) {
      if (seen.length > layout.frames) {
        faults.push(`${what} does not end`);
        break;
      }
      seen.push(frame);
    }
    return seen;
  };
  const hashed = new Set<number>();
  const keys = new Set<string>();
  for (let bucket = 0; bucket <= layout.pageBucketMask; bucket++) {
    for (const frame of walk(words[layout.pageBuckets + bucket], Page.HashNext, `bucket ${bucket}`)) {
      const mapping = page(frame, Page.Mapping) - 1;
      const index = page(frame, Page.Index) >>> 0;
      if (hashed.has(frame)) faults.push(`frame ${frame} is in two chains`);
      hashed.add(frame);
      if ((hashOf(mapping as Slot, index) & layout.pageBucketMask) !== bucket)
        faults.push(`${frame} in a foreign chain`);
      if (keys.has(`${mapping}:${index}`)) faults.push(`page ${mapping}:${index} is cached twice`);
      keys.add(`${mapping}:${index}`);
    }
  }
  const listed = new Set<number>();
  let dirty = 0;
  for (let mapping = 0; mapping < layout.inodes; mapping++) {
    const at = layout.inodeRecords + mapping * Inode.Words;
    const clean = walk(words[at + Inode.CleanHead], Page.ListNext, `clean list of ${mapping}`);
    const unsaved = walk(words[at + Inode.DirtyHead], Page.ListNext, `dirty list of ${mapping}`);
    if ((unsaved.at(-1) ?? 0) !== words[at + Inode.DirtyTail]) faults.push(`dirty tail of ${mapping}`);
    if (clean.length + unsaved.length !== words[at + Inode.Pages]) faults.push(`page count of mapping ${mapping}`);
    if (unsaved.length !== words[at + Inode.PagesDirty]) faults.push(`dirty count of mapping ${mapping}`);
    if (mapping !== 0) dirty += unsaved.length;
    else if (unsaved.length !== words[Header.MetadataDirty]) faults.push('count of dirty metadata');
    for (const frame of [...clean, ...unsaved]) {
      if (page(frame, Page.Mapping) !== mapping + 1) faults.push(`frame ${frame} on the list of mapping ${mapping}`);
      listed.add(frame);
    }
    for (const frame of unsaved) {
      if ((page(frame, Page.State) & (PageFlag.Dirty | PageFlag.Writeback)) === 0) faults.push(`${frame} is not dirty`);
      if (page(frame, Page.DirtiedAt) === 0) faults.push(`frame ${frame} has no time of dirtying`);
    }
    for (const frame of clean) {
      if ((page(frame, Page.State) & PageFlag.Dirty) !== 0) faults.push(`frame ${frame} is dirty on a clean list`);
      if (page(frame, Page.DirtiedAt) !== 0) faults.push(`frame ${frame} has a time of dirtying`);
    }
  }
  if (dirty !== words[Header.PagesDirty]) faults.push(`dirty pages: ${words[Header.PagesDirty]}, listed ${dirty}`);
  const small = walk(words[Header.SmallHead], Page.QueueNext, 'small queue');
  const main = walk(words[Header.MainHead], Page.QueueNext, 'main queue');
  if (small.length !== words[Header.SmallCount]) faults.push('count of the small queue');
  if (main.length !== words[Header.MainCount]) faults.push('count of the main queue');
  const free = walk(words[Header.FreeHead], Page.QueueNext, 'free list');
  const stack = walk(words[Header.DetachedHead], Page.QueueNext, 'detached stack');
  if (free.length !== words[Header.FramesFree]) faults.push('count of the free list');
  const idle = new Set([...free, ...stack]);
  if (idle.size !== free.length + stack.length) faults.push('a frame is free twice');
  for (let frame = 1; frame <= words[Header.FramesUsed]; frame++) {
    const state = page(frame, Page.State);
    const queue = page(frame, Page.Queue);
    const where = [hashed.has(frame), listed.has(frame), queue !== QueueName.None];
    if (idle.has(frame)) {
      if (where.some((there) => there)) faults.push(`free frame ${frame} is still in ${where}`);
      if ((state & 0xfff) !== PageFlag.Frozen) faults.push(`free frame ${frame}: ${describeState(state)}`);
    } else if ((state & PageFlag.Detached) !== 0) {
      if (where.some((there) => there)) faults.push(`detached frame ${frame} is still in ${where}`);
      if (state >> 12 === 0) faults.push(`detached frame ${frame} has no pin and is not free`);
    } else if (!where.every((there) => there)) {
      faults.push(`frame ${frame} (${describeState(state)}) is in chain, list, queue: ${where}`);
    }
  }
  if (unsigned[Header.FramesUsed] > layout.frames) faults.push('frames used');
  return faults;
}
