/** What the standard says of access handles beyond the web platform's cases: conversions, the cursor, names of errors. */
import { expect, it } from 'vitest';
import { accessHandle } from '#dist/src/access-handle.js';
import { StoreError } from '#dist/src/worker.js';
import { bytesOf, expectRefusal, handleWorld, textOf } from './handle-world.js';

const world = handleWorld();

it('takes every kind of buffer', () => {
  const handle = world.fresh();
  const shared = new SharedArrayBuffer(8);
  new Uint8Array(shared).set(bytesOf('abcdefgh'));
  expect(handle.write(shared)).toBe(8);
  expect(handle.write(new DataView(shared, 2, 2))).toBe(2);
  expect(handle.write(new Uint16Array(new Uint8Array([120, 121]).buffer))).toBe(2);
  const into = new SharedArrayBuffer(12);
  expect(handle.read(new Uint8Array(into, 0, 12), { at: 0 })).toBe(12);
  expect(textOf(new Uint8Array(into).slice())).toBe('abcdefghcdxy');
  const words = new Float64Array(1);
  expect(handle.read(words, { at: 4 })).toBe(8);
  expect(textOf(new Uint8Array(words.buffer))).toBe('efghcdxy');
});

it.each([undefined, null, 'text', 7, [1, 2], {}])('refuses %j as a buffer', (value) => {
  const handle = world.fresh();
  expect(() => handle.write(value as unknown as Uint8Array)).toThrow(TypeError);
  expect(() => handle.read(value as unknown as Uint8Array)).toThrow(TypeError);
  expect(handle.getSize()).toBe(0);
});

it('converts positions as Web IDL does', () => {
  const handle = world.fresh();
  handle.write(bytesOf('0123456789'));
  const read = (at: unknown): string => {
    const bytes = new Uint8Array(2);
    return textOf(bytes.subarray(0, handle.read(bytes, { at: at as number })));
  };
  expect(read(3.9)).toBe('34');
  expect(read(-0.5)).toBe('01');
  expect(read('4')).toBe('45');
  expect(read(null)).toBe('01');
  expect(read({ valueOf: () => 5 })).toBe('56');
  expect(read(Number.MAX_SAFE_INTEGER)).toBe('');
  for (const at of [-1, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53, 'x', 3n]) {
    expect(() => read(at), String(at)).toThrow(TypeError);
    expect(() => handle.truncate(at as number), String(at)).toThrow(TypeError);
  }
  expect(() => handle.read(new Uint8Array(1), 5 as unknown as object)).toThrow(TypeError);
  expect(handle.read(new Uint8Array(1), null as unknown as object)).toBe(0);
});

it('keeps the cursor within the file', () => {
  const handle = world.fresh();
  handle.write(bytesOf('0123456789'));
  expect(handle.read(new Uint8Array(4), { at: 100 })).toBe(0);
  handle.write(bytesOf('a')); // the read behind the end left it at the end
  expect(handle.getSize()).toBe(11);
  handle.truncate(4);
  handle.write(bytesOf('b'));
  expect(handle.getSize()).toBe(5);
  handle.truncate(100);
  handle.write(bytesOf('c'));
  const read = new Uint8Array(6);
  handle.read(read, { at: 0 });
  expect(textOf(read)).toBe('0123bc');
});

it('names what there is no room for', () => {
  const handle = world.fresh();
  const far = expectRefusal('QuotaExceededError', () =>
    handle.write(bytesOf('x'), { at: Number.MAX_SAFE_INTEGER - 1 }),
  );
  expect(far.cause).toBeInstanceOf(StoreError);
  expect((far.cause as StoreError).code).toBe('EFBIG');
  expectRefusal('QuotaExceededError', () => handle.truncate(Number.MAX_SAFE_INTEGER));
  expect(handle.getSize()).toBe(0);
  const mebibyte = new Uint8Array(2 ** 20).fill(1);
  let written = 0;
  const full = expectRefusal('QuotaExceededError', () => {
    for (let at = 0; at < 2 ** 26; at += written) written = handle.write(mebibyte, { at });
  });
  expect((full.cause as StoreError).code).toBe('ENOSPC');
  handle.truncate(0);
  expect(handle.write(mebibyte)).toBe(mebibyte.byteLength);
});

it('changes nothing when it is read-only', () => {
  const name = 'kept';
  const made = accessHandle(world.store.open(name, 'wx+'));
  expect(made.mode).toBe('readwrite');
  made.write(bytesOf('kept'));
  made.close();
  const handle = accessHandle(world.store.open(name), { mode: 'read-only' });
  expect(handle.mode).toBe('read-only');
  for (const change of [() => handle.write(bytesOf('x')), () => handle.truncate(0), () => handle.flush()]) {
    expectRefusal('NoModificationAllowedError', change);
  }
  expect(handle.getSize()).toBe(4);
  handle.close();
  expect(() => accessHandle(world.store.open(name), { mode: 'read' as 'read-only' })).toThrow(TypeError);
});

it('says so where the file itself is open for reading only, or was closed elsewhere', () => {
  const file = world.store.open(world.freshFile());
  const handle = accessHandle(file);
  expectRefusal('NoModificationAllowedError', () => handle.write(bytesOf('x')));
  file.close();
  expectRefusal('InvalidStateError', () => handle.write(bytesOf('x')));
  expectRefusal('InvalidStateError', () => handle.getSize());
});
