/** `emmental schemes [NAME]`: the locking schemes, or all about one of them. */
import type { Command } from 'commander';
import { type Scheme, schemes } from '../index.js';
import { formatFields, formatTable, printJson, printLine } from './print.js';
import { UsageError } from './usage-error.js';

interface SchemesOptions {
  json?: boolean;
}

export function registerSchemes(program: Command): void {
  program
    .command('schemes')
    .description('list the locking schemes that a store can be opened with, or tell all about one')
    .argument('[name]')
    .option('--json', 'print the result as JSON')
    .action(list);
}

function list(name: string | undefined, options: SchemesOptions): void {
  const chosen = name === undefined ? schemes : [find(name)];
  if (options.json) printJson(name === undefined ? chosen : chosen[0]);
  else if (name === undefined) printLine(overview(chosen));
  else printLine(details(chosen[0] as Scheme));
}

function find(name: string): Scheme {
  const scheme = schemes.find((each) => each.name === name);
  if (scheme === undefined) {
    throw new UsageError(`unknown scheme '${name}'; known are ${schemes.map((each) => each.name).join(', ')}`);
  }
  return scheme;
}

function overview(chosen: readonly Scheme[]): string {
  const rows = chosen.map(({ name, aliasOf, safe, readAtomicity, protects }) => [
    aliasOf === null ? name : `${name} (= ${aliasOf})`,
    safe ? 'safe' : 'unsafe',
    readAtomicity === 'request' ? 'atomic' : '',
    protects,
  ]);
  return formatTable(['scheme', 'verdict', 'reads', 'protects'], rows);
}

function details(scheme: Scheme): string {
  const { name, description, protects, source, aliasOf, breaks, absent, readAtomicity, table, locks } = scheme;
  const fields: [string, string][] = [
    ['scheme', aliasOf === null ? name : `${name}, the same table as ${aliasOf}`],
    ['description', description],
    ['protects', protects],
    ['verdict', breaks === null ? 'safe' : `unsafe: ${breaks}`],
    ['reads', readAtomicity === 'request' ? 'see all of a write or nothing of it' : 'may see any mixture'],
    ['source', source],
  ];
  if (absent.length > 0) fields.push(['not in it', `${absent.join(', ')}; here they take what truncate takes`]);
  const cell = (hold: string) => (hold === 'none' ? '' : hold);
  const rows = Object.entries(table).map(([row, holds]) => [row, cell(holds.iRwsem), cell(holds.invalidateLock)]);
  const head = ['operation', `i_rwsem (${locks.iRwsem})`, `invalidate_lock (${locks.invalidateLock})`];
  return `${formatFields(fields)}\n\n${formatTable(head, rows)}`;
}
