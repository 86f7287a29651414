import { describe, expect, test } from 'vitest';
import { crc32c } from '#dist/bench/workloads/crc32c.js';
import { Stamp } from '#dist/bench/workloads/stamp.js';

test('CRC-32C has its check value, and the vectors of RFC 3720', () => {
  expect(crc32c(Buffer.from('123456789'))).toBe(0xe3069283);
  expect(crc32c(new Uint8Array(32))).toBe(0x8a9136aa);
  expect(crc32c(new Uint8Array(32).fill(0xff))).toBe(0x62a8ab43);
  expect(crc32c(Uint8Array.from({ length: 32 }, (_, i) => i))).toBe(0x46dd794e);
});

describe.each(['crc32c', 'crc32'] as const)('stamps with %s', (verify) => {
  const UNIT = 4096;
  const stamp = (file = 'f', thread = 1, holesAllowed = false) => new Stamp(verify, UNIT, thread, file, holesAllowed);

  function stamped(position: number, generation: number, units = 2): Uint8Array {
    const bytes = new Uint8Array(units * UNIT);
    stamp().write(bytes, position, generation);
    return bytes;
  }

  test('what was written is right, whoever reads it', () => {
    expect(stamp().check(stamped(8192, 3), 8192)).toBeNull();
    expect(stamp('f', 9).check(stamped(8192, 3), 8192)).toBeNull();
  });

  test('units of two writes side by side are right: a write is torn at most between units', () => {
    const bytes = stamped(0, 1);
    bytes.set(stamped(0, 2).subarray(UNIT), UNIT);
    expect(stamp().check(bytes, 0)).toBeNull();
  });

  test('a block of another position, of another file, and a unit torn inside are told apart', () => {
    expect(stamp().check(stamped(8192, 1), 4096)).toEqual({
      reason: 'bytes at 4096: stamped for position 8192',
      mayBeTorn: false,
    });
    expect(stamp('g').check(stamped(0, 1), 0)?.reason).toBe('bytes at 0: stamped for another file');
    const torn = stamped(0, 1);
    torn.set(stamped(0, 2).subarray(UNIT + 512), UNIT + 512);
    expect(stamp().check(torn, 0)).toEqual({
      reason: 'bytes at 4096: checksum of generation 1 of thread 1 does not match',
      mayBeTorn: true,
    });
  });

  test('any flipped bit is seen', () => {
    for (const at of [0, 5, 9, 17, 21, 25, 100, UNIT - 1]) {
      const bytes = stamped(4096, 5, 1);
      bytes[at] ^= 0x10;
      expect(stamp().check(bytes, 4096)).not.toBeNull();
    }
  });

  test('zeros are right only where holes may appear', () => {
    const zeros = new Uint8Array(UNIT);
    expect(stamp().check(zeros, 0)?.reason).toBe('bytes at 0: zeros where data were written');
    expect(stamp('f', 1, true).check(zeros, 0)).toBeNull();
    expect(stamp('f', 1, true).check(new Uint8Array(UNIT).fill(7), 0)?.reason).toBe('bytes at 0: no stamp');
  });
});
