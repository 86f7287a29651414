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
  const { figures, io, journal } = await withStore(device, { readOnly: true }, async (store) => {
    const { io, journal } = await store.stats();
    return { figures: await store.statfs(), io: String(io), journal };
  });
  const { sizeBytes, recovered } = journal;
  if (options.json) {
    printJson({ device, ...figures, io, journal: { sizeBytes, recovered } });
    return;
  }
  const { blockBytes, blocks, blocksFree, blocksReserved, files, dataChecksums } = figures;
  const used = blocks - blocksFree;
  printLine(
    formatFields([
      ['Device', device],
      ['Size', `${formatSize(blocks * blockBytes)} (${blocks} blocks of ${blockBytes} bytes)`],
      ['Used', `${formatSize(used * blockBytes)} (${((used / blocks) * 100).toFixed(1)}%)`],
      ['Free', formatSize(blocksFree * blockBytes)],
      ['Reserved', formatSize(blocksReserved * blockBytes)],
      ['Files', files],
      ['Journal', `${formatSize(sizeBytes)}${recovered > 0 ? ` (transactions to replay: ${recovered})` : ''}`],
      ['Data checksums', dataChecksums ? 'yes' : 'no'],
      ['I/O', io],
    ]),
  );
}
