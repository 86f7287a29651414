/**
 * The command `emmental`: its subcommands, how it fails, and with which exit code.
 *
 * 0: done. 1: the operation failed, or a check found errors. 2: usage. Every error is one line on standard error.
 * The subcommands know the package's public entries only.
 */
import { readFileSync } from 'node:fs';
import { Command, CommanderError } from 'commander';
import { registerBench } from './bench.js';
import { registerCheck } from './check.js';
import { registerCompare } from './compare.js';
import { registerCp } from './cp.js';
import { registerExplore } from './explore.js';
import { registerFormat } from './format.js';
import { registerInfo } from './info.js';
import { registerLs } from './ls.js';
import { registerMv } from './mv.js';
import { registerPunch } from './punch.js';
import { registerRm } from './rm.js';
import { registerSchemes } from './schemes.js';
import { registerServe } from './serve.js';
import { registerStat } from './stat.js';
import { registerTruncate } from './truncate.js';
import { UsageError } from './usage-error.js';

export const EXIT_DONE = 0;
export const EXIT_FAILED = 1;
export const EXIT_USAGE = 2;

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

export function createProgram(): Command {
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
  const registrations = [
    registerFormat,
    registerInfo,
    registerLs,
    registerStat,
    registerCp,
    registerRm,
    registerMv,
    registerTruncate,
    registerPunch,
    registerServe,
    registerCheck,
    registerSchemes,
    registerBench,
    registerCompare,
    registerExplore,
  ];
  for (const register of registrations) register(program);
  return program;
}

/** Runs one command line and returns its exit code. */
export async function runCommand(args: string[]): Promise<number> {
  try {
    if (args.length === 0) throw new UsageError("no command given; 'emmental --help' lists them");
    await createProgram().parseAsync(args, { from: 'user' });
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
