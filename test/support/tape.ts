/**
 * Lets suites that are written for tape run here: a function `test(name, body)` whose `t` has what those suites use. A test
 * ends by `t.end`, once, and fails by its first failed assertion, by an assertion after its end, or by never ending.
 */
import { isDeepStrictEqual } from 'node:util';
import { it } from 'vitest';

export interface TapeTest {
  ok(value: unknown, message?: string): void;
  error(error: unknown, message?: string): void;
  equal(actual: unknown, expected: unknown, message?: string): void;
  deepEqual(actual: unknown, expected: unknown, message?: string): void;
  end(error?: unknown): void;
}

export function tape(name: string, body: (t: TapeTest) => void): void {
  it(name, () => {
    return new Promise<void>((resolve, reject) => {
      let ended = false;
      const hold = (holds: boolean, message: string): void => {
        if (ended) reject(new Error(`after the end: ${message}`));
        if (!holds) reject(new Error(message));
      };
      body({
        ok: (value, message = 'should be truthy') => hold(Boolean(value), message),
        error: (error, message = 'should be no error') => hold(!error, `${message}: ${String(error)}`),
        equal: (actual, expected, message = 'should be equal') =>
          hold(Object.is(actual, expected), `${message}: ${String(actual)}, not ${String(expected)}`),
        deepEqual: (actual, expected, message = 'should be deeply equal') =>
          hold(isDeepStrictEqual(actual, expected), `${message}: ${String(actual)}, not ${String(expected)}`),
        end: (error) => {
          hold(!error, String(error));
          ended = true;
          // What happens in the same turn after the end is still held against the test.
          setImmediate(resolve);
        },
      });
    });
  });
}
