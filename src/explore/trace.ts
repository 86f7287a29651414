/**
 * A schedule as a list of events, for people: per step who ran, what he came to, which source line that is, which locks he
 * held, and what the pages and blocks of the scenario's files looked like.
 */
import { PageFlag } from '../pagecache/page.js';
import { EffectKind, IoKind } from '../routine/effect.js';
import { POINTS } from '../routine/points.js';
import { Page, Thread } from '../sync/layout.js';
import { LockMode } from '../sync/lockdep.js';
import type { Execution, StepListener } from './execution.js';
import { type LogicalThread, ThreadState } from './logical-thread.js';
import { OWNER_CLAIM, OWNER_METADATA } from './simulated-device.js';
import { type SourceLine, sourceLines } from './source-line.js';
import { describeWord, PAGE_BYTES } from './stamp.js';
import { nameLock } from './standstill.js';
import type { World } from './world.js';

export interface HeldLock {
  /** `invalidate_lock of victim`. */
  readonly lock: string;
  readonly mode: 'shared' | 'exclusive' | 'mutex';
}

export interface PageView {
  readonly file: string;
  readonly page: number;
  readonly frame: number;
  /** Locked, Uptodate, Dirty, Writeback … */
  readonly flags: readonly string[];
  readonly pins: number;
  /** What its first word says it holds: `victim page 1 generation 1`, `zero`. */
  readonly content: string;
  /** The device block that the page remembers, 0 for none. */
  readonly block: number;
}

export interface BlockView {
  readonly block: number;
  /** A file's name, `metadata`, `claimed`, or `free`. */
  readonly owner: string;
  readonly content: string;
}

export interface TraceEvent {
  /** From 1. */
  readonly step: number;
  readonly thread: number;
  readonly threadName: string;
  /** What the step was: running on, a device transfer, or dying. */
  readonly action: 'run' | 'transfer' | 'die';
  /** What the thread yielded at the end of it; `end` when it has no more to do. */
  readonly effect: 'point' | 'wait' | 'read' | 'write' | 'flush' | 'discard' | 'pause' | 'end';
  /** The schedule point's name, at one. */
  readonly point: string | null;
  /** The lock, page or block that the effect is about. */
  readonly target: string | null;
  /** Where in the engine the thread stands now, innermost first; empty at the end. */
  readonly stack: readonly SourceLine[];
  /** The innermost line that does more than take a lock. */
  readonly source: SourceLine | null;
  readonly held: readonly HeldLock[];
  /** The lock, page or word that it sleeps on, if it does. */
  readonly waitsFor: string | null;
  readonly pages: readonly PageView[];
  readonly blocks: readonly BlockView[];
}

/** Files that only take locks: who wants them is what matters. */
const LOCKS = ['src/sync/', 'src/locking/', 'src/pagecache/page-lock.ts'];
const FLAGS: readonly [PageFlag, string][] = [
  [PageFlag.Locked, 'Locked'],
  [PageFlag.Uptodate, 'Uptodate'],
  [PageFlag.Dirty, 'Dirty'],
  [PageFlag.Writeback, 'Writeback'],
  [PageFlag.Waiters, 'Waiters'],
  [PageFlag.Reserved, 'Reserved'],
];
const IO_NAMES = ['read', 'write', 'flush', 'discard'] as const;
const YIELDING = ['wait', 'point', 'pause', 'read', 'write', 'flush', 'discard'] as const;

/** Records the run it listens to. */
export class Tracer implements StepListener {
  readonly events: TraceEvent[] = [];
  private readonly patched = new Set<LogicalThread>();
  private stacks = new Map<LogicalThread, SourceLine[]>();
  private action: TraceEvent['action'] = 'run';
  /** Blocks that a file has owned. */
  private readonly blocks = new Set<number>();

  started(run: Execution, thread: LogicalThread): void {
    if (run.step === 1) this.noteBlocks(run.world);
    this.action = thread.state === ThreadState.InFlight ? 'transfer' : 'run';
    if (this.patched.has(thread)) return;
    this.patched.add(thread);
    // A yield is made by one of these, called right before it.
    const task = thread.actor.task as unknown as Record<string, (...args: unknown[]) => unknown>;
    for (const name of YIELDING) {
      const original = task[name];
      task[name] = (...args) => {
        this.stacks.set(thread, sourceLines());
        return original.apply(task, args);
      };
    }
  }

  stepped(run: Execution, thread: LogicalThread, died: boolean): void {
    const { world } = run;
    const stack = thread.state === ThreadState.Done ? [] : (this.stacks.get(thread) ?? []);
    this.noteBlocks(world);
    this.events.push({
      step: run.step,
      thread: thread.index,
      threadName: thread.name,
      action: died ? 'die' : this.action,
      ...effectOf(thread),
      target: targetOf(world, thread),
      stack,
      source: stack.find(({ file }) => !LOCKS.some((part) => file.startsWith(part))) ?? stack[0] ?? null,
      held: heldLocks(world, thread),
      waitsFor: thread.state === ThreadState.Asleep ? targetOf(world, thread) : null,
      pages: viewPages(world),
      blocks: [...this.blocks].sort((a, b) => a - b).map((block) => viewBlock(world, block)),
    });
  }

  private noteBlocks({ device }: World): void {
    device.owners.forEach((owner, block) => {
      if (owner > 0 || owner <= OWNER_CLAIM) this.blocks.add(block);
    });
  }
}

function effectOf({ state, effect }: LogicalThread): Pick<TraceEvent, 'effect' | 'point'> {
  if (state === ThreadState.Done || effect === null) return { effect: 'end', point: null };
  switch (effect.kind) {
    case EffectKind.Point:
      return { effect: 'point', point: POINTS[effect.point] };
    case EffectKind.Wait:
      return { effect: 'wait', point: null };
    case EffectKind.Io:
      return { effect: IO_NAMES[effect.io], point: null };
    case EffectKind.Pause:
      return { effect: 'pause', point: null };
  }
}

function targetOf(world: World, { effect, actor, state }: LogicalThread): string | null {
  if (effect === null || state === ThreadState.Done) return null;
  if (effect.kind === EffectKind.Wait) {
    const { record } = actor.task;
    const { words, layout } = world.arena;
    if (effect.word === record + Thread.NodeGranted) return nameLock(world, words[record + Thread.NodeLock]);
    if (effect.word >= layout.pageWaits && effect.word < layout.locks) return 'a page';
    return `word ${effect.word}`;
  }
  if (effect.kind === EffectKind.Point) return effect.word === 0 ? null : nameLock(world, effect.word);
  if (effect.kind !== EffectKind.Io || effect.io === IoKind.Flush) return null;
  const first = effect.positionBytes / PAGE_BYTES;
  const bytes = effect.buffers.reduce((sum, buffer) => sum + buffer.length, effect.lengthBytes);
  const count = bytes / PAGE_BYTES;
  return count > 1 ? `blocks ${first} to ${first + count - 1}` : `block ${first}`;
}

function heldLocks(world: World, { actor }: LogicalThread): HeldLock[] {
  const { words } = world.arena;
  const { record } = actor.task;
  const waits = words[record + Thread.WaitingOn] === record + Thread.NodeGranted ? words[record + Thread.NodeLock] : 0;
  const held: HeldLock[] = [];
  for (let i = 0; i < words[record + Thread.HeldDepth]; i++) {
    const at = words[record + Thread.Held + 2 * i];
    const mode = words[record + Thread.Held + 2 * i + 1];
    // The one that it sleeps for is on the stack already.
    if (at === waits && i === words[record + Thread.HeldDepth] - 1) continue;
    held.push({
      lock: nameLock(world, at),
      mode: mode === LockMode.Shared ? 'shared' : mode === LockMode.Exclusive ? 'exclusive' : 'mutex',
    });
  }
  return held;
}

function viewPages(world: World): PageView[] {
  const { words, unsigned, layout } = world.arena;
  const views: PageView[] = [];
  for (let frame = 1; frame <= layout.frames; frame++) {
    const at = layout.pageRecords + frame * Page.Words;
    const file = world.fileOfSlot(words[at + Page.Mapping] - 1);
    const state = words[at + Page.State];
    if (file === null || (state & PageFlag.Frozen) !== 0) continue;
    views.push({
      file: file.name,
      page: unsigned[at + Page.Index],
      frame,
      flags: FLAGS.filter(([flag]) => (state & flag) !== 0).map(([, name]) => name),
      pins: state >> 12,
      content: (state & PageFlag.Uptodate) === 0 ? 'not filled' : firstWord(world, world.frames.bytes(frame as never)),
      block: unsigned[at + Page.Block],
    });
  }
  return views.sort((a, b) => a.file.localeCompare(b.file) || a.page - b.page);
}

function viewBlock(world: World, block: number): BlockView {
  const owner = world.device.owners[block];
  let name = 'free';
  if (owner > 0) name = world.fileOfSlot(owner)?.name ?? `slot ${owner}`;
  else if (owner === OWNER_METADATA) name = 'metadata';
  else if (owner <= OWNER_CLAIM) name = 'claimed';
  const start = block * PAGE_BYTES;
  return { block, owner: name, content: firstWord(world, world.device.bytes.subarray(start, start + PAGE_BYTES)) };
}

function firstWord({ files }: World, bytes: Uint8Array): string {
  const value = new DataView(bytes.buffer, bytes.byteOffset, 4).getUint32(0, true);
  return describeWord(
    value,
    files.map(({ name }) => name),
  );
}
