import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  compactNameNode,
  compareName,
  copyName,
  findChild,
  findName,
  initNameNode,
  insertName,
  moveNames,
  nameCellBytes,
  nameNodeCount,
  nameNodeFree,
  nameNodeLevel,
  nameNodeRoom,
  nameValue,
  nextNameNode,
  removeName,
  setNameValue,
  setNextNameNode,
  splitIndex,
  validateNameNode,
} from '#dist/src/format/name-node.js';

const BLOCK = 4096;
const AT = BLOCK;
const LIMIT = 0xffff_ffff;

function emptyNode(level = 0, blockBytes = BLOCK): Uint8Array {
  const bytes = new Uint8Array(new SharedArrayBuffer(AT + 2 * blockBytes));
  initNameNode(bytes, AT, blockBytes, level);
  return bytes;
}

function key(text: string): Buffer {
  return Buffer.from(text, 'latin1');
}

/** Inserts in order; false if there was no room. */
function add(bytes: Uint8Array, name: Uint8Array, value: number): boolean {
  const found = findName(bytes, AT, name, name.length);
  if (found >= 0) throw new Error('there already');
  return insertName(bytes, AT, BLOCK, -1 - found, value, name, name.length);
}

function namesOf(bytes: Uint8Array, at = AT): [string, number][] {
  return Array.from({ length: nameNodeCount(bytes, at) }, (_, i) => [
    Buffer.from(copyName(bytes, at, i)).toString('latin1'),
    nameValue(bytes, at, i),
  ]);
}

function byName(a: [string, number], b: [string, number]): number {
  return Buffer.compare(key(a[0]), key(b[0]));
}

// Few letters and shared prefixes, so that names meet; bytes above 127 too, which a signed compare would misplace.
const name = fc.oneof(
  fc.string({ unit: fc.constantFrom('a', 'b', '\x01', '\xff', '/'), minLength: 1, maxLength: 8 }),
  fc.string({ unit: fc.constantFrom('x', '\x80'), minLength: 200, maxLength: 255 }),
);
type Step = { name: string; what: 'put' | 'remove' };
const steps: fc.Arbitrary<Step[]> = fc.array(fc.record({ name, what: fc.constantFrom('put', 'put', 'remove') }), {
  maxLength: 200,
});

describe('name node', () => {
  it('inserts, replaces, removes and finds like a sorted map', () => {
    fc.assert(
      fc.property(steps, (list) => {
        const bytes = emptyNode();
        const model = new Map<string, number>();
        list.forEach((step, i) => {
          const wanted = key(step.name);
          const found = findName(bytes, AT, wanted, wanted.length);
          expect(found >= 0).toBe(model.has(step.name));
          if (step.what === 'remove') {
            if (found >= 0) removeName(bytes, AT, found);
            model.delete(step.name);
          } else if (found >= 0) {
            setNameValue(bytes, AT, found, i + 1);
            model.set(step.name, i + 1);
          } else if (insertName(bytes, AT, BLOCK, -1 - found, i + 1, wanted, wanted.length)) {
            model.set(step.name, i + 1);
          } else {
            expect(nameNodeFree(bytes, AT)).toBeLessThan(nameCellBytes(wanted.length));
          }
        });
        expect(namesOf(bytes)).toEqual([...model].sort(byName));
        const used = [...model.keys()].reduce((sum, n) => sum + nameCellBytes(n.length), 0);
        expect(nameNodeFree(bytes, AT)).toBe(nameNodeRoom(BLOCK) - used);
        expect(validateNameNode(bytes, AT, BLOCK, 0, LIMIT)).toBeNull();
        compactNameNode(bytes, AT, BLOCK);
        expect(namesOf(bytes)).toEqual([...model].sort(byName));
        expect(validateNameNode(bytes, AT, BLOCK, 0, LIMIT)).toBeNull();
        expect(bytes.subarray(0, AT + 32).every((byte) => byte === 0)).toBe(true);
        expect(bytes.subarray(AT + BLOCK).every((byte) => byte === 0)).toBe(true);
      }),
    );
  });

  it('splits and joins without losing a name', () => {
    fc.assert(
      fc.property(fc.uniqueArray(name, { minLength: 2, maxLength: 60 }), (list) => {
        const left = emptyNode(3);
        for (const [i, text] of list.entries()) add(left, key(text), i + 1);
        const before = namesOf(left);
        if (before.length < 2) return;
        const index = splitIndex(left, AT);
        const right = emptyNode(3);
        moveNames(left, AT, index, right, AT, BLOCK);
        expect(namesOf(left)).toEqual(before.slice(0, index));
        expect(namesOf(right)).toEqual(before.slice(index));
        expect(validateNameNode(left, AT, BLOCK, 3, LIMIT)).toBeNull();
        expect(validateNameNode(right, AT, BLOCK, 3, LIMIT)).toBeNull();
        expect(Math.abs(nameNodeFree(left, AT) - nameNodeFree(right, AT))).toBeLessThanOrEqual(2 * 262);
        moveNames(right, AT, 0, left, AT, BLOCK);
        expect(namesOf(left)).toEqual(before);
        expect(nameNodeCount(right, AT)).toBe(0);
        expect(nameNodeFree(right, AT)).toBe(nameNodeRoom(BLOCK));
      }),
    );
  });

  it('leads to the child that covers a name', () => {
    const bytes = emptyNode(1);
    for (const [i, separator] of ['', 'g', 'gg', 'p'].entries()) {
      expect(insertName(bytes, AT, BLOCK, i, 10 + i, key(separator), separator.length)).toBe(true);
    }
    const child = (text: string): number => findChild(bytes, AT, key(text), text.length);
    expect(['\x01', 'f\xff', 'g', 'ga', 'gg', 'o', 'p', '\xff'].map(child)).toEqual([0, 0, 1, 1, 2, 2, 3, 3]);
    expect(validateNameNode(bytes, AT, BLOCK, 1, LIMIT)).toBeNull();
    removeName(bytes, AT, 0);
    expect(['a', 'g', 'gg', 'z'].map(child)).toEqual([0, 0, 1, 2]);
    expect(validateNameNode(bytes, AT, BLOCK, 1, LIMIT)).toBeNull();
  });

  it('compares as unsigned bytes, a prefix first', () => {
    const bytes = emptyNode();
    add(bytes, key('ab\x80'), 1);
    const order = (text: string): number => Math.sign(compareName(bytes, AT, 0, key(text), text.length));
    expect(['ab', 'ab\x7f', 'ab\x80', 'ab\x80\x01', 'ab\x81', 'b'].map(order)).toEqual([1, 1, 0, -1, -1, -1]);
  });

  it('uses the key up to the length it is given', () => {
    const bytes = emptyNode();
    add(bytes, key('log'), 5);
    expect(findName(bytes, AT, key('logs/2026'), 3)).toBe(0);
    expect(findName(bytes, AT, key('logs/2026'), 4)).toBe(-2);
  });

  it('works in the largest block, whose end no u16 reaches', () => {
    const bytes = emptyNode(0, 65536);
    let count = 0;
    for (; ; count++) {
      const text = key(`name-${String(count).padStart(6, '0')}`);
      if (!insertName(bytes, AT, 65536, count, count + 1, text, text.length)) break;
    }
    expect(count).toBe(Math.floor(nameNodeRoom(65536) / nameCellBytes(11)));
    expect(findName(bytes, AT, key('name-000777'), 11)).toBe(777);
    expect(validateNameNode(bytes, AT, 65536, 0, LIMIT)).toBeNull();
  });

  it('has a level and a right neighbour', () => {
    const bytes = emptyNode(4);
    setNextNameNode(bytes, AT, 0xffff_fff0);
    expect([nameNodeLevel(bytes, AT), nextNameNode(bytes, AT)]).toEqual([4, 0xffff_fff0]);
  });

  it.each<[string, RegExp, (bytes: Uint8Array) => void]>([
    ['another level', /level 1 where 0/, (bytes) => bytes.set([1], AT + 32)],
    ['too many cells', /do not fit/, (bytes) => bytes.set([0xff, 0xff], AT + 34)],
    ['a wrong count', /miscounted/, (bytes) => bytes.set([1], AT + 34)],
    ['cells past the block', /do not fit/, (bytes) => bytes.set([0, 0, 1], AT + 36)],
    ['a cell out of place', /cell 0 is out of place/, (bytes) => bytes.set([0, 1], AT + 48)],
    ['two slots for one cell', /miscounted|out of order/, (bytes) => bytes.copyWithin(AT + 50, AT + 48, AT + 50)],
    ['a name past the block', /name 0 reaches past/, (bytes) => bytes.set([200], AT + BLOCK - 7 + 4)],
    ['an empty name', /name 0 is empty/, (bytes) => bytes.set([0], AT + BLOCK - 7 + 4)],
    ['no inode', /name 0 points to 0/, (bytes) => bytes.set([0, 0, 0, 0], AT + BLOCK - 7)],
    ['an inode out of range', /name 0 points to 5000/, (bytes) => bytes.set([0x88, 0x13], AT + BLOCK - 7)],
    ['disorder', /name 1 is out of order/, (bytes) => bytes.set([0x7a], AT + BLOCK - 7 + 5)],
  ])('is refused with %s', (_what, reason, spoil) => {
    const bytes = emptyNode();
    add(bytes, key('aa'), 1);
    add(bytes, key('bbb'), 2);
    expect(validateNameNode(bytes, AT, BLOCK, 0, 1000)).toBeNull();
    spoil(bytes);
    expect(validateNameNode(bytes, AT, BLOCK, 0, 1000)).toMatch(reason);
  });

  it('does not allocate when it searches', () => {
    const bytes = emptyNode();
    const keys = Array.from({ length: 150 }, (_, i) => key(`file-${i}`));
    for (const [i, text] of keys.entries()) add(bytes, text, i + 1);
    let sum = 0;
    const search = (rounds: number): void => {
      for (let i = 0; i < rounds; i++) {
        const wanted = keys[i % keys.length]!;
        sum += findName(bytes, AT, wanted, wanted.length) + findChild(bytes, AT, wanted, wanted.length);
      }
    };
    search(50_000);
    const before = process.memoryUsage().heapUsed;
    search(200_000);
    // One small object a search would be 10 MB or more.
    expect(process.memoryUsage().heapUsed - before).toBeLessThan(1_000_000);
    expect(sum).toBeGreaterThan(0);
  });
});
