/** `emmental info DEVICE`: what is on a device, and how full it is. */
import type { Command } from 'commander';
import { formatFields, printJson, printLine } from './print.js';
import { withStore } from './session.js';
import { formatSize } from './size.js';

export function registerInfo(program: Command): void {
  program
    .command('info')
    .description('show the size, the free space and the number of files of a store')
    .argument('<device>')
    .option('--json', 'print the result as JSON')
    .action(info);
}

async function info(device: string, options: { json?: boolean }): Promise<void> {
  const { figures, io } = await withStore(device, { readOnly: true }, async (store) => ({
    figures: await store.statfs(),
    io: String((await store.stats()).io),
  }));
  if (options.json) {
    printJson({ device, ...figures, io });
    return;
  }
  const { blockBytes, blocks, blocksFree, blocksReserved, files } = figures;
  const used = blocks - blocksFree;
  printLine(
    formatFields([
      ['Device', device],
      ['Size', `${formatSize(blocks * blockBytes)} (${blocks} blocks of ${blockBytes} bytes)`],
      ['Used', `${formatSize(used * blockBytes)} (${((used / blocks) * 100).toFixed(1)}%)`],
      ['Free', formatSize(blocksFree * blockBytes)],
      ['Reserved', formatSize(blocksReserved * blockBytes)],
      ['Files', files],
      ['I/O', io],
    ]),
  );
}
