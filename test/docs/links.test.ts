/** What the documents point at is there: files, headings, environment variables. */
import { existsSync, readdirSync, statSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { describe, expect, it } from 'vitest';
import { DOCUMENTS, filesUnder, quoted, ROOT, read, section, tableRows } from './markdown.js';

/** Names that are paths in the repository. */
const FILE = /^(src|test|bench|workers|scripts|examples|docs)\/[\w./-]+\.(ts|mjs|md|js)$/;
const FOLDER = /^(src|test|bench|workers|scripts|examples|docs)\/([\w-]+\/)*$/;
const VARIABLE = /\b(EMMENTAL|FILE_MODEL)_[A-Z_]+\b/g;

/** As GitHub makes them. */
function anchorsOf(text: string): string[] {
  return [...text.matchAll(/^#+ (.*)$/gm)].map(([, heading]) =>
    heading
      .toLowerCase()
      .replace(/[^\w\- ]/g, '')
      .replaceAll(' ', '-'),
  );
}

describe.each(DOCUMENTS)('%s', (path) => {
  const text = read(path);

  it('links to files and headings that exist', () => {
    const broken: string[] = [];
    for (const [, target] of text.matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^https?:/.test(target)) continue;
      const [file, anchor] = target.split('#');
      const linked = file === '' ? path : normalize(join(dirname(path), file));
      if (!existsSync(join(ROOT, linked))) broken.push(target);
      else if (anchor !== undefined && !anchorsOf(read(linked)).includes(anchor)) broken.push(target);
    }
    expect(broken).toEqual([]);
  });

  it('names files and folders that exist', () => {
    const missing = quoted(text).filter((name) => {
      if (FILE.test(name)) return !existsSync(join(ROOT, name));
      return FOLDER.test(name) && !(existsSync(join(ROOT, name)) && statSync(join(ROOT, name)).isDirectory());
    });
    expect(missing).toEqual([]);
  });
});

describe('environment variables', () => {
  const code = ['src', 'test', 'bench', 'scripts', 'examples'].flatMap((folder) => filesUnder(folder, /\.(ts|mjs)$/));
  const isRead = new Set(
    code.flatMap((file) => [...read(file).matchAll(/process\.env(?:\.|\[')(\w+)/g)].map(([, name]) => name)),
  );

  it('that the documents name are read somewhere', () => {
    const named = new Set(DOCUMENTS.flatMap((path) => read(path).match(VARIABLE) ?? []));
    expect([...named].filter((name) => !isRead.has(name))).toEqual([]);
  });

  it('that are read are described in docs/testing.md', () => {
    const described: string[] = read('docs/testing.md').match(VARIABLE) ?? [];
    const ours = [...isRead].filter((name) => /^(EMMENTAL|FILE_MODEL)_/.test(name));
    expect(ours.filter((name) => !described.includes(name))).toEqual([]);
  });
});

it('docs/testing.md describes every folder of tests', () => {
  const folders = readdirSync(join(ROOT, 'test')).filter((name) => statSync(join(ROOT, 'test', name)).isDirectory());
  const described = tableRows(section(read('docs/testing.md'), 'What there is')).map(([folder]) => quoted(folder)[0]);
  expect([...described].sort()).toEqual(folders.map((name) => `test/${name}/`).sort());
});

it('the change log begins with the version of the package', () => {
  const { version } = JSON.parse(read('package.json')) as { version: string };
  expect(/^## (\S+)/m.exec(read('CHANGELOG.md'))?.[1]).toBe(version);
});
