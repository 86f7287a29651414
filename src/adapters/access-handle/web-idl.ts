/** Conversions of arguments as Web IDL has them, with its `TypeError`s. */

/** `AllowSharedBufferSource`: an ArrayBuffer, a SharedArrayBuffer, or a view of one. */
export function bufferSource(value: unknown): Uint8Array {
  if (value instanceof Uint8Array) return value;
  if (ArrayBuffer.isView(value)) return new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
  if (value instanceof ArrayBuffer || value instanceof SharedArrayBuffer) return new Uint8Array(value);
  throw new TypeError('buffer: not an ArrayBuffer, a SharedArrayBuffer or a view of one');
}

/** `[EnforceRange] unsigned long long`. */
export function enforceRange(name: string, value: unknown): number {
  const number = Math.trunc(Number(typeof value === 'bigint' ? Number.NaN : value));
  if (number >= 0 && number <= Number.MAX_SAFE_INTEGER) return number + 0;
  throw new TypeError(`${name}: ${String(value)} is not in the range of an unsigned long long`);
}

/** `at` of a `FileSystemReadWriteOptions`; undefined where it is left out. */
export function readAtOption(options: unknown): number | undefined {
  if (options === undefined || options === null) return undefined;
  if (typeof options !== 'object' && typeof options !== 'function') throw new TypeError('options: not an object');
  const { at } = options as { at?: unknown };
  return at === undefined ? undefined : enforceRange('at', at);
}
