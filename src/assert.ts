/** Invariants of the engine's own code. A failure is a bug in the engine, never a user's mistake or a bad device. */

export class AssertionError extends Error {
  override readonly name = 'AssertionError';
}

export function assert(condition: boolean, message: string): asserts condition {
  if (!condition) throw new AssertionError(message);
}

export function unreachable(message: string): never {
  throw new AssertionError(message);
}
