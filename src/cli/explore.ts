/**
 * `emmental explore`: schedules of scenarios under schemes, tried one by one; and one schedule played again.
 *
 * Exit code 1 when a safe scheme fails anywhere, or when the replayed schedule does.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { type Command, InvalidArgumentError } from 'commander';
import {
  drawPicture,
  explore,
  formatCell,
  formatTables,
  type Replayed,
  readTables,
  replaceTables,
  replay,
  STRATEGIES,
  type StrategyName,
  scenarios,
  type TraceEvent,
  type Verdict,
} from '../explore.js';
import { StoreError, schemes } from '../index.js';
import { interruption } from './interruption.js';
import { formatTable, printJson, printLine } from './print.js';
import { countProgress } from './progress.js';
import { UsageError } from './usage-error.js';

interface Options {
  scheme?: string[];
  scenario?: string[];
  strategy?: StrategyName;
  preemptions?: number;
  schedules?: number;
  seed?: number;
  replay?: string;
  all?: boolean;
  unsafe?: boolean;
  json?: boolean;
  output?: string;
  html?: string;
}

/** Where the table of all verdicts belongs. */
const TABLE_FILE = 'docs/schemes.md';

export function registerExplore(program: Command): void {
  program
    .command('explore')
    .description('try the schedules of small scenarios under locking schemes, one by one')
    .option('--scheme <names>', 'schemes, comma-separated; by default all that are safe', list)
    .option('--scenario <names>', 'scenarios, comma-separated; by default all', list)
    .option('--strategy <name>', 'exhaustive or random', strategy)
    .option('--preemptions <n>', 'preemptions of a schedule, at most (exhaustive; 2)', count)
    .option('--schedules <n>', 'schedules of a scenario, at most (100000, or 1000 random ones)', count)
    .option('--seed <n>', 'of the random strategy', count)
    .option('--replay <schedule>', 'play one schedule again, step by step')
    .option('--html <file>', 'with --replay: write a picture of the schedule there, as a page for a browser')
    .option('--all', `all schemes and scenarios, into the table of ${TABLE_FILE}`)
    .option('--unsafe', 'schemes that are not safe, too')
    .option('--json', 'print as JSON')
    .option('--output <file>', 'write there instead')
    .action(run);
}

function run(options: Options): Promise<void> {
  if (options.replay !== undefined) return playAgain(options.replay, options);
  if (options.html !== undefined) throw new UsageError('--html shows one schedule: give it with --replay');
  return exploreAll(options);
}

async function playAgain(schedule: string, options: Options): Promise<void> {
  const replayed = asUsage(() => replay(schedule));
  if (replayed.failure !== null) process.exitCode = 1;
  if (options.html !== undefined) {
    writeFileSync(options.html, drawPicture(replayed));
    if (options.json !== true && options.output === undefined)
      return printLine(`${options.html}: ${verdict(replayed)}`);
  }
  put(options, options.json === true ? JSON.stringify(replayed, null, 2) : describe(replayed));
}

async function exploreAll(options: Options): Promise<void> {
  const isAll = options.all === true;
  const schemeNames = options.scheme ?? namesOfSchemes(isAll || options.unsafe === true);
  const scenarioNames = options.scenario ?? scenarios.map(({ name }) => name);
  const verdicts: Verdict[] = [];
  const progress = countProgress('exploring', schemeNames.length * scenarioNames.length);
  try {
    for (const scenario of scenarioNames) {
      for (const scheme of schemeNames) {
        verdicts.push(
          asUsage(() => explore(scheme, scenario, { ...options, unsafe: isAll || options.unsafe === true })),
        );
        progress.advance(`${scenario} under ${scheme}`);
        // Signals are handled between two cells.
        await new Promise((resolve) => setImmediate(resolve));
        interruption.throwIfAborted();
      }
    }
  } finally {
    progress.stop();
  }
  const unsafe = new Set<string>(schemes.filter(({ safe }) => !safe).map(({ name }) => name));
  if (verdicts.some(({ scheme, failures }) => !unsafe.has(scheme) && failures.length > 0)) process.exitCode = 1;
  if (isAll && options.json !== true) putTable(options.output ?? TABLE_FILE, verdicts);
  else put(options, options.json === true ? JSON.stringify(verdicts.map(plain), null, 2) : tabulate(verdicts));
}

/** Those that are second names of others are left out: the same table gives the same verdict. */
function namesOfSchemes(withUnsafe: boolean): string[] {
  return schemes.filter(({ safe, aliasOf }) => aliasOf === null && (safe || withUnsafe)).map(({ name }) => name);
}

/** Infinity is no JSON: where there is no other schedule, the bound is null. */
function plain(verdict: Verdict): object {
  return { ...verdict, bound: Number.isFinite(verdict.bound) ? verdict.bound : null };
}

function tabulate(verdicts: readonly Verdict[]): string {
  const rows = verdicts.map((verdict) => {
    const { scheme, scenario, schedules, pruned, milliseconds } = verdict;
    return [scheme, scenario, schedules, pruned, `${(milliseconds / 1000).toFixed(1)} s`, formatCell(verdict)];
  });
  const lines = [
    formatTable(['scheme', 'scenario', 'schedules', 'pruned', 'time', 'verdict'], rows, [
      'schedules',
      'pruned',
      'time',
    ]),
  ];
  for (const { failures } of verdicts) {
    for (const { kind, message, schedule } of failures)
      lines.push(`${kind}: ${message}\n  emmental explore --replay=${schedule}`);
  }
  return lines.join('\n');
}

function putTable(file: string, verdicts: readonly Verdict[]): void {
  const before = existsSync(file) ? readFileSync(file, 'utf8') : '';
  writeFileSync(file, replaceTables(before, formatTables(verdicts, readTables(before))));
  printLine(`${file}: ${verdicts.length} verdicts`);
}

function put({ output, json }: Options, text: string): void {
  if (output !== undefined) writeFileSync(output, `${text}\n`);
  else if (json === true) printJson(JSON.parse(text));
  else printLine(text);
}

function describe(replayed: Replayed): string {
  const { scheme, scenario, events } = replayed;
  const rows = events.map((event) => [event.step, event.threadName, action(event), where(event), locks(event)]);
  const table = formatTable(['step', 'thread', 'comes to', 'source', 'holds'], rows, ['step']);
  return `${scenario.name} under ${scheme}: ${scenario.description}\n${table}\n${verdict(replayed)}`;
}

function verdict({ failure }: Replayed): string {
  return failure === null ? 'nothing wrong' : `${failure.kind}: ${failure.message}`;
}

function action({ action, effect, point, target, waitsFor }: TraceEvent): string {
  if (action === 'die') return 'dies';
  if (waitsFor !== null) return `sleeps for ${waitsFor}`;
  const done = action === 'transfer' ? 'I/O done, ' : '';
  return `${done}${point ?? effect}${target === null ? '' : ` ${target}`}`;
}

function where({ source }: TraceEvent): string {
  return source === null ? '' : `${source.file}:${source.line}`;
}

function locks({ held }: TraceEvent): string {
  return held.map(({ lock, mode }) => `${lock}${mode === 'mutex' ? '' : ` ${mode}`}`).join(', ');
}

function list(text: string): string[] {
  return text.split(',').map((name) => name.trim());
}

function count(text: string): number {
  if (!/^\d+$/.test(text)) throw new InvalidArgumentError('It must be a whole number.');
  return Number(text);
}

function strategy(text: string): StrategyName {
  const found = STRATEGIES.find((name) => name === text);
  if (found === undefined) throw new InvalidArgumentError(`It must be ${STRATEGIES.join(' or ')}.`);
  return found;
}

/** What the user named does not exist, or does not fit. */
function asUsage<T>(action: () => T): T {
  try {
    return action();
  } catch (error) {
    if (error instanceof StoreError && error.code === 'EINVAL') throw new UsageError(error.message);
    throw error;
  }
}
