/** A process of its own that opens a device (claimant.mjs). */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { bundledThread } from './bundled-thread.js';

export interface Answer {
  /** The error's, where opening failed. */
  code?: string;
  message?: string;
  sizeBytes?: number;
  io?: string;
  canDiscard?: boolean;
  claimedBy?: string;
}

export class Claimant {
  private constructor(
    private readonly process: ChildProcess,
    readonly answer: Answer,
  ) {}

  static async start(path: string, options: { native?: boolean; readOnly?: boolean } = {}): Promise<Claimant> {
    const script = fileURLToPath(bundledThread('claimant'));
    const child = spawn(process.execPath, [script, path, ...(options.readOnly ? ['read-only'] : [])], {
      env: { ...process.env, EMMENTAL_NATIVE: options.native === false ? 'off' : 'on' },
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    const [line] = (await once(createInterface({ input: child.stdout! }), 'line')) as [string];
    return new Claimant(child, JSON.parse(line) as Answer);
  }

  /** Lets the process close the device and end. */
  async close(): Promise<void> {
    this.process.stdin!.end();
    if (this.process.exitCode === null) await once(this.process, 'exit');
  }

  /** Ends the process without a chance to tidy up. */
  async kill(): Promise<void> {
    this.process.kill('SIGKILL');
    if (this.process.signalCode === null) await once(this.process, 'exit');
  }
}

/** What a process of its own gets when it opens the device, and at once closes it. */
export async function tryOpen(path: string, options: { native?: boolean; readOnly?: boolean } = {}): Promise<Answer> {
  const claimant = await Claimant.start(path, options);
  await claimant.close();
  return claimant.answer;
}
