/** `emmental punch DEVICE:NAME POSITION LENGTH`: makes a hole; the size stays. */
import type { Command } from 'commander';
import { parseAddress } from './address.js';
import { withFile, withStore } from './session.js';
import { parseSize } from './size.js';

export function registerPunch(program: Command): void {
  program
    .command('punch')
    .description('make a hole in a file: its blocks become free, its size stays')
    .argument('<device:name>')
    .argument('<position>', 'where the hole starts', (text) => parseSize(text, 'POSITION'))
    .argument('<length>', 'how long it is', (text) => parseSize(text, 'LENGTH'))
    .action(punch);
}

async function punch(text: string, position: number, length: number): Promise<void> {
  const { device, name } = parseAddress(text);
  await withStore(device, {}, (store) => withFile(store, name, 'r+', (file) => file.punchHole(position, length)));
}
