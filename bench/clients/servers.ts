/** The NBD servers that are compared: each started on data of the same size, and ended. */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, existsSync, ftruncateSync, openSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createStore, openStore } from '../../src/index.js';

export const SERVERS = ['emmental', 'qemu-nbd', 'nbdkit-file'] as const;
export type ServerName = (typeof SERVERS)[number];

export interface RunningServer {
  uri: string;
  stop(): Promise<void>;
}

const MIB = 1024 * 1024;
const CLI = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url));

/** What must be installed for a server besides Emmental. */
export const PROGRAMS: Record<ServerName, string[]> = {
  emmental: [],
  'qemu-nbd': ['qemu-nbd'],
  'nbdkit-file': ['nbdkit'],
};

export async function startServer(
  name: ServerName,
  directory: string,
  sizeBytes: number,
  nodeOptions: string[],
): Promise<RunningServer> {
  const socket = join(directory, `${name}.sock`);
  const image = join(directory, `${name}.img`);
  if (name === 'emmental') {
    await createStore(image, { sizeBytes: sizeBytes + 512 * MIB, overwrite: true });
    const store = await openStore(image, { cacheBytes: 16 * MIB, threads: 2 });
    const file = await store.open('disk', 'w');
    await file.truncate(sizeBytes);
    await file.close();
    await store.close();
    // As the host's cache for the others: large enough that no writer is held back.
    const cache = `--cache=${Math.ceil((sizeBytes * 5) / MIB)}M`;
    const args = [...nodeOptions, CLI, 'serve', `${image}:disk`, `--socket=${socket}`, cache];
    return started(socket, `nbd+unix:///disk?socket=${socket}`, process.execPath, args);
  }
  const fd = openSync(image, 'w');
  ftruncateSync(fd, sizeBytes);
  closeSync(fd);
  const uri = `nbd+unix:///?socket=${socket}`;
  if (name === 'qemu-nbd') return started(socket, uri, 'qemu-nbd', ['-f', 'raw', '-t', '-e', '8', '-k', socket, image]);
  return started(socket, uri, 'nbdkit', ['-f', '--exit-with-parent', '-U', socket, 'file', image]);
}

async function started(socket: string, uri: string, program: string, args: string[]): Promise<RunningServer> {
  rmSync(socket, { force: true });
  const child: ChildProcess = spawn(program, args, { stdio: ['ignore', 'ignore', 'inherit'] });
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()));
  while (!existsSync(socket)) {
    if (child.exitCode !== null) throw new Error(`${program} did not start`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  return {
    uri,
    stop: async () => {
      child.kill('SIGTERM');
      await ended;
    },
  };
}
