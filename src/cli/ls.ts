/** `emmental ls DEVICE [PREFIX]`: the files of a store in byte order of their names. */
import type { Command } from 'commander';
import { interruption } from './interruption.js';
import { formatTime, printLine } from './print.js';
import { withStore } from './session.js';

interface LsOptions {
  long?: boolean;
  json?: boolean;
}

export function registerLs(program: Command): void {
  program
    .command('ls')
    .description('list the files of a store')
    .argument('<device>')
    .argument('[prefix]', 'only names that begin with it')
    .option('-l, --long', 'inode, size, allocated bytes and time too')
    .option('--json', 'print the result as JSON')
    .action(ls);
}

async function ls(device: string, prefix: string | undefined, options: LsOptions): Promise<void> {
  await withStore(device, { readOnly: true }, async (store) => {
    let separator = '[\n';
    for await (const entry of store.list(prefix === undefined ? {} : { prefix })) {
      interruption.throwIfAborted();
      if (options.json) {
        // Written as it comes: a store may hold millions of files.
        process.stdout.write(`${separator}  ${JSON.stringify(entry)}`);
        separator = ',\n';
      } else if (options.long) {
        const { ino, size, allocatedBytes, mtimeMs, name } = entry;
        const numbers = [ino, size, allocatedBytes].map((value, i) => String(value).padStart(i === 0 ? 8 : 14));
        printLine(`${numbers.join(' ')} ${formatTime(mtimeMs)} ${name}`);
      } else {
        printLine(entry.name);
      }
    }
    if (options.json) printLine(separator === '[\n' ? '[]' : '\n]');
  });
}
