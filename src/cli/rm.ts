/** `emmental rm DEVICE:NAME…`: removes files. */
import type { Command } from 'commander';
import { parseAddress } from './address.js';
import { interruption } from './interruption.js';
import { withStore } from './session.js';

export function registerRm(program: Command): void {
  program.command('rm').description('remove files').argument('<device:name...>').action(rm);
}

async function rm(texts: string[]): Promise<void> {
  const byDevice = new Map<string, string[]>();
  for (const { device, name } of texts.map(parseAddress)) {
    const names = byDevice.get(device);
    if (names === undefined) byDevice.set(device, [name]);
    else names.push(name);
  }
  for (const [device, names] of byDevice) {
    await withStore(device, {}, async (store) => {
      for (const name of names) {
        interruption.throwIfAborted();
        await store.unlink(name);
      }
    });
  }
}
