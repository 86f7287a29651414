/**
 * `emmental bench`: a fio-like workload under one scheme.
 *
 * The workloads lie above this directory's layer: they are loaded when the command runs, from the package's own
 * `dist/bench`, and parse their options themselves (fio's names, also in job files).
 */
import type { Command } from 'commander';
import { interruption } from './interruption.js';

export function registerBench(program: Command): void {
  program
    .command('bench')
    .description("run a workload, given by fio's options or by a fio job file, under one scheme")
    .usage('[jobfile] [options]')
    .helpOption(false)
    .allowUnknownOption()
    .allowExcessArguments()
    .action(async (_options: unknown, command: Command) => {
      const { bench } = await import('../../bench/workloads/bench.js');
      await bench(command.args, command.parent!, interruption);
    });
}
