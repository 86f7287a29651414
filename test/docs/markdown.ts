/**
 * What tests of the documents need: the text, its code blocks and tables, and the parts that are printed from the code.
 *
 * A printed part stands between `<!-- name -->` and `<!-- /name -->`. A test compares it with what the code says now;
 * `EMMENTAL_DOCS=write npx vitest run test/docs` writes it instead.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { expect } from 'vitest';

export const ROOT = resolve(import.meta.dirname, '../..');
const WRITES = process.env.EMMENTAL_DOCS === 'write';

/** The documents, relative to the repository. */
export const DOCUMENTS = [
  'README.md',
  'CHANGELOG.md',
  'CONTRIBUTING.md',
  ...readdirSync(join(ROOT, 'docs')).map((name) => `docs/${name}`),
].filter((path) => path.endsWith('.md'));

export function read(path: string): string {
  return readFileSync(join(ROOT, path), 'utf8');
}

/** The printed part `name` of a document says `body`, line for line. */
export function expectPrinted(path: string, name: string, body: string): void {
  const text = read(path);
  const [open, close] = [`<!-- ${name} -->\n`, `<!-- /${name} -->`];
  const [start, to] = [text.indexOf(open), text.indexOf(close)];
  expect(start >= 0 && to > start, `${path} has a part '${name}'`).toBe(true);
  const from = start + open.length;
  const wanted = `\n${body.trim()}\n\n`;
  if (WRITES) writeFileSync(join(ROOT, path), text.slice(0, from) + wanted + text.slice(to));
  else expect(text.slice(from, to)).toBe(wanted);
}

export interface CodeBlock {
  language: string;
  code: string;
}

export function codeBlocks(text: string): CodeBlock[] {
  return [...text.matchAll(/^```(\w*)\n(.*?)^```$/gms)].map(([, language, code]) => ({ language, code }));
}

/** The text under a heading, down to the next one of its level or above. */
export function section(text: string, heading: string): string {
  const lines = text.split('\n');
  const start = lines.findIndex((line) => /^#+ /.test(line) && line.replace(/^#+ /, '') === heading);
  expect(start, `heading '${heading}'`).toBeGreaterThanOrEqual(0);
  const level = lines[start].indexOf(' ');
  const length = lines.slice(start + 1).findIndex((line) => /^#+ /.test(line) && line.indexOf(' ') <= level);
  return lines.slice(start + 1, length < 0 ? undefined : start + 1 + length).join('\n');
}

/** The cells of the first table of a text, its head left out. */
export function tableRows(text: string): string[][] {
  const lines = text.split('\n');
  const start = lines.findIndex((line) => line.startsWith('|'));
  const length = lines.slice(start).findIndex((line) => !line.startsWith('|'));
  const rows = lines.slice(start, length < 0 ? undefined : start + length).map((line) =>
    line
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim()),
  );
  return rows.slice(2);
}

export function formatRows(head: string[], rows: string[][]): string {
  const line = (cells: string[]) => `| ${cells.join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}

/** What stands in backquotes. */
export function quoted(text: string): string[] {
  return [...text.matchAll(/`([^`\n]+)`/g)].map(([, code]) => code);
}

/** The repository's files below a folder that end so. */
export function filesUnder(folder: string, extension: RegExp): string[] {
  return readdirSync(join(ROOT, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = `${folder}/${entry.name}`;
    if (entry.isDirectory()) return filesUnder(path, extension);
    return extension.test(path) ? [path] : [];
  });
}
