import { describe, expect, it } from 'vitest';
import {
  excludesFills,
  faultsUnderOwnLock,
  isSafe,
  LOCK_COLUMNS,
  OPERATIONS,
  Operation,
  readsAtomically,
  rowsExclude,
  type Scheme,
  serialisesChanges,
} from '#dist/src/locking/scheme.js';
import { DEFAULT_SCHEME, schemeByName, schemes } from '#dist/src/locking/schemes.js';

function find(name: string): Scheme {
  const scheme = schemeByName(name);
  if (scheme === undefined) throw new Error(`no scheme ${name}`);
  return scheme;
}

const cellsOf = ({ table, locks }: Scheme): string => JSON.stringify([table, locks]);

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

  it('are called safe exactly where their table is, and say what they break where not', () => {
    for (const scheme of schemes) {
      expect(isSafe(scheme), scheme.name).toBe(scheme.safe);
      expect(scheme.breaks === null, scheme.name).toBe(scheme.safe);
    }
  });

  it('let reads be atomic exactly where the table says so', () => {
    for (const scheme of schemes) {
      expect(scheme.readAtomicity, scheme.name).toBe(readsAtomically(scheme) ? 'request' : 'none');
    }
  });

  it('have names of their own, and tables of their own unless they are aliases', () => {
    expect(new Set(schemes.map(({ name }) => name)).size).toBe(schemes.length);
    const owners = new Map<string, string>();
    for (const scheme of schemes) {
      const owner = owners.get(cellsOf(scheme));
      expect(scheme.aliasOf, scheme.name).toBe(owner ?? null);
      if (owner === undefined) owners.set(cellsOf(scheme), scheme.name);
      else expect(scheme.readAtomicity, scheme.name).toBe(find(owner).readAtomicity);
    }
  });

  it('say where they come from', () => {
    for (const { name, protects, source, description } of schemes) {
      for (const text of [protects, source, description]) expect(text.length, name).toBeGreaterThan(5);
    }
  });

  it('give operations that a file system does not have what its truncation takes', () => {
    for (const { name, table, absent } of schemes) {
      for (const operation of absent.filter((each) => each === 'punch' || each === 'zero' || each === 'shift')) {
        expect(table[operation], `${name} ${operation}`).toEqual(table.truncate);
      }
    }
  });

  it('reproduce what the series says of each file system', () => {
    const excluded = (name: string, fill: 'readMiss' | 'readahead' | 'willNeed' | 'fault') =>
      rowsExclude(find(name), fill, 'punch');
    for (const name of ['ext4-before', 'f2fs-before', 'fuse-before']) {
      expect(excluded(name, 'fault'), name).toBe(true);
      expect(excluded(name, 'readMiss') || excluded(name, 'readahead') || excluded(name, 'willNeed'), name).toBe(false);
    }
    for (const name of ['ext4', 'f2fs', 'xfs-before', 'xfs', 'ext2', 'zonefs', 'fuse', 'ceph', 'fault-hits']) {
      expect(find(name).safe, name).toBe(true);
    }
    expect(excluded('ceph-before', 'fault')).toBe(false);
    expect(excluded('ceph-before', 'readMiss')).toBe(true);
    for (const fill of ['readMiss', 'readahead', 'willNeed', 'fault'] as const) {
      expect(excluded('cifs-before', fill)).toBe(false);
      expect(excluded('cifs', fill)).toBe(true);
    }
    expect(excludesFills(find('cifs'))).toBe(false);
    expect(serialisesChanges(find('cifs'))).toBe(false);
    expect(schemes.filter(faultsUnderOwnLock).map(({ name }) => name)).toEqual(['gfs2']);
  });

  it('are found by name', () => {
    expect(schemeByName(DEFAULT_SCHEME)?.safe).toBe(true);
    expect(schemeByName('xfs')?.aliasOf).toBe('i-rwsem');
    expect(schemeByName('ext3')).toBeUndefined();
  });
});
