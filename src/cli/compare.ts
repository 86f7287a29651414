/**
 * `emmental compare`: one workload under several schemes, in interleaved runs.
 *
 * The workloads lie above this directory's layer: they are loaded when the command runs, from the package's own
 * `dist/bench`, and parse their options themselves (fio's names, also in job files).
 */
import type { Command } from 'commander';
import { interruption } from './interruption.js';

export function registerCompare(program: Command): void {
  program
    .command('compare')
    .description('run one workload under several schemes in turn, and compare them')
    .usage('[jobfile] [options]')
    .helpOption(false)
    .allowUnknownOption()
    .allowExcessArguments()
    .action(async (_options: unknown, command: Command) => {
      const { compare } = await import('../../bench/compare/compare.js');
      await compare(command.args, command.parent!, interruption);
    });
}
