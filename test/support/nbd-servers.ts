/** Real NBD servers, run for the length of a test. */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, rmSync } from 'node:fs';

export interface NbdProcess {
  child: ChildProcess;
  /** The URI of an export on its unix socket. */
  uri(query?: string, exportName?: string): string;
  /** Ends it as a power cut would, and waits for its end. */
  kill(): Promise<void>;
}

const running = new Set<ChildProcess>();
process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

async function started(program: string, args: readonly string[], socket: string): Promise<NbdProcess> {
  rmSync(socket, { force: true });
  const child = spawn(program, args, { stdio: ['ignore', 'ignore', 'pipe'] });
  running.add(child);
  let said = '';
  child.stderr.on('data', (chunk: Buffer) => {
    said += chunk.toString();
  });
  const ended = new Promise<void>((resolve) => {
    child.once('close', () => {
      running.delete(child);
      resolve();
    });
  });
  while (!existsSync(socket)) {
    if (child.exitCode !== null) throw new Error(`${program} ended: ${said}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  return {
    child,
    uri: (query = '', exportName = '') =>
      `nbd+unix:///${exportName}?socket=${socket}${query === '' ? '' : `&${query}`}`,
    kill: async () => {
      child.kill('SIGKILL');
      await ended;
    },
  };
}

/** nbdkit in the foreground; `args` are filters, plugin and their parameters. */
export function startNbdkit(socket: string, ...args: string[]): Promise<NbdProcess> {
  return started('nbdkit', ['-f', '--exit-with-parent', '-U', socket, ...args], socket);
}

/** qemu-nbd on an image; `args` are its options and the image's path. */
export function startQemuNbd(socket: string, ...args: string[]): Promise<NbdProcess> {
  return started('qemu-nbd', ['-k', socket, '-t', '-e', '16', '-f', 'raw', ...args], socket);
}
