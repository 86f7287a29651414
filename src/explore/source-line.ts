/**
 * Where in the source the code stands that is running now: the lines of the engine's frames on the stack, innermost first.
 *
 * Compiled code is mapped back with its source map, where there is one. For looking at single schedules: reading the maps
 * and walking the stack takes milliseconds.
 */
import { readFileSync } from 'node:fs';
import { SourceMap, type SourceMapPayload } from 'node:module';
import { fileURLToPath } from 'node:url';

export interface SourceLine {
  /** As in the repository: `src/pagecache/fill.ts`. */
  readonly file: string;
  readonly line: number;
  readonly function: string;
}

const FRAMES_MAX = 40;
const ENGINE = new URL('..', import.meta.url).href;
const HERE = new URL('.', import.meta.url).href;
const maps = new Map<string, SourceMap | null>();

export function sourceLines(): SourceLine[] {
  const { prepareStackTrace, stackTraceLimit } = Error;
  Error.stackTraceLimit = FRAMES_MAX;
  Error.prepareStackTrace = (_error, sites) => sites;
  const sites = new Error().stack as unknown as NodeJS.CallSite[];
  Error.prepareStackTrace = prepareStackTrace;
  Error.stackTraceLimit = stackTraceLimit;
  const lines: SourceLine[] = [];
  let own = 0;
  for (const site of sites) {
    const url = site.getFileName();
    if (url === null || url === undefined || !url.startsWith('file:')) continue;
    // Two of our own come first: this function, and what it is called from. The next one ends the engine's part.
    if (!url.startsWith(ENGINE) || url.startsWith(HERE)) {
      if (++own > 2) break;
      continue;
    }
    lines.push(mapped(fileURLToPath(url), site));
  }
  return lines;
}

function mapped(path: string, site: NodeJS.CallSite): SourceLine {
  const line = site.getLineNumber() ?? 0;
  const column = site.getColumnNumber() ?? 1;
  const name = site.getFunctionName() ?? site.getMethodName() ?? '';
  const entry = mapOf(path)?.findEntry(line - 1, column - 1);
  const isMapped = entry !== undefined && 'originalLine' in entry;
  // The build puts src/x.ts to dist/src/x.js.
  const inside = `src/${path.slice(fileURLToPath(ENGINE).length)}`;
  if (!isMapped) return { file: inside, line, function: name };
  return { file: inside.replace(/\.js$/, '.ts'), line: entry.originalLine + 1, function: name };
}

function mapOf(path: string): SourceMap | null {
  let map = maps.get(path);
  if (map === undefined) {
    try {
      map = new SourceMap(JSON.parse(readFileSync(`${path}.map`, 'utf8')) as SourceMapPayload);
    } catch {
      map = null;
    }
    maps.set(path, map);
  }
  return map;
}
