/** `emmental check DEVICE`: verifies every structure of a store, and repairs if asked. Errors found: exit code 1. */
import type { Command } from 'commander';
import { checkStore } from '../index.js';
import { printJson, printLine } from './print.js';

interface CheckOptions {
  repair?: boolean;
  json?: boolean;
}

export function registerCheck(program: Command): void {
  program
    .command('check')
    .description('verify every structure of a store that is not open')
    .argument('<device>')
    .option('--repair', 'put right what can be')
    .option('--json', 'print the report as JSON')
    .action(check);
}

async function check(device: string, options: CheckOptions): Promise<void> {
  const report = await checkStore(device, { repair: options.repair ?? false });
  if (!report.clean) process.exitCode = 1;
  if (options.json) {
    printJson({ device, ...report });
    return;
  }
  if (report.replayed > 0 && !options.repair) {
    printLine(`the store was not closed; replayed in memory only: ${report.replayed} of its journal's transactions`);
  }
  for (const line of report.repaired) printLine(line);
  for (const error of report.errors) printLine(`${error.code}: ${error.message}`);
  const length = report.errors.length + report.errorsOmitted;
  if (report.clean) printLine(`${device}: clean`);
  else printLine(`${device}: ${length} ${length === 1 ? 'error' : 'errors'}${options.repair ? ', repair done' : ''}`);
}
