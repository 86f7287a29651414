/**
 * The cases that the web platform's own tests have for sync access handles (fs/FileSystemSyncAccessHandle-*), one by one,
 * on files of a store.
 */
import { describe, expect, it } from 'vitest';
import { bytesOf, expectRefusal, handleWorld, textOf } from './handle-world.js';

const world = handleWorld();
const GREETING = 'Hello Storage Foundation';

describe('close', () => {
  it('may be called again', () => {
    const handle = world.fresh();
    expect(handle.close()).toBeUndefined();
    expect(handle.close()).toBeUndefined();
  });

  const after: Record<string, (handle: ReturnType<typeof world.fresh>) => unknown> = {
    read: (handle) => handle.read(new Uint8Array(4), { at: 0 }),
    write: (handle) => handle.write(Uint8Array.of(96, 97, 98, 99), { at: 0 }),
    flush: (handle) => handle.flush(),
    getSize: (handle) => handle.getSize(),
    truncate: (handle) => handle.truncate(4),
  };
  it.each(Object.keys(after))('is the end of %s', (method) => {
    const handle = world.fresh();
    handle.close();
    expectRefusal('InvalidStateError', () => after[method](handle));
  });
});

describe('flush', () => {
  it('takes an empty file', () => {
    expect(world.fresh().flush()).toBeUndefined();
  });

  it('leaves what was written to be read', () => {
    const handle = world.fresh();
    handle.write(bytesOf(GREETING), { at: 0 });
    handle.flush();
    const read = new Uint8Array(GREETING.length);
    handle.read(read, { at: 0 });
    expect(textOf(read)).toBe(GREETING);
  });
});

describe('getSize', () => {
  it('follows writes', () => {
    const handle = world.fresh();
    const four = Uint8Array.of(96, 97, 98, 99);
    expect(handle.getSize()).toBe(0);
    for (const [at, size] of [
      [0, 4],
      [3, 7],
      [10, 14],
    ]) {
      handle.write(four, { at });
      expect(handle.getSize()).toBe(size);
    }
  });
});

describe('truncate', () => {
  it('sets any size, and no negative one', () => {
    const handle = world.fresh();
    for (const size of [4, 2, 7, 0]) {
      handle.truncate(size);
      expect(handle.getSize()).toBe(size);
    }
    expect(() => handle.truncate(-4)).toThrow(TypeError);
  });

  it('cuts what was written, and gives zeros back for it', () => {
    const handle = world.fresh();
    handle.write(Uint8Array.of(96, 97, 98, 99), { at: 0 });
    handle.truncate(2);
    const read = new Uint8Array(6);
    expect(handle.read(read, { at: 0 })).toBe(2);
    expect([...read]).toEqual([96, 97, 0, 0, 0, 0]);
    handle.truncate(6);
    expect(handle.read(read, { at: 0 })).toBe(6);
    expect([...read]).toEqual([96, 97, 0, 0, 0, 0]);
  });
});

describe('read and write', () => {
  it('read nothing from an empty file', () => {
    expect(world.fresh().read(new Uint8Array(24), { at: 0 })).toBe(0);
  });

  it('take an empty ArrayBuffer', () => {
    expect(world.fresh().read(new ArrayBuffer(0), { at: 0 })).toBe(0);
  });

  it('take an ArrayBuffer', () => {
    expect(world.fresh().read(new ArrayBuffer(24), { at: 0 })).toBe(0);
  });

  it('give back what was written, all of it and a part', () => {
    const handle = world.fresh();
    expect(handle.write(bytesOf(GREETING), { at: 0 })).toBe(GREETING.length);
    const whole = new Uint8Array(GREETING.length);
    expect(handle.read(whole, { at: 0 })).toBe(GREETING.length);
    expect(textOf(whole)).toBe(GREETING);
    const part = new Uint8Array('Storage'.length);
    expect(handle.read(part, { at: GREETING.indexOf('Storage') })).toBe(part.length);
    expect(textOf(part)).toBe('Storage');
  });

  it('write over with more', () => {
    const handle = world.fresh();
    for (const text of ['Hello', 'Longer Text']) {
      expect(handle.write(bytesOf(text), { at: 0 })).toBe(text.length);
      const read = new Uint8Array(text.length);
      expect(handle.read(read, { at: 0 })).toBe(text.length);
      expect(textOf(read)).toBe(text);
    }
  });

  it.each([
    ['with less', 0, 'foobarWorld'],
    ['at an offset', 6, 'Hello foobar'],
  ])('write over %s', (_how, at, expected) => {
    const handle = world.fresh();
    handle.write(bytesOf('Hello World'), { at: 0 });
    expect(handle.write(bytesOf('foobar'), { at })).toBe(6);
    const read = new Uint8Array(expected.length);
    expect(handle.read(read, { at: 0 })).toBe(expected.length);
    expect(textOf(read)).toBe(expected);
  });

  it('fill the gap before a first write with zeros', () => {
    const handle = world.fresh();
    expect(handle.write(Uint8Array.of(17), { at: 5 })).toBe(1);
    const read = new Uint8Array(6).fill(255);
    expect(handle.read(read, { at: 0 })).toBe(6);
    expect([...read]).toEqual([0, 0, 0, 0, 0, 17]);
  });

  it('read at an offset, up to the end, and nothing behind it', () => {
    const handle = world.fresh();
    handle.write(bytesOf(GREETING), { at: 0 });
    for (const at of [0, 6]) {
      const read = new Uint8Array(GREETING.length);
      expect(handle.read(read, { at })).toBe(GREETING.length - at);
      expect(textOf(read.subarray(0, GREETING.length - at))).toBe(GREETING.slice(at));
    }
    const untouched = new Uint8Array(GREETING.length);
    expect(handle.read(untouched, { at: GREETING.length + 1 })).toBe(0);
    expect(untouched.every((byte) => byte === 0)).toBe(true);
  });

  it('read from the start', () => {
    const handle = world.fresh();
    handle.write(bytesOf(GREETING), { at: 0 });
    const read = new Uint8Array(GREETING.length);
    expect(handle.read(read, { at: 0 })).toBe(GREETING.length);
    expect(textOf(read)).toBe(GREETING);
  });

  it('write without options to the start of a new file', () => {
    const handle = world.fresh();
    expect(handle.write(bytesOf(GREETING))).toBe(GREETING.length);
    const read = new Uint8Array(GREETING.length);
    expect(handle.read(read, { at: 0 })).toBe(GREETING.length);
    expect(textOf(read)).toBe(GREETING);
  });

  it('read at no negative offset', () => {
    const handle = world.fresh();
    expect(() => handle.read(new Uint8Array(24), { at: -1 })).toThrow(TypeError);
  });

  it('write at no negative offset', () => {
    const handle = world.fresh();
    expect(() => handle.write(bytesOf('foobar'), { at: -1 })).toThrow(TypeError);
    expect(handle.read(new Uint8Array(24), { at: 0 })).toBe(0);
  });

  it('share a cursor', () => {
    const handle = world.fresh();
    const readText = (length: number, options?: { at: number }): string => {
      const read = new Uint8Array(length);
      return textOf(read.subarray(0, handle.read(read, options)));
    };
    expect(handle.write(bytesOf('Hello ')) + handle.write(bytesOf('World'))).toBe(11);
    expect(readText(256, { at: 0 })).toBe('Hello World');
    expect(readText(5, { at: 0 })).toBe('Hello');
    expect(readText(256)).toBe(' World');
    expect(readText(5, { at: 0 })).toBe('Hello');
    expect(handle.write(bytesOf(' X'))).toBe(2);
    expect(readText(256, { at: 0 })).toBe('Hello Xorld');
  });
});
