/** `emmental truncate DEVICE:NAME SIZE`: sets a file's size. */
import type { Command } from 'commander';
import { parseAddress } from './address.js';
import { withFile, withStore } from './session.js';
import { parseSize } from './size.js';

export function registerTruncate(program: Command): void {
  program
    .command('truncate')
    .description('set the size of a file; what is added is a hole')
    .argument('<device:name>')
    .argument('<size>', 'the new size', (text) => parseSize(text, 'SIZE'))
    .option('--create', 'create the file if it is missing')
    .action(truncate);
}

async function truncate(text: string, size: number, options: { create?: boolean }): Promise<void> {
  const { device, name } = parseAddress(text);
  // 'a' creates without truncating; the size is set all the same.
  const flags = options.create ? 'a' : 'r+';
  await withStore(device, {}, (store) => withFile(store, name, flags, (file) => file.truncate(size)));
}
