/** What a command prints: lines and tables for people, one JSON document for programs. */
import Table from 'cli-table3';

export function printLine(text = ''): void {
  process.stdout.write(`${text}\n`);
}

export function printJson(value: unknown): void {
  printLine(JSON.stringify(value, null, 2));
}

/** Rows under a head, without lines between; columns named in `right` are numbers. */
export function formatTable(head: string[], rows: (string | number)[][], right: string[] = []): string {
  const table = new Table({
    head,
    colAligns: head.map((name) => (right.includes(name) ? 'right' : 'left')),
    style: { head: [], border: [], compact: true },
  });
  table.push(...rows);
  return table.toString();
}

/** `name: value` lines, the values aligned. */
export function formatFields(fields: [name: string, value: string | number][]): string {
  const width = Math.max(...fields.map(([name]) => name.length)) + 1;
  return fields.map(([name, value]) => `${`${name}:`.padEnd(width)} ${value}`).join('\n');
}

/** A time as ISO 8601 in UTC, whole seconds. */
export function formatTime(timeMs: number): string {
  return new Date(timeMs).toISOString().replace(/\.\d+Z$/, 'Z');
}
