/**
 * The command `emmental`: its subcommands, how it fails, and with which exit code.
 *
 * 0: done. 1: the operation failed, or a check found errors. 2: usage. Every error is one line on standard error.
 * The subcommands know the package's public entries only.
 */
import { readFileSync } from 'node:fs';
import { Command, CommanderError } from 'commander';
import { UsageError } from './usage-error.js';

export const EXIT_DONE = 0;
export const EXIT_FAILED = 1;
export const EXIT_USAGE = 2;

/** Each is loaded when it is asked for: a command that lists files need not wait for the laboratory to load. */
const COMMANDS: Record<string, () => Promise<(program: Command) => void>> = {
  format: async () => (await import('./format.js')).registerFormat,
  info: async () => (await import('./info.js')).registerInfo,
  ls: async () => (await import('./ls.js')).registerLs,
  stat: async () => (await import('./stat.js')).registerStat,
  cp: async () => (await import('./cp.js')).registerCp,
  rm: async () => (await import('./rm.js')).registerRm,
  mv: async () => (await import('./mv.js')).registerMv,
  truncate: async () => (await import('./truncate.js')).registerTruncate,
  punch: async () => (await import('./punch.js')).registerPunch,
  serve: async () => (await import('./serve.js')).registerServe,
  check: async () => (await import('./check.js')).registerCheck,
  schemes: async () => (await import('./schemes.js')).registerSchemes,
  bench: async () => (await import('./bench.js')).registerBench,
  compare: async () => (await import('./compare.js')).registerCompare,
  top: async () => (await import('./top.js')).registerTop,
  explore: async () => (await import('./explore.js')).registerExplore,
};

function packageVersion(): string {
  const url = new URL('../../../package.json', import.meta.url);
  return (JSON.parse(readFileSync(url, 'utf8')) as { version: string }).version;
}

/** Commander's complaints come as `error: …` with hints on further lines. */
function oneLine(text: string): string {
  return text
    .trim()
    .replace(/^error: /, '')
    .replace(/\s*\n\s*/g, ' ');
}

function complain(text: string): void {
  process.stderr.write(`emmental: ${oneLine(text)}\n`);
}

function commandsFor(asked: string | undefined): string[] {
  if (asked === '--version' || asked === '-V') return [];
  return asked !== undefined && Object.hasOwn(COMMANDS, asked) ? [asked] : Object.keys(COMMANDS);
}

/** The program with the command that is asked for, or with all of them. */
export async function createProgram(asked?: string): Promise<Command> {
  const program = new Command('emmental')
    .description('files with holes on a raw device, and one page cache for all worker threads')
    .version(packageVersion())
    .exitOverride()
    .configureOutput({ outputError: (text) => complain(text) })
    .addHelpText(
      'after',
      '\nSizes and positions take K, M, G and T suffixes, powers of 1024. DEVICE:NAME is a file inside a store: the device\n' +
        'is the shortest part before a colon that exists. Exit codes: 0 done; 1 failed, or a check found errors; 2 usage.',
    );
  for (const name of commandsFor(asked)) (await COMMANDS[name]())(program);
  return program;
}

/** Runs one command line and returns its exit code. */
export async function runCommand(args: string[]): Promise<number> {
  try {
    if (args.length === 0) throw new UsageError("no command given; 'emmental --help' lists them");
    const program = await createProgram(args[0]);
    await program.parseAsync(args, { from: 'user' });
    // A command that has something to say with its exit code, such as a check that found errors, has set it.
    return Number(process.exitCode ?? EXIT_DONE);
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT_DONE : EXIT_USAGE; // already told
    if (error instanceof UsageError) {
      complain(error.message);
      return EXIT_USAGE;
    }
    complain(error instanceof Error ? error.message : String(error));
    return EXIT_FAILED;
  }
}
