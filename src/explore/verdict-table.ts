/**
 * The verdict table: schemes by scenarios, as Markdown. A table for each family of scenarios, a row for each scenario, a
 * column for each scheme.
 *
 * A cell is `safe N/P`: N schedules with at most P preemptions are all that are different (`N` alone: there are no others;
 * `N+/P`: all of these, and some with more, until the limit came); or what breaks and the choices that break it, to be replayed as
 * `VERSION:SCHEME:SCENARIO:CHOICES`.
 */
import { schemes } from '../locking/schemes.js';
import type { Verdict } from './explore.js';
import { scenarios } from './scenarios.js';
import { SCHEDULE_VERSION } from './schedule.js';

const BEGIN = '<!-- verdicts -->';
/** It goes first by default: a schedule without a choice, written so that it can be seen. */
const FIRST_THREAD = 'A';
const END = '<!-- /verdicts -->';

export function formatCell({ schedules, isComplete, bound, failures, strategy }: Verdict): string {
  if (failures.length > 0) {
    const others = failures.slice(1).map(({ kind }) => kind);
    const also = others.length > 0 ? `, ${others.join(', ')}` : '';
    return `**${failures[0].kind}** \`${failures[0].schedule.split(':')[3] || FIRST_THREAD}\`${also}`;
  }
  if (strategy === 'random') return `safe, ${schedules} at random`;
  if (bound === Number.POSITIVE_INFINITY) return `safe ${schedules}`;
  return `safe ${schedules}${isComplete ? '' : '+'}/${Math.max(bound, 0)}`;
}

/** What a cell says: the kind of failure and the schedule, or null where it is safe. */
export function parseCell(cell: string, scheme: string, scenario: string): { kind: string; schedule: string } | null {
  const match = /^\*\*([a-z-]+)\*\* `([^`]*)`/.exec(cell);
  if (match === null) return null;
  return { kind: match[1], schedule: `${SCHEDULE_VERSION}:${scheme}:${scenario}:${match[2]}` };
}

/** The tables, between their marks. Cells that were not explored stay as they are in `before`. */
export function formatTables(verdicts: readonly Verdict[], before: readonly TableCell[] = []): string {
  const fresh = verdicts.map((verdict) => ({ ...verdict, text: formatCell(verdict) }));
  const all: readonly TableCell[] = [...before, ...fresh];
  const names = schemes.map(({ name }) => name as string).filter((name) => all.some(({ scheme }) => scheme === name));
  const cells = new Map(all.map(({ scenario, scheme, text }) => [`${scenario} ${scheme}`, text]));
  const explored = scenarios.filter(({ name }) => all.some(({ scenario }) => scenario === name));
  const lines = [BEGIN, ''];
  const aliases = schemes.filter(({ aliasOf }) => aliasOf !== null && names.includes(aliasOf));
  if (aliases.length > 0) {
    lines.push('The same tables under other names, and so the same verdicts:');
    lines.push(`${aliases.map(({ name, aliasOf }) => `\`${name}\` is \`${aliasOf}\``).join(', ')}.`, '');
  }
  for (const family of new Set(explored.map((scenario) => scenario.family))) {
    lines.push(`### ${family}`, '', `| scenario | ${names.join(' | ')} |`, `| --- |${' --- |'.repeat(names.length)}`);
    for (const { name } of explored.filter((scenario) => scenario.family === family)) {
      lines.push(`| \`${name}\` | ${names.map((scheme) => cells.get(`${name} ${scheme}`) ?? '').join(' | ')} |`);
    }
    lines.push('');
  }
  lines.push(END);
  return lines.join('\n');
}

/** The document with its tables replaced, or the tables alone where there is no document yet. */
export function replaceTables(document: string, tables: string): string {
  const begin = document.indexOf(BEGIN);
  const end = document.indexOf(END);
  if (begin < 0 || end < begin) return `# Verdicts\n\n${tables}\n`;
  return document.slice(0, begin) + tables + document.slice(end + END.length);
}

export interface TableCell {
  readonly scheme: string;
  readonly scenario: string;
  readonly text: string;
}

/** The cells of a document's tables. */
export function readTables(document: string): TableCell[] {
  const found: TableCell[] = [];
  let names: string[] = [];
  for (const line of document.slice(document.indexOf(BEGIN), document.indexOf(END)).split('\n')) {
    const cells = line.split(' | ').map((cell) => cell.replace(/^\| | \|$/g, '').trim());
    if (cells[0] === 'scenario') names = cells.slice(1);
    const scenario = /^`([^`]+)`$/.exec(cells[0])?.[1];
    if (scenario === undefined) continue;
    names.forEach((scheme, i) => {
      found.push({ scheme, scenario, text: cells[i + 1] ?? '' });
    });
  }
  return found;
}
