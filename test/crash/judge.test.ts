/** The judge of recovered stores: what it must let pass, and, one by one, the broken promises that it must not. */
import { describe, expect, it } from 'vitest';
import { judge, type SeenFile } from '#dist/src/explore/crash-judge.js';
import { CrashModel } from '#dist/src/explore/crash-model.js';
import type { CrashOperation } from '#dist/src/explore/crash-operation.js';
import { stamp } from '#dist/src/explore/crash-stamp.js';
import { BlockContents } from '#dist/src/explore/power-cut-contents.js';

const BLOCK = 4096;
const NOW = { from: Number.POSITIVE_INFINITY, until: Number.POSITIVE_INFINITY, isTorn: false };
const contents = new BlockContents(BLOCK);

/** A history: operation n lasts from moment 10n to 10n + 5. */
function history(operations: CrashOperation[], firstFile = 1, firstMoment = 10): CrashModel {
  const model = new CrashModel(contents, firstFile);
  operations.forEach((operation, n) => {
    expect(model.isPossible(operation), JSON.stringify(operation)).toBe(true);
    model.begin(operation, firstMoment + 10 * n);
    model.end(firstMoment + 10 * n + 5);
  });
  return model;
}

/** What is seen when everything of version `v` is there. */
function seenAt(model: CrashModel, v = model.versions.length - 1): Map<string, SeenFile> {
  const files = new Map<string, SeenFile>();
  for (const [name, { size, cells }] of model.versions[v].names) {
    const blocks: number[] = [];
    for (let block = 0; block * BLOCK < size; block++) {
      const values = cells[block]?.values.filter(({ version }) => version <= v) ?? [];
      const content = values.length === 0 ? 0 : values[values.length - 1].content;
      blocks.push(contents.number(contents.bytes(content).subarray(0, size - block * BLOCK)));
    }
    files.set(name, { size, blocks });
  }
  return files;
}

function changed(files: Map<string, SeenFile>, name: string, change: Partial<SeenFile> | null): Map<string, SeenFile> {
  const copy = new Map(files);
  if (change === null) copy.delete(name);
  else copy.set(name, { ...files.get(name)!, ...change });
  return copy;
}

const CREATE = { kind: 'create', name: 'a' } as const;
const WRITE = { kind: 'write', name: 'a', position: 0, length: 3 * BLOCK } as const;
const AGAIN = { kind: 'write', name: 'a', position: BLOCK, length: 100 } as const;
const SYNC = { kind: 'sync', name: 'a' } as const;

describe('the judge', () => {
  it('lets each version since the last promise pass, and none before it', () => {
    const model = history([
      CREATE,
      SYNC,
      WRITE,
      { kind: 'truncate', name: 'a', position: 5000 },
      { kind: 'unlink', name: 'a' },
    ]);
    for (const v of [2, 4, 5]) expect(judge(seenAt(model, v), [model], NOW)).toBeNull();
    expect(judge(seenAt(model, 0), [model], { ...NOW, from: 30 })).toMatch(/'a' is missing/);
    expect(judge(seenAt(model, 0), [model], { ...NOW, until: 20 })).toBeNull();
  });

  it('lets nothing pass that had not begun', () => {
    const model = history([CREATE, SYNC, { kind: 'rename', name: 'a', to: 'b' }]);
    expect(judge(seenAt(model), [model], { ...NOW, from: 30 })).toBeNull();
    expect(judge(seenAt(model), [model], { ...NOW, from: 29 })).toMatch(/'a' is missing/);
  });

  it('wants what was synced, and lets what was not be lost block by block', () => {
    const model = history([CREATE, WRITE, SYNC, AGAIN]);
    const [before, after] = [seenAt(model, 3), seenAt(model)];
    expect(judge(before, [model], NOW)).toBeNull();
    expect(judge(after, [model], NOW)).toBeNull();
    const { blocks } = after.get('a')!;
    const lost = changed(after, 'a', { blocks: [0, ...blocks.slice(1)] });
    expect(judge(lost, [model], NOW)).toMatch(/block 0: .*zeros; it may show .*generation 2/s);
    expect(judge(changed(after, 'a', { size: 2 * BLOCK, blocks: blocks.slice(0, 2) }), [model], NOW)).toMatch(
      /has 8192 bytes/,
    );
    const unsynced = history([CREATE, WRITE]);
    const half = seenAt(unsynced);
    expect(judge(changed(half, 'a', { blocks: [0, ...half.get('a')!.blocks.slice(1)] }), [unsynced], NOW)).toBeNull();
    expect(
      judge(changed(half, 'a', { size: BLOCK, blocks: half.get('a')!.blocks.slice(0, 1) }), [unsynced], NOW),
    ).toBeNull();
  });

  it('knows foreign bytes, and older ones of the file itself', () => {
    const model = history([CREATE, WRITE, SYNC, AGAIN, SYNC]);
    const seen = seenAt(model);
    const foreign = new Uint8Array(BLOCK);
    stamp(foreign, 77, 0, 1);
    const { blocks } = seen.get('a')!;
    const shown = changed(seen, 'a', { blocks: [contents.number(foreign), ...blocks.slice(1)] });
    expect(judge(shown, [model], NOW)).toMatch(/file 77/);
    expect(judge(changed(seen, 'a', { blocks: seenAt(model, 3).get('a')!.blocks }), [model], NOW)).toMatch(/block 1/);
    expect(judge(changed(seen, 'a', { blocks: [blocks[0], blocks[2], blocks[1]] }), [model], NOW)).toMatch(/block 1/);
  });

  it('wants holes to be zeros, and bytes behind an old end too', () => {
    const punched = history([CREATE, WRITE, SYNC, { kind: 'punch', name: 'a', position: 0, length: BLOCK }, SYNC]);
    expect(judge(seenAt(punched), [punched], NOW)).toBeNull();
    expect(
      judge(changed(seenAt(punched), 'a', { blocks: seenAt(punched, 3).get('a')!.blocks }), [punched], NOW),
    ).toMatch(/it may show .*zeros/);
    const grown = history([
      CREATE,
      WRITE,
      SYNC,
      { kind: 'truncate', name: 'a', position: 100 },
      { kind: 'truncate', name: 'a', position: 200 },
    ]);
    expect(judge(seenAt(grown), [grown], NOW)).toBeNull();
    const old = contents.number(contents.bytes(seenAt(grown, 3).get('a')!.blocks[0]).subarray(0, 200));
    expect(judge(changed(seenAt(grown), 'a', { blocks: [old] }), [grown], NOW)).toMatch(/block 0/);
  });

  it('wants metadata in order, and renames whole', () => {
    const model = history([
      CREATE,
      { kind: 'create', name: 'b' },
      SYNC,
      { kind: 'rename', name: 'a', to: 'c' },
      { kind: 'unlink', name: 'b' },
    ]);
    const both = changed(seenAt(model, 3), 'b', null);
    expect(judge(both, [model], NOW)).toMatch(/no version/);
    const twice = new Map([...seenAt(model, 3), ...seenAt(model, 4)]);
    expect(judge(twice, [model], NOW)).toMatch(/should not be there/);
    expect(judge(changed(seenAt(model, 3), 'a', null), [model], NOW)).toMatch(/is missing/);
  });

  it('lets sectors of a torn block come from different writes, but from nowhere else', () => {
    const model = history([CREATE, WRITE, SYNC, WRITE]);
    const mixed = contents.bytes(seenAt(model, 3).get('a')!.blocks[0]).slice();
    mixed.set(contents.bytes(seenAt(model).get('a')!.blocks[0]).subarray(0, 1024), 0);
    const { blocks } = seenAt(model).get('a')!;
    const torn = changed(seenAt(model), 'a', { blocks: [contents.number(mixed), ...blocks.slice(1)] });
    expect(judge(torn, [model], { ...NOW, isTorn: true })).toBeNull();
    expect(judge(torn, [model], NOW)).toMatch(/block 0/);
    mixed.fill(7, 512, 1024);
    const bad = changed(seenAt(model), 'a', { blocks: [contents.number(mixed), ...blocks.slice(1)] });
    expect(judge(bad, [model], { ...NOW, isTorn: true })).toMatch(/block 0/);
  });

  it('wants of several threads that what had ended is there when something later is', () => {
    const early = history([CREATE], 1, 10);
    const late = history([{ kind: 'create', name: 'b' }], 100, 20);
    const all = new Map([...seenAt(early), ...seenAt(late)]);
    expect(judge(all, [early, late], NOW)).toBeNull();
    expect(judge(seenAt(early), [early, late], NOW)).toBeNull();
    expect(judge(seenAt(late), [early, late], NOW)).toMatch(/'create b' of thread 1 shows, but not what thread 0/);
    const strange = new Map([...all, ['c', { size: 0, blocks: [] }]]);
    expect(judge(strange, [early, late], NOW)).toMatch(/'c' that nobody made/);
  });

  it("wants what had ended when another thread's sync began", () => {
    const first = history([CREATE], 1, 10);
    const second = history(
      [
        { kind: 'create', name: 'b' },
        { kind: 'sync', name: 'b' },
      ],
      100,
      20,
    );
    expect(judge(seenAt(second), [first, second], NOW)).toMatch(/'a' is missing/);
    expect(judge(seenAt(second), [first, second], { ...NOW, until: 30 })).toMatch(/'a' is missing|shows, but not/);
  });
});
