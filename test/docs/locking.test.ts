/** docs/locking.md against the code: ranks, schemes, leaf mutexes, and the lock tree against what really happens. */
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { schemes } from '#dist/src/index.js';
import { excludes } from '#dist/src/locking/lock-types.js';
import {
  FILL_OPERATIONS,
  LOCK_COLUMNS,
  type LockColumn,
  OPERATIONS,
  type OperationName,
  type Scheme,
} from '#dist/src/locking/scheme.js';
import * as layout from '#dist/src/sync/layout.js';
import { LOCK_RANK_NAMES, Lockdep } from '#dist/src/sync/lockdep.js';
import { temporaryDirectory } from '../support/temporary.js';
import { isTestedInFull, testedSchemes } from '../support/tested-schemes.js';
import { exercise } from './exercise.js';
import { codeBlocks, expectPrinted, filesUnder, formatRows, quoted, read, section, tableRows } from './markdown.js';

const DOCUMENT = 'docs/locking.md';
const RANKED: string[] = LOCK_RANK_NAMES.slice(1);
const COLUMN_NAMES = { iRwsem: 'i_rwsem', invalidateLock: 'invalidate_lock' };
const directory = temporaryDirectory(true);

const owners = schemes.filter(({ aliasOf }) => aliasOf === null);

const sentence = (text: string): string => `${text[0].toUpperCase()}${text.slice(1)}.`;

function headOf(column: LockColumn, type: string): string {
  return type === 'rwsem' ? COLUMN_NAMES[column] : `${COLUMN_NAMES[column]}: ${type}`;
}

/** The locks by which two rows exclude each other. */
function guardians({ table, locks }: Scheme, a: OperationName, b: OperationName): string {
  const columns = LOCK_COLUMNS.filter((column) => excludes(locks[column], table[a][column], table[b][column]));
  return columns.length === 0 ? '–' : columns.map((column) => COLUMN_NAMES[column]).join(', ');
}

/** In lines of at most 120 characters. */
function wrap(text: string, indent: string): string[] {
  const lines = [''];
  for (const word of text.split(' ')) {
    const last = lines[lines.length - 1];
    if (last !== '' && last.length + 1 + word.length > 120) lines.push(`${indent}${word}`);
    else lines[lines.length - 1] = last === '' ? word : `${last} ${word}`;
  }
  return lines;
}

/** Where a scheme, or an alias of it, comes from, and what the file system does not have. */
function describeSource({ name, source, absent, aliasOf, description }: Scheme): string[] {
  const what = aliasOf === null ? '' : ` ${description}.`;
  const without = absent.length === 0 ? '' : ` Not in it: ${absent.map((each) => `\`${each}\``).join(', ')}.`;
  return wrap(`- \`${name}\`:${what} ${source}.${without}`, '  ');
}

/** Those tested in full, and those with other types of lock. */
const exercised = testedSchemes.filter(
  (scheme) => isTestedInFull(scheme) || LOCK_COLUMNS.some((column) => scheme.locks[column] !== 'rwsem'),
);

interface Edge {
  /** From the outermost lock down to the one that is taken. */
  path: string[];
  takers: string[];
}

/** The lines of the tree, each with the locks above it. */
function treeOf(text: string): Edge[] {
  const edges: Edge[] = [];
  const path: string[] = [];
  for (const line of text.trimEnd().split('\n')) {
    const [, indent, lock, takers] = /^( *)(?:->)?(\S.*?)(?: +\((.*)\))?$/.exec(line)!;
    path.length = indent.length / 2;
    path.push(lock);
    const names = (takers ?? '').split(/[,;] /).filter((name) => /^[A-Za-z]+(\.[A-Za-z]+)?$/.test(name));
    edges.push({ path: [...path], takers: names });
  }
  return edges;
}

describe(DOCUMENT, () => {
  const text = read(DOCUMENT);
  const tree = treeOf(codeBlocks(section(text, 'The tree'))[0].code);

  it('prints the ranks', () => {
    expectPrinted(DOCUMENT, 'ranks', RANKED.map((name, i) => `${i + 1}. ${name}`).join('\n'));
  });

  it('lists the schemes', () => {
    const rows = schemes.map(({ name, aliasOf, safe, readAtomicity, protects }) => [
      `\`${name}\``,
      aliasOf === null ? 'its own' : `\`${aliasOf}\``,
      safe ? 'safe' : 'unsafe',
      readAtomicity === 'request' ? 'atomic' : 'any mixture',
      protects,
    ]);
    expectPrinted(
      DOCUMENT,
      'list',
      formatRows(['scheme', 'table', 'verdict', 'reads beside writes', 'protects'], rows),
    );
  });

  it('shows what keeps fills away from a punch', () => {
    const rows = owners.map((scheme) => [
      `\`${scheme.name}\``,
      ...FILL_OPERATIONS.map((fill) => guardians(scheme, fill, 'punch')),
      guardians(scheme, 'write', 'punch'),
    ]);
    const head = ['scheme', ...[...FILL_OPERATIONS, 'write'].map((name) => `\`${name}\``)];
    expectPrinted(DOCUMENT, 'fills', formatRows(head, rows));
  });

  it('says what each unsafe scheme breaks', () => {
    const lines = schemes.flatMap(({ name, breaks }) =>
      breaks === null ? [] : wrap(`- \`${name}\`: ${breaks}.`, '  '),
    );
    expectPrinted(DOCUMENT, 'unsafe', lines.join('\n'));
  });

  it('prints the schemes', () => {
    const parts = owners.map((scheme) => {
      const { name, description, table, locks, readAtomicity, breaks } = scheme;
      const atomicity =
        readAtomicity === 'none' ? 'a read may see any mixture' : 'a read sees all of a write or nothing';
      const rows = OPERATIONS.map((operation) => [
        `\`${operation}\``,
        ...LOCK_COLUMNS.map((column) => (table[operation][column] === 'none' ? '–' : table[operation][column])),
      ]);
      const head = ['operation', ...LOCK_COLUMNS.map((column) => headOf(column, locks[column]))];
      const facts = `${sentence(description)} ${breaks === null ? 'Safe' : 'Not safe'}; ${atomicity}.`;
      const names = [scheme, ...schemes.filter(({ aliasOf }) => aliasOf === name)].flatMap(describeSource);
      return [`### ${name}`, ...wrap(facts, ''), '', ...names, '', formatRows(head, rows)]
        .join('\n')
        .replace('\n', '\n\n');
    });
    expectPrinted(DOCUMENT, 'schemes', parts.join('\n\n'));
  });

  it('describes every row of the schemes, and every lock', () => {
    expect(tableRows(section(text, 'Schemes')).map(([row]) => quoted(row)[0])).toEqual([...OPERATIONS]);
    expect(tableRows(section(text, 'The locks')).map(([lock]) => lock)).toEqual(RANKED);
  });

  it('names leaf mutexes that exist', () => {
    const { GlobalLock, Inode, Rwsem } = layout as unknown as Record<string, object>;
    for (const [name] of tableRows(section(text, 'Leaf mutexes'))) {
      expect({ ...GlobalLock, ...Inode, ...Rwsem }).toHaveProperty(quoted(name)[0]);
    }
  });

  it('has a tree that follows the ranks', () => {
    for (const { path } of tree) {
      const ranks = path.map((lock) => RANKED.indexOf(lock));
      expect(ranks, path.join(' ')).not.toContain(-1);
      const descends = ranks.some((rank, i) => i > 0 && rank <= ranks[i - 1] && path[i] !== 'page lock');
      expect(descends, path.join(' ')).toBe(false);
    }
  });

  it('names functions that exist', () => {
    const sources = filesUnder('src', /\.ts$/).map(read);
    const missing = tree
      .flatMap(({ takers }) => takers)
      .filter((name) => {
        const [last, owner] = name.split('.').reverse();
        return !sources.some(
          (source) =>
            new RegExp(`(function\\*? |^ +(private )?\\*?)${last}(<T>)?\\(`, 'm').test(source) &&
            (owner === undefined || source.includes(`class ${owner} `)),
        );
      });
    expect(missing).toEqual([]);
  });

  describe('when the engine runs', () => {
    const seen = new Map<string, string>();

    beforeAll(async () => {
      const { acquire } = Lockdep.prototype;
      Lockdep.prototype.acquire = function (this: Lockdep, rank, ...rest) {
        for (const held of (this as unknown as { ranks: number[] }).ranks) {
          const edge = `${LOCK_RANK_NAMES[held]} -> ${LOCK_RANK_NAMES[rank]}`;
          if (!seen.has(edge)) seen.set(edge, new Error(edge).stack ?? '');
        }
        return acquire.call(this, rank, ...rest);
      };
      try {
        for (const { name } of exercised) await exercise(join(directory, `${name}.img`), name);
      } finally {
        Lockdep.prototype.acquire = acquire;
      }
    });

    it('takes no lock under another that the tree does not show', () => {
      const shown = new Set(
        tree.flatMap(({ path }) => path.slice(0, -1).map((above) => `${above} -> ${path[path.length - 1]}`)),
      );
      const unknown = [...seen].filter(([edge]) => !shown.has(edge)).map(([, stack]) => stack);
      expect(unknown).toEqual([]);
      expect(seen.size).toBeGreaterThan(15);
    });
  });
});
