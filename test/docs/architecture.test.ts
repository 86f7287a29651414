/** docs/ARCHITECTURE.md against the code: layers, arena, schedule points, page states, limits. */
import { describe, expect, it } from 'vitest';
import * as page from '#dist/src/pagecache/page.js';
import { POINTS } from '#dist/src/routine/points.js';
import * as layout from '#dist/src/sync/layout.js';
import { MAY_IMPORT } from '../support/import-table.js';
import { expectPrinted, formatRows, quoted, read, section, tableRows } from './markdown.js';

const DOCUMENT = 'docs/ARCHITECTURE.md';

/** Names of the flags in a mask, but for those that `frequency` is made of. */
function flagsOf(mask: number): string {
  const flags = Object.entries((page as unknown as { PageFlag: Record<string, number | string> }).PageFlag);
  const named = flags.filter((entry): entry is [string, number] => typeof entry[1] === 'number');
  const all = named.reduce((sum, [, flag]) => sum | flag, 0);
  const names = (bits: number) => named.filter(([, flag]) => (bits & flag) === flag).map(([name]) => name);
  const [set, clear] = [names(mask), names(all & ~mask)];
  return set.length > clear.length + 1 ? `all but ${clear.join(', ')}` : set.join(', ');
}

describe(DOCUMENT, () => {
  it('prints the import table', () => {
    const rows = Object.entries(MAY_IMPORT).map(([folder, allowed]) => [`\`${folder}\``, allowed.join(', ') || '–']);
    expectPrinted(DOCUMENT, 'imports', formatRows(['folder', 'may import from'], rows));
  });

  it('prints the transitions of a page', () => {
    const rows = page.TRANSITIONS.map(({ name, needs, excludes, sets, clears, pins }) => [
      name,
      ...[needs, excludes, sets, clears].map((mask) => flagsOf(mask) || '–'),
      pins,
    ]);
    const head = ['transition', 'needs', 'must not have', 'sets', 'clears', 'pins'];
    expectPrinted(DOCUMENT, 'transitions', formatRows(head, rows));
  });

  it('describes every folder of the source', () => {
    const described = tableRows(section(read(DOCUMENT), 'Layers')).flatMap(([folder]) => quoted(folder));
    const folders = Object.keys(MAY_IMPORT).filter((name) => !['root', 'entry', 'bench', 'workers'].includes(name));
    for (const folder of folders) expect(described).toContain(`src/${folder}/`);
  });

  it('lists the regions of the arena in their order', () => {
    const shape = { frames: 7, inodes: 6, groups: 5, threads: 4, exclusions: 3, pins: 2, requests: 2, openFiles: 3 };
    const offsets = { ...layout.layoutOf(shape, POINTS.length) } as unknown as Record<string, number>;
    // This one is counted in doubles.
    offsets.statistics *= 2;
    const regions = Object.keys(offsets)
      .filter((name) => !(name in shape) && !name.endsWith('Mask') && name !== 'words')
      .sort((a, b) => offsets[a] - offsets[b]);
    regions.unshift('gates');
    const listed = tableRows(section(read(DOCUMENT), 'The arena'));
    expect(listed.map(([region]) => quoted(region)[0])).toEqual([...new Set(regions)]);
    for (const [, kind] of listed) for (const name of quoted(kind)) expect(layout).toHaveProperty(name);
  });

  it('names for each promise a test that there is', () => {
    const headings = ['What each call promises', 'What holds without a promise'];
    const rows = headings.flatMap((heading) => tableRows(section(read(DOCUMENT), heading)));
    const holders = rows.map((row) => row.at(-1)!);
    expect(holders.length).toBeGreaterThan(10);
    for (const holder of holders) {
      const named = [...holder.matchAll(/`(test\/[^`]+)`: \*([^*]+)\*/g)];
      expect(named, holder).not.toEqual([]);
      for (const [, file, title] of named) expect(read(file), file).toContain(title);
    }
  });

  it('lists the schedule points', () => {
    const rows = tableRows(section(read(DOCUMENT), 'Schedule points'));
    expect(rows.map(([point]) => quoted(point)[0])).toEqual([...POINTS]);
  });

  it('states limits as the code has them', () => {
    for (const [what, value, constant] of tableRows(section(read(DOCUMENT), 'Limits'))) {
      const [name, file] = quoted(constant);
      const [, text] = new RegExp(`const ${name} = ([^;]+);`).exec(read(file)) ?? [];
      const stated = value.startsWith('2³² - 2') ? '0xffff_fffe' : /[\d,]+/.exec(value)?.[0].replaceAll(',', '');
      expect(Number(text?.replaceAll('_', '')), what).toBe(Number(stated?.replaceAll('_', '')));
    }
  });
});
