/** Holds the import table of docs/ARCHITECTURE.md against the real imports: no upward import, no cycle, no dead file. */
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { MAY_IMPORT } from './support/import-table.js';

const ROOT = resolve(import.meta.dirname, '..');
const SOURCES = ['src', 'workers', 'bench'];

/** Where programs start: these need no importer. */
const ENTRIES = [
  /^src\/(index|worker|explore|nbd|access-handle|chunk-store|random-access-storage|wa-sqlite)\.ts$/,
  /^src\/cli\/main\.ts$/,
  /^workers\//,
  /^bench\/(.*main|compare\/(published|halves|scaling)|report\/browser)\.ts$/,
];

/** Used by tests, which run the engine on it. */
const FOR_TESTS = ['src/device/memory-device.ts', 'src/explore/power-cut-campaign.ts'];

/** One file by decision: the whole layout of the control arena. */
const MAY_BE_LONG = ['src/sync/layout.ts'];

interface Import {
  target: string;
  typeOnly: boolean;
}

function filesUnder(folder: string): string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder).flatMap((name) => {
    const path = join(folder, name);
    if (name === 'node_modules' || name === 'peers') return [];
    if (statSync(path).isDirectory()) return filesUnder(path);
    return path.endsWith('.ts') && !path.endsWith('.d.ts') ? [path] : [];
  });
}

function folderOf(file: string): string {
  const [top, second, third] = file.split('/');
  if (top !== 'src') return top;
  if (third !== undefined) return second;
  return ENTRIES[0].test(file) ? 'entry' : 'root';
}

function importsOf(file: string): Import[] {
  const source = readFileSync(join(ROOT, file), 'utf8');
  const found: Import[] = [];
  const pattern = /^\s*(import|export)\s+(type\s+)?(?:([^'";]*?)\s+from\s+)?'(\.[^']+)'/gm;
  for (const [, , type, names, path] of source.matchAll(pattern)) {
    const target = relative(ROOT, resolve(ROOT, dirname(file), path)).replace(/\.js$/, '.ts');
    const named = /\{([^}]*)\}/.exec(names ?? '')?.[1];
    const allTypes =
      named?.split(',').every((name) => name.trim() === '' || name.trim().startsWith('type ')) === true &&
      !/^[^{]*\w/.test(names ?? '');
    found.push({ target, typeOnly: type !== undefined || allTypes });
  }
  for (const [, path] of source.matchAll(/(?:import\(|new URL\()\s*'(\.[^']+\.js)'/g)) {
    const target = relative(ROOT, resolve(ROOT, dirname(file), path)).replace(/\.js$/, '.ts');
    found.push({ target, typeOnly: true });
  }
  return found;
}

const files = SOURCES.flatMap((folder) => filesUnder(join(ROOT, folder))).map((file) => relative(ROOT, file));
const graph = new Map(files.map((file) => [file, importsOf(file)]));

describe('the source tree', () => {
  it('imports downward only', () => {
    const wrong: string[] = [];
    for (const [file, imports] of graph) {
      const from = folderOf(file);
      const allowed = MAY_IMPORT[from];
      expect(allowed, `folder ${from} is not in the import table`).toBeDefined();
      for (const { target } of imports) {
        const to = folderOf(target);
        // URLs of thread entries and of the bench that ships with the command are not imports.
        const loaded =
          ((from === 'store' || from === 'device') && to === 'workers') ||
          (from === 'cli' && to === 'bench') ||
          (from === 'bench' && to === 'workers');
        if (to !== from && !allowed.includes(to) && !loaded) wrong.push(`${file} → ${target}`);
      }
    }
    expect(wrong).toEqual([]);
  });

  it('imports only files that exist', () => {
    const missing = [...graph].flatMap(([file, imports]) =>
      imports
        .filter(({ target }) => target.endsWith('.ts') && !graph.has(target))
        .map(({ target }) => `${file} → ${target}`),
    );
    expect(missing).toEqual([]);
  });

  it('has no cycle among what runs', () => {
    const state = new Map<string, 'open' | 'done'>();
    const cycles: string[] = [];
    const visit = (file: string, path: string[]): void => {
      if (state.get(file) === 'done') return;
      if (state.get(file) === 'open') {
        cycles.push([...path.slice(path.indexOf(file)), file].join(' → '));
        return;
      }
      state.set(file, 'open');
      for (const { target, typeOnly } of graph.get(file) ?? []) if (!typeOnly) visit(target, [...path, file]);
      state.set(file, 'done');
    };
    for (const file of files) visit(file, []);
    expect(cycles).toEqual([]);
  });

  it('has no file that nothing imports', () => {
    const imported = new Set([...graph.values()].flat().map(({ target }) => target));
    const dead = files.filter(
      (file) => !imported.has(file) && !FOR_TESTS.includes(file) && !ENTRIES.some((entry) => entry.test(file)),
    );
    expect(dead).toEqual([]);
  });

  it('keeps files short', () => {
    const long = files.filter(
      (file) => !MAY_BE_LONG.includes(file) && readFileSync(join(ROOT, file), 'utf8').split('\n').length > 500,
    );
    expect(long).toEqual([]);
  });
});
