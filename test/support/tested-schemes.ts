/**
 * The schemes that whole suites run under: each safe table once. The two that are compared are tested in full, the others
 * with a share of it. EMMENTAL_SCHEMES changes that: `all`, or names (aliases too), which are then tested in full.
 */
import { type Scheme, schemes } from '#dist/src/index.js';

const FULL = ['invalidate-lock', 'i-rwsem'];
const WANTED = (process.env['EMMENTAL_SCHEMES'] ?? '').split(',').filter((name) => name !== '');
const isAll = WANTED.length === 1 && WANTED[0] === 'all';

export const testedSchemes: readonly Scheme[] =
  WANTED.length === 0 || isAll
    ? schemes.filter(({ safe, aliasOf }) => safe && aliasOf === null)
    : schemes.filter(({ name }) => WANTED.includes(name));

if (testedSchemes.length === 0) throw new Error(`EMMENTAL_SCHEMES names no scheme: ${WANTED.join(',')}`);

export function isTestedInFull({ name }: Scheme): boolean {
  return WANTED.length > 0 || FULL.includes(name);
}
