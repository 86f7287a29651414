/** Bytes for tests: recognisable, never zero, and the same again for the same seed. */

export function pattern(length: number, seed = 1): Buffer {
  const bytes = Buffer.allocUnsafe(length);
  let x = (seed * 2654435761) >>> 0 || 1;
  for (let i = 0; i < length; i++) {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    bytes[i] = x & 0xff || 1;
  }
  return bytes;
}

/** Compares without printing megabytes when they differ. */
export function expectBytes(found: Uint8Array, expected: Uint8Array, what = 'the content'): void {
  if (Buffer.compare(found, expected) === 0) return;
  if (found.length !== expected.length) throw new Error(`${what} has ${found.length} bytes, not ${expected.length}`);
  const at = found.findIndex((byte, i) => byte !== expected[i]);
  const differing = found.reduce((n, byte, i) => n + Number(byte !== expected[i]), 0);
  throw new Error(`${what}: byte ${at} is ${found[at]}, not ${expected[at]}; ${differing} bytes differ`);
}

export function isZero(bytes: Uint8Array): boolean {
  return bytes.every((byte) => byte === 0);
}
