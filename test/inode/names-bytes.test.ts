import { describe, expect, it } from 'vitest';
import { compareNames, encodeName, encodePrefix } from '#dist/src/inode/name-bytes.js';

function codeOf(call: () => unknown): string | undefined {
  try {
    call();
  } catch (error) {
    return (error as { code?: string }).code;
  }
  return undefined;
}

describe('encodeName', () => {
  it('takes 1 to 255 bytes of UTF-8', () => {
    expect(Buffer.from(encodeName('a/ä水🜁', 'open')).toString()).toBe('a/ä水🜁');
    expect(encodeName('x'.repeat(255), 'open')).toHaveLength(255);
    expect(encodeName('ä'.repeat(127), 'open')).toHaveLength(254);
    expect(encodeName('.', 'open')).toHaveLength(1);
  });

  it('names the mistakes as POSIX and Node do', () => {
    expect(codeOf(() => encodeName('', 'open'))).toBe('ENOENT');
    expect(codeOf(() => encodeName('x'.repeat(256), 'open'))).toBe('ENAMETOOLONG');
    expect(codeOf(() => encodeName('ä'.repeat(128), 'open'))).toBe('ENAMETOOLONG');
    expect(codeOf(() => encodeName('a\0b', 'open'))).toBe('EINVAL');
    for (const name of ['\ud800', 'a\udc00', '\ud800\ud800\udc00', 'x\udc00\ud800']) {
      expect(codeOf(() => encodeName(name, 'open'))).toBe('EINVAL');
    }
    for (const name of [undefined, null, 1, {}, Buffer.from('a')]) {
      expect(codeOf(() => encodeName(name as string, 'open'))).toBe('ERR_INVALID_ARG_TYPE');
    }
  });

  it('says which call and which name', () => {
    expect(() => encodeName('x'.repeat(300), 'rename', 'to')).toThrow(
      /^ENAMETOOLONG: name too long: 300 bytes of UTF-8, the limit is 255, rename 'xxx/,
    );
    expect(() => encodeName(5 as unknown as string, 'rename', 'to')).toThrow(
      'The "to" argument must be of type string',
    );
  });
});

describe('encodePrefix', () => {
  it('takes any length, also none', () => {
    expect(encodePrefix('', 'list')).toHaveLength(0);
    expect(encodePrefix('x'.repeat(300), 'list')).toHaveLength(300);
    expect(codeOf(() => encodePrefix('\ud800', 'list'))).toBe('EINVAL');
    expect(codeOf(() => encodePrefix(7 as unknown as string, 'list'))).toBe('ERR_INVALID_ARG_TYPE');
  });
});

describe('compareNames', () => {
  it('orders by bytes, which is by code points', () => {
    const names = ['a', 'a/', 'a/b', 'aa', 'b', 'z', 'ä', '水', '\uffee', '🜁'];
    const bytes = names.map((name) => new TextEncoder().encode(name));
    for (let i = 0; i < names.length; i++) {
      for (let k = 0; k < names.length; k++) expect(Math.sign(compareNames(bytes[i], bytes[k]))).toBe(Math.sign(i - k));
    }
  });
});
