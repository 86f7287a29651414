/**
 * The workloads of the power-cut machine: all sequences of a few operations on a small store, and long random ones.
 *
 * All sequences follow ACE's idea (Mohan et al., "Finding Crash-Consistency Bugs with Bounded Black-Box Crash Testing", OSDI
 * 2018): bugs show after few operations on few files, if all of them are tried. Each operation has one place here where it
 * meets the others' traces. Pure functions of their arguments.
 */
import type { CrashModel } from './crash-model.js';
import type { CrashOperation } from './crash-operation.js';
import type { CrashRandom } from './crash-random.js';

const BLOCK = 4096;

/** What the store holds before: `a` of four blocks and a bit, `b` of two. `c` is not there. */
export const SEQUENCE_BASE: CrashOperation[] = [
  { kind: 'create', name: 'a' },
  { kind: 'write', name: 'a', position: 0, length: 4 * BLOCK + 1000 },
  { kind: 'create', name: 'b' },
  { kind: 'write', name: 'b', position: 0, length: 2 * BLOCK },
];

export const SEQUENCE_ALPHABET: readonly CrashOperation[] = [
  { kind: 'create', name: 'c' },
  { kind: 'write', name: 'a', position: BLOCK, length: BLOCK },
  { kind: 'write', name: 'b', position: 100, length: 2 * BLOCK },
  { kind: 'write', name: 'c', position: 0, length: BLOCK + 500 },
  { kind: 'append', name: 'a', length: 6000 },
  { kind: 'punch', name: 'a', position: BLOCK, length: 2 * BLOCK },
  { kind: 'zero', name: 'a', position: BLOCK / 2, length: 2 * BLOCK },
  { kind: 'truncate', name: 'a', position: 5000 },
  { kind: 'truncate', name: 'a', position: 10 * BLOCK },
  { kind: 'fallocate', name: 'a', position: 4 * BLOCK, length: 4 * BLOCK },
  { kind: 'collapse', name: 'a', position: BLOCK, length: BLOCK },
  { kind: 'insert', name: 'a', position: BLOCK, length: 2 * BLOCK },
  { kind: 'rename', name: 'a', to: 'b' },
  { kind: 'rename', name: 'a', to: 'c' },
  { kind: 'unlink', name: 'a' },
  { kind: 'sync', name: 'a' },
  { kind: 'datasync', name: 'a' },
  { kind: 'syncAll', name: '' },
];

/** All sequences of exactly `length` operations. */
export function* allSequences(length: number): Generator<CrashOperation[]> {
  if (length === 0) {
    yield [];
    return;
  }
  for (const shorter of allSequences(length - 1)) for (const last of SEQUENCE_ALPHABET) yield [...shorter, last];
}

const ENDINGS: readonly CrashOperation[] = [
  { kind: 'syncAll', name: '' },
  { kind: 'sync', name: 'a' },
  { kind: 'sync', name: 'b' },
  { kind: 'sync', name: 'c' },
  { kind: 'commit', name: '' },
];

/** The sequence with what the background may do in between, and with one of the endings; now and then with none. */
export function dressed(sequence: readonly CrashOperation[], random: CrashRandom): CrashOperation[] {
  const dress: CrashOperation[] = [];
  for (const operation of sequence) {
    dress.push(operation);
    const chance = random.below(8);
    if (chance === 2) dress.push({ kind: 'writeUnlinked', name: '', length: 2 * BLOCK });
    if (chance >= 2 && chance <= 3) dress.push({ kind: 'closeAll', name: '' });
    if (chance === 0) dress.push({ kind: 'commit', name: '' });
    if (chance <= 1) dress.push({ kind: 'writeback', name: operation.to ?? operation.name });
  }
  const ending = random.below(ENDINGS.length + 1);
  if (ending < ENDINGS.length) dress.push(ENDINGS[ending]);
  return dress;
}

const FILES_MAX = 6;
const FILE_BLOCKS_MAX = 14;
const WEIGHTS: readonly [CrashOperation['kind'], number][] = [
  ['create', 6],
  ['write', 30],
  ['append', 10],
  ['truncate', 8],
  ['punch', 8],
  ['zero', 5],
  ['fallocate', 5],
  ['collapse', 5],
  ['insert', 5],
  ['rename', 6],
  ['unlink', 5],
  ['sync', 8],
  ['datasync', 4],
  ['syncAll', 3],
  ['writeback', 8],
  ['commit', 6],
  ['writeUnlinked', 4],
  ['closeAll', 2],
];
const WEIGHT_SUM = WEIGHTS.reduce((sum, [, weight]) => sum + weight, 0);

/** An endless random workload on files whose names begin with `prefix`. Some of it will be impossible. */
export function* randomOperations(random: CrashRandom, prefix = ''): Generator<CrashOperation> {
  for (;;) {
    const kind = drawKind(random);
    const name = `${prefix}${random.below(FILES_MAX)}`;
    const isAligned = kind === 'collapse' || kind === 'insert';
    const unit = isAligned || random.chance(0.5) ? BLOCK : 1;
    const limit = (FILE_BLOCKS_MAX * BLOCK) / unit;
    const position = random.below(limit) * unit;
    const length = (1 + random.below(Math.min(limit, isAligned ? 3 : (4 * BLOCK) / unit))) * unit;
    const operation: CrashOperation = { kind, name };
    if (kind === 'rename') operation.to = `${prefix}${random.below(FILES_MAX)}`;
    if (kind === 'truncate') operation.position = position;
    if (kind === 'append') operation.length = length;
    if (kind === 'writeUnlinked') Object.assign(operation, { name: '', length });
    if (['write', 'punch', 'zero', 'fallocate', 'collapse', 'insert'].includes(kind)) {
      operation.position = position;
      operation.length = length;
    }
    yield ['syncAll', 'commit', 'closeAll'].includes(kind) ? { kind, name: '' } : operation;
  }
}

const SCATTERED_BLOCKS = 80;
const SCATTERED_WRITES = 24;

/**
 * Files of so many extents that their trees need blocks of their own, cut or removed again, beside files that take those
 * blocks over for data: metadata that becomes data while the log still holds it.
 */
export function* scatteredOperations(random: CrashRandom): Generator<CrashOperation> {
  const sync = (name: string): CrashOperation =>
    random.chance(0.5) ? { kind: 'sync', name } : { kind: 'syncAll', name: '' };
  for (let round = 0; ; round++) {
    const name = `s${round % 2}`;
    yield { kind: 'create', name };
    for (let n = 0; n < SCATTERED_WRITES; n++) {
      yield { kind: 'write', name, position: random.below(SCATTERED_BLOCKS / 2) * 2 * BLOCK, length: BLOCK };
    }
    yield sync(name);
    if (random.chance(0.5)) yield { kind: 'punch', name, position: 0, length: (SCATTERED_BLOCKS / 2) * BLOCK };
    yield random.chance(0.5) ? { kind: 'unlink', name } : { kind: 'truncate', name, position: 0 };
    yield random.chance(0.5) ? { kind: 'commit', name: '' } : sync(name);
    const heir = `d${round % 2}`;
    yield { kind: 'create', name: heir };
    yield { kind: 'truncate', name: heir, position: 0 };
    yield { kind: 'write', name: heir, position: 0, length: (8 + random.below(56)) * BLOCK };
    yield sync(heir);
  }
}

const CUT_BLOCKS_MAX = 8;

/**
 * Two files that are written, cut shorter and made longer again, and now and then something that commits: what a truncation has
 * still to do when another thread's commit makes its first transaction durable.
 */
export function* cuttingOperations(random: CrashRandom, prefix = ''): Generator<CrashOperation> {
  for (let round = 0; ; round++) {
    const name = `${prefix}${round % 2}`;
    const size = (2 + random.below(CUT_BLOCKS_MAX - 1)) * BLOCK;
    yield { kind: 'create', name };
    yield { kind: 'write', name, position: 0, length: size };
    yield random.chance(0.5) ? { kind: 'writeback', name } : { kind: 'sync', name };
    yield { kind: 'truncate', name, position: random.below(size - BLOCK) };
    if (random.chance(0.5)) yield { kind: 'commit', name: '' };
    if (random.chance(0.3)) yield { kind: 'truncate', name, position: size };
  }
}

function drawKind(random: CrashRandom): CrashOperation['kind'] {
  let left = random.below(WEIGHT_SUM);
  for (const [kind, weight] of WEIGHTS) {
    left -= weight;
    if (left < 0) return kind;
  }
  return 'write';
}

/** Whether no operation of the sequence is impossible when it comes: one with such operations equals a shorter one. */
export function isPossibleSequence(sequence: readonly CrashOperation[], start: CrashModel): boolean {
  const model = start.fork();
  for (const operation of sequence) {
    if (!model.isPossible(operation)) return false;
    model.begin(operation, 0);
  }
  return true;
}
