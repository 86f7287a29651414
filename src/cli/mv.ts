/** `emmental mv DEVICE:FROM TO`: renames a file; one of the new name is replaced. */
import type { Command } from 'commander';
import { parseAddress } from './address.js';
import { withStore } from './session.js';

export function registerMv(program: Command): void {
  program
    .command('mv')
    .description('rename a file; a file of the new name is replaced')
    .argument('<device:from>')
    .argument('<to>', 'the new name, with or without the device before it')
    .action(mv);
}

async function mv(text: string, target: string): Promise<void> {
  const { device, name } = parseAddress(text);
  const to = target.startsWith(`${device}:`) ? target.slice(device.length + 1) : target;
  await withStore(device, {}, (store) => store.rename(name, to));
}
