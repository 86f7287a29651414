/**
 * Checks of what users pass: types and ranges throw what Node's own file functions throw (ERR_INVALID_ARG_TYPE,
 * ERR_OUT_OF_RANGE), before anything has changed.
 */
import { invalidArgType, outOfRange, StoreError } from '../errors.js';

/** A count of bytes or a position: a safe integer at least 0, or a bigint that fits. */
export function checkBytes(name: string, value: unknown): number {
  if (typeof value === 'number') {
    if (Number.isSafeInteger(value) && value >= 0) return value;
    throw outOfRange(name, Number.isInteger(value) ? `>= 0 && <= ${Number.MAX_SAFE_INTEGER}` : 'an integer', value);
  }
  if (typeof value === 'bigint') {
    if (value >= 0n && value <= BigInt(Number.MAX_SAFE_INTEGER)) return Number(value);
    throw outOfRange(name, `>= 0 && <= ${Number.MAX_SAFE_INTEGER}`, `${value}n`);
  }
  throw invalidArgType(name, 'of type number or bigint', value);
}

/** A position that may be left out: `null` and `undefined` mean the handle's own position, given as -1. */
export function checkPosition(value: unknown): number {
  if (typeof value === 'number' && value >= 0 && Number.isSafeInteger(value)) return value;
  if (value === null || value === undefined || value === -1 || value === -1n) return -1;
  return checkBytes('position', value);
}

export function checkBuffer(value: unknown): Uint8Array {
  if (value instanceof Uint8Array) return value;
  if (ArrayBuffer.isView(value)) return new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
  throw invalidArgType('buffer', 'an instance of Buffer, TypedArray, or DataView', value);
}

export function checkBuffers(value: unknown): Uint8Array[] {
  if (!Array.isArray(value)) throw invalidArgType('buffers', 'an array of Buffers, TypedArrays, or DataViews', value);
  return value.map(checkBuffer);
}

/** Offset and length within a buffer; `length` may be left out. Returns the length. */
export function checkExtentOfBuffer(buffer: Uint8Array, offset: unknown, length: unknown): number {
  const at = offset === undefined || offset === null ? 0 : checkBytes('offset', offset);
  if (at > buffer.byteLength) throw outOfRange('offset', `>= 0 && <= ${buffer.byteLength}`, at);
  const rest = buffer.byteLength - at;
  if (length === undefined || length === null) return rest;
  const count = checkBytes('length', length);
  if (count > rest) throw outOfRange('length', `>= 0 && <= ${rest}`, count);
  return count;
}

/** The arguments of a transfer at a position, without a default among them. */
export function checkTransfer(buffer: unknown, offset: unknown, length: unknown, position: unknown): void {
  checkExtentOfBuffer(checkBuffer(buffer), checkBytes('offset', offset), checkBytes('length', length));
  checkBytes('position', position);
}

/** How a file was opened; bits. */
export const enum Access {
  Read = 1,
  Write = 2,
  Append = 4,
  Create = 8,
  Exclusive = 16,
  Truncate = 32,
}

const FLAGS: Record<string, number> = {
  r: Access.Read,
  'r+': Access.Read | Access.Write,
  w: Access.Write | Access.Create | Access.Truncate,
  'w+': Access.Read | Access.Write | Access.Create | Access.Truncate,
  wx: Access.Write | Access.Create | Access.Truncate | Access.Exclusive,
  'wx+': Access.Read | Access.Write | Access.Create | Access.Truncate | Access.Exclusive,
  a: Access.Write | Access.Create | Access.Append,
  'a+': Access.Read | Access.Write | Access.Create | Access.Append,
};

export function parseFlags(flags: unknown): number {
  if (typeof flags !== 'string') throw invalidArgType('flags', 'of type string', flags);
  const access = Object.hasOwn(FLAGS, flags) ? FLAGS[flags] : undefined;
  if (access === undefined) {
    throw new StoreError('EINVAL', {
      syscall: 'open',
      detail: `unknown flags '${flags}'; known are ${Object.keys(FLAGS).join(' ')}`,
    });
  }
  return access;
}

export const ADVICE = ['normal', 'sequential', 'random', 'willneed', 'dontneed'] as const;
export type Advice = (typeof ADVICE)[number];

export function checkAdvice(value: unknown): number {
  const index = ADVICE.indexOf(value as Advice);
  if (index >= 0) return index;
  if (typeof value !== 'string') throw invalidArgType('advice', 'of type string', value);
  throw new StoreError('EINVAL', {
    syscall: 'advise',
    detail: `unknown advice '${value}'; known are ${ADVICE.join(' ')}`,
  });
}
