/**
 * Names as bytes: what a name may be, and how a string becomes one.
 *
 * A name is 1 to 255 bytes of UTF-8 without NUL; '/' is an ordinary character. Names are compared byte by byte, which for
 * UTF-8 is the order of code points. Any thread may call these; they touch nothing shared.
 */
import { invalidArgType, StoreError } from '../errors.js';
import { MAX_NAME_BYTES } from '../units.js';

const encoder = new TextEncoder();
const LONE_SURROGATE = /[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/;

/** The bytes of a file's name; throws as POSIX names the mistakes. `argument` is what the caller's parameter is called. */
export function encodeName(name: string, syscall: string, argument = 'name'): Uint8Array {
  if (typeof name !== 'string') throw invalidArgType(argument, 'of type string', name);
  if (name.length === 0) throw new StoreError('ENOENT', { syscall, path: name, detail: 'the name is empty' });
  const bytes = encodeText(name, syscall);
  if (bytes.length > MAX_NAME_BYTES) {
    throw new StoreError('ENAMETOOLONG', {
      syscall,
      path: name,
      detail: `${bytes.length} bytes of UTF-8, the limit is ${MAX_NAME_BYTES}`,
    });
  }
  return bytes;
}

/** The bytes of a prefix, or of a name to go on after: any length, since they need not name a file. */
export function encodePrefix(text: string, syscall: string, argument = 'prefix'): Uint8Array {
  if (typeof text !== 'string') throw invalidArgType(argument, 'of type string', text);
  return encodeText(text, syscall);
}

function encodeText(text: string, syscall: string): Uint8Array {
  const ascii = encodeAscii(text);
  if (ascii !== null) return ascii;
  if (text.includes('\0')) throw new StoreError('EINVAL', { syscall, path: text, detail: 'a name holds no NUL' });
  if (LONE_SURROGATE.test(text)) {
    throw new StoreError('EINVAL', { syscall, path: text, detail: 'a lone surrogate has no UTF-8 form' });
  }
  return encoder.encode(text);
}

/** Most names are plain, and a call of the encoder costs more than they do. Null for others, and where there is a NUL. */
function encodeAscii(text: string): Uint8Array | null {
  if (text.length > MAX_NAME_BYTES) return null;
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code === 0 || code > 0x7f) return null;
    bytes[i] = code;
  }
  return bytes;
}

/** Negative, zero or positive as `a` comes before, equals or comes after `b`. */
export function compareNames(a: Uint8Array, b: Uint8Array): number {
  const shared = Math.min(a.length, b.length);
  for (let i = 0; i < shared; i++) {
    const difference = a[i] - b[i];
    if (difference !== 0) return difference;
  }
  return a.length - b.length;
}
