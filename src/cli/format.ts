/** `emmental format DEVICE`: makes a store on a device. */
import type { Command } from 'commander';
import { createStore } from '../index.js';
import { formatFields, printJson, printLine } from './print.js';
import { withStore } from './session.js';
import { formatSize, parseSize } from './size.js';

interface FormatOptions {
  size?: number;
  blockSize?: number;
  journal?: number;
  label?: string;
  dataChecksums?: boolean;
  overwrite?: boolean;
  json?: boolean;
}

export function registerFormat(program: Command): void {
  program
    .command('format')
    .description('make a store on a regular file (created sparse if missing) or a block device')
    .argument('<device>')
    .option('--size <size>', 'size of a file that does not exist yet', (text) => parseSize(text, '--size'))
    .option('--block-size <size>', 'block and page size, 4K to 64K', (text) => parseSize(text, '--block-size'))
    .option('--journal <size>', 'size of the journal', (text) => parseSize(text, '--journal'))
    .option('--label <text>', 'a label of at most 64 bytes')
    .option('--data-checksums', 'keep a checksum per data block')
    .option('--overwrite', 'replace a store or a file system that is there')
    .option('--json', 'print the result as JSON')
    .action(format);
}

async function format(device: string, options: FormatOptions): Promise<void> {
  await createStore(device, {
    ...(options.size !== undefined && { sizeBytes: options.size }),
    ...(options.blockSize !== undefined && { blockBytes: options.blockSize }),
    ...(options.journal !== undefined && { journalBytes: options.journal }),
    ...(options.label !== undefined && { label: options.label }),
    dataChecksums: options.dataChecksums ?? false,
    overwrite: options.overwrite ?? false,
  });
  const figures = await withStore(device, { readOnly: true }, async (store) => ({
    ...(await store.statfs()),
    journalBytes: (await store.stats()).journal.sizeBytes,
  }));
  if (options.json) {
    printJson({ device, ...figures });
    return;
  }
  const { blockBytes, blocks, blocksFree, journalBytes } = figures;
  printLine(
    formatFields([
      ['Device', device],
      ['Size', `${formatSize(blocks * blockBytes)} (${blocks} blocks of ${blockBytes} bytes)`],
      ['Journal', formatSize(journalBytes)],
      ['Free', formatSize(blocksFree * blockBytes)],
    ]),
  );
}
