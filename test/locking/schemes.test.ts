import { describe, expect, it } from 'vitest';
import {
  DEFAULT_SCHEME,
  excludesFills,
  LOCK_COLUMNS,
  OPERATIONS,
  Operation,
  schemeByName,
  schemes,
} from '#dist/src/locking/schemes.js';

describe('locking schemes', () => {
  it('have a row for every operation and a cell for every lock', () => {
    for (const { table } of schemes) {
      expect(Object.keys(table)).toEqual([...OPERATIONS]);
      for (const name of OPERATIONS) expect(Object.keys(table[name])).toEqual([...LOCK_COLUMNS]);
    }
  });

  it('number their operations in the order of the rows', () => {
    expect(OPERATIONS[Operation.ReadHit]).toBe('readHit');
    expect(OPERATIONS[Operation.FaultHit]).toBe('faultHit');
    expect(OPERATIONS[Operation.Shift]).toBe('shift');
    expect(OPERATIONS[Operation.Writeback]).toBe('writeback');
    expect(OPERATIONS).toHaveLength(Operation.Writeback + 1);
  });

  it('are safe exactly where the table keeps fills away from invalidations', () => {
    for (const scheme of schemes) expect(excludesFills(scheme), scheme.name).toBe(scheme.safe);
  });

  it('let reads be atomic exactly where reads and writes exclude each other', () => {
    for (const { name, table, readAtomicity } of schemes) {
      const excluded = LOCK_COLUMNS.some((c) => table.readHit[c] !== 'none' && table.write[c] === 'exclusive');
      expect(readAtomicity, name).toBe(excluded ? 'request' : 'none');
    }
  });

  it('are found by name', () => {
    expect(schemeByName('i-rwsem')?.safe).toBe(true);
    expect(schemeByName(DEFAULT_SCHEME)?.safe).toBe(true);
    expect(schemeByName('xfs')).toBeUndefined();
  });
});
