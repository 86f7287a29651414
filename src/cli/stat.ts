/** `emmental stat DEVICE:NAME`: one file's size, times and extents. */
import type { Command } from 'commander';
import { parseAddress } from './address.js';
import { formatFields, formatTable, formatTime, printJson, printLine } from './print.js';
import { withFile, withStore } from './session.js';
import { formatSize } from './size.js';

/** A file of a million extents is told about, not printed, unless JSON is asked for. */
const EXTENTS_SHOWN = 1000;

export function registerStat(program: Command): void {
  program
    .command('stat')
    .description('show the size, the times and the extents of a file')
    .argument('<device:name>')
    .option('--json', 'print the result as JSON')
    .action(stat);
}

async function stat(text: string, options: { json?: boolean }): Promise<void> {
  const { device, name } = parseAddress(text);
  const result = await withStore(device, { readOnly: true }, (store) =>
    withFile(store, name, 'r', async (file) => ({ name, ...(await file.stat()), extents: await file.extents() })),
  );
  if (options.json) {
    printJson(result);
    return;
  }
  const { ino, size, allocatedBytes, mtimeMs, ctimeMs, birthtimeMs, extents } = result;
  printLine(
    formatFields([
      ['Name', name],
      ['Inode', ino],
      ['Size', `${size} (${formatSize(size)})`],
      ['Allocated', `${allocatedBytes} (${formatSize(allocatedBytes)})`],
      ['Modified', formatTime(mtimeMs)],
      ['Changed', formatTime(ctimeMs)],
      ['Born', formatTime(birthtimeMs)],
      ['Extents', extents.length],
    ]),
  );
  if (extents.length === 0) return;
  const rows = extents
    .slice(0, EXTENTS_SHOWN)
    .map((extent) => [
      extent.position,
      extent.devicePosition,
      extent.length,
      extent.unwritten ? 'unwritten' : 'written',
    ]);
  printLine(formatTable(['position', 'device', 'length', 'state'], rows, ['position', 'device', 'length']));
  if (extents.length > EXTENTS_SHOWN) printLine(`… and ${extents.length - EXTENTS_SHOWN} more; --json prints all`);
}
