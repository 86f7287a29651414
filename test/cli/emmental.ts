/** Runs the built command: as a user does, or in this process, which takes a twentieth of the time. */
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { runCommand } from '#dist/src/cli/program.js';

export const MAIN = fileURLToPath(new URL('../../dist/src/cli/main.js', import.meta.url));

export interface Outcome {
  code: number | null;
  signal: NodeJS.Signals | null;
  stdout: Buffer;
  stderr: string;
}

export interface RunOptions {
  input?: Buffer;
  cwd?: string;
  env?: Record<string, string>;
  /** Sent once the command has written that to standard error. */
  interruptAt?: string;
}

export function emmental(args: string[], options: RunOptions = {}): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [MAIN, ...args], {
      cwd: options.cwd,
      env: { ...process.env, ...options.env },
    });
    const stdout: Buffer[] = [];
    let stderr = '';
    let interrupted = false;
    child.stdout.on('data', (chunk: Buffer) => stdout.push(chunk));
    child.stderr.on('data', (chunk: Buffer) => {
      stderr += chunk.toString();
      if (options.interruptAt !== undefined && !interrupted && stderr.includes(options.interruptAt)) {
        interrupted = true;
        child.kill('SIGINT');
      }
    });
    child.on('error', reject);
    child.on('close', (code, signal) => resolve({ code, signal, stdout: Buffer.concat(stdout), stderr }));
    child.stdin.on('error', () => {}); // the command may end without reading
    child.stdin.end(options.input ?? Buffer.alloc(0));
  });
}

/** As `emmental`, without a process of its own: for commands that neither read standard input nor wait for signals. */
export async function emmentalHere(args: string[], { cwd }: { cwd?: string } = {}): Promise<Outcome> {
  const stdout: Buffer[] = [];
  const stderr: Buffer[] = [];
  const before = { cwd: process.cwd(), exitCode: process.exitCode };
  const restore = [capture(process.stdout, stdout), capture(process.stderr, stderr)];
  process.exitCode = undefined;
  if (cwd !== undefined) process.chdir(cwd);
  try {
    const code = await runCommand(args);
    return { code, signal: null, stdout: Buffer.concat(stdout), stderr: Buffer.concat(stderr).toString() };
  } finally {
    process.chdir(before.cwd);
    process.exitCode = before.exitCode;
    for (const undo of restore) undo();
  }
}

/** Keeps what is written to a stream to oneself, until what is returned is called. */
function capture(stream: NodeJS.WriteStream, chunks: Buffer[]): () => void {
  const { write } = stream;
  stream.write = (chunk: string | Uint8Array, ...rest: unknown[]): boolean => {
    chunks.push(Buffer.from(chunk as Uint8Array));
    const done = rest.at(-1);
    if (typeof done === 'function') process.nextTick(done);
    return true;
  };
  return () => {
    stream.write = write;
  };
}
