/** Expectations of failure: by the error's stable code, and by the fields that an error of that kind must have. */
import { constants } from 'node:os';
import { expect } from 'vitest';
import { StoreError } from '#dist/src/index.js';

export interface Failure extends Error {
  code: string;
  errno?: number;
  syscall?: string;
  path?: string;
}

/** What Linux calls 117, which Node does not name. */
const EUCLEAN = 117;
const EOWNERDEAD = 130;
const ENOTRECOVERABLE = 131;

/** Runs the call and expects it to fail with the code; returns the error for a closer look. */
export async function expectCode(code: string, call: () => unknown): Promise<Failure> {
  let error: Failure;
  try {
    const value = await call();
    // An iterable fails when it is first asked for something.
    if (isIterable(value)) for await (const _ of value) break;
  } catch (caught) {
    error = caught as Failure;
    expect(error.code, `${error.stack}`).toBe(code);
    if (!code.startsWith('ERR_')) expectSystemError(error);
    return error;
  }
  throw new Error(`${code} was expected, and the call succeeded: ${call}`);
}

function isIterable(value: unknown): value is AsyncIterable<unknown> {
  return (
    typeof value === 'object' &&
    value !== null &&
    !ArrayBuffer.isView(value) &&
    !Array.isArray(value) &&
    (Symbol.asyncIterator in value || Symbol.iterator in value)
  );
}

/** The fields of Node's own system errors. */
function expectSystemError(error: Failure): void {
  expect(error).toBeInstanceOf(StoreError);
  const known: Record<string, number> = { ...constants.errno, EUCLEAN, EOWNERDEAD, ENOTRECOVERABLE };
  expect(error.errno).toBe(-known[error.code]);
  expect(error.message).toMatch(new RegExp(`^${error.code}: `));
  expect(error.syscall, error.message).toBeTypeOf('string');
}

/** What the call throws of a store's errors, or null; other errors go on. */
export function failureOf(call: () => void): StoreError | null {
  try {
    call();
    return null;
  } catch (error) {
    if (error instanceof StoreError) return error;
    throw error;
  }
}
