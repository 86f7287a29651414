/** `emmental top DEVICE`: what a store does that another process has open, second by second. */
import { connect, type Socket } from 'node:net';
import type { Command } from 'commander';
import { monitorSocketPath, type Snapshot } from '../index.js';
import { interruption } from './interruption.js';
import { printLine } from './print.js';
import { describeRates, ratesOf } from './top-rates.js';
import { UsageError } from './usage-error.js';

interface TopOptions {
  interval: number;
  once?: boolean;
  json?: boolean;
}

/** `bench` and `compare` open their store anew for each step: who watches them waits so long for the next. */
const REOPEN_MS = 3000;
const RETRY_MS = 100;
const CTRL_C = '\u0003';

export function registerTop(program: Command): void {
  program
    .command('top')
    .description('watch a store that another process has open with { monitor: true }, or with --monitor')
    .argument('<device>')
    .option('--interval <seconds>', 'from one look to the next', parseInterval, 1)
    .option('--once', 'print one interval and end')
    .option('--json', 'print a line of JSON for each interval')
    .action(top);
}

function parseInterval(text: string): number {
  const seconds = Number(text);
  if (seconds >= 0.05 && seconds <= 3600) return seconds;
  throw new UsageError(`--interval must be from 0.05 to 3600 seconds, not '${text}'`);
}

/** A connection to a monitor: one question at a time. */
class Watch {
  private text = '';
  private answer: ((snapshot: Snapshot | null) => void) | null = null;
  private ended = false;

  private constructor(private readonly socket: Socket) {
    socket.setEncoding('utf8');
    socket.on('data', (text: string) => this.receive(text));
    socket.on('error', () => {});
    socket.on('close', () => {
      this.ended = true;
      this.settle(null);
    });
  }

  /** Null where nobody listens. */
  static open(path: string): Promise<Watch | null> {
    return new Promise((resolve) => {
      const socket = connect({ path });
      socket.once('error', () => resolve(null));
      socket.once('connect', () => resolve(new Watch(socket)));
    });
  }

  /** Null once the store is closed. */
  ask(): Promise<Snapshot | null> {
    if (this.ended) return Promise.resolve(null);
    return new Promise((resolve) => {
      this.answer = resolve;
      this.socket.write('\n');
    });
  }

  close(): void {
    this.socket.destroy();
  }

  private receive(text: string): void {
    this.text += text;
    const end = this.text.indexOf('\n');
    if (end < 0) return;
    const line = this.text.slice(0, end);
    this.text = this.text.slice(end + 1);
    this.settle(JSON.parse(line) as Snapshot);
  }

  private settle(snapshot: Snapshot | null): void {
    this.answer?.(snapshot);
    this.answer = null;
  }
}

async function top(device: string, { interval, once = false, json = false }: TopOptions): Promise<void> {
  const path = monitorSocketPath(device);
  const quit = new AbortController();
  const screen = new Screen(!json && !once && process.stdout.isTTY === true, () => quit.abort());
  const stop = () => quit.abort();
  interruption.addEventListener('abort', stop);
  let watch = await Watch.open(path);
  if (watch === null) {
    throw new Error(`nobody lets a store on ${device} be watched; open it with { monitor: true }, or use --monitor`);
  }
  screen.enter();
  try {
    let before = await answered(watch.ask(), quit.signal);
    while (!quit.signal.aborted) {
      if (before === null) {
        watch.close();
        watch = await reopened(path, quit.signal);
        if (watch === null) break;
        before = await answered(watch.ask(), quit.signal);
        continue;
      }
      await pause(interval * 1000, quit.signal);
      if (quit.signal.aborted) break;
      const after: Snapshot | null = await answered(watch.ask(), quit.signal);
      if (after !== null) {
        const rates = ratesOf(before, after);
        if (json) printLine(JSON.stringify(rates));
        else screen.show(describeRates(rates));
        if (once) return;
      }
      before = after;
    }
  } finally {
    screen.leave();
    watch?.close();
    interruption.removeEventListener('abort', stop);
  }
  if (!quit.signal.aborted) process.stderr.write(`emmental: the store on ${device} was closed\n`);
}

/** The answer, or null when the user will not wait for it. */
function answered(answer: Promise<Snapshot | null>, signal: AbortSignal): Promise<Snapshot | null> {
  if (signal.aborted) return Promise.resolve(null);
  return new Promise((resolve) => {
    const forget = () => resolve(null);
    signal.addEventListener('abort', forget, { once: true });
    void answer.then((snapshot) => {
      signal.removeEventListener('abort', forget);
      resolve(snapshot);
    });
  });
}

async function reopened(path: string, signal: AbortSignal): Promise<Watch | null> {
  for (let waitedMs = 0; waitedMs < REOPEN_MS && !signal.aborted; waitedMs += RETRY_MS) {
    const watch = await Watch.open(path);
    if (watch !== null) return watch;
    await pause(RETRY_MS, signal);
  }
  return null;
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', end);
      resolve();
    };
    const timer = setTimeout(end, ms);
    signal.addEventListener('abort', end, { once: true });
  });
}

/** The terminal's other screen, which leaves the first as it was; or plain lines where there is no terminal. */
class Screen {
  constructor(
    private readonly isTerminal: boolean,
    private readonly onQuit: () => void,
  ) {}

  enter(): void {
    if (!this.isTerminal) return;
    process.stdout.write('\u001b[?1049h\u001b[?25l');
    if (!process.stdin.isTTY) return;
    process.stdin.setRawMode(true);
    process.stdin.setEncoding('utf8');
    process.stdin.on('data', this.read);
  }

  show(lines: string[]): void {
    if (!this.isTerminal) {
      printLine(`${lines.join('\n')}\n`);
      return;
    }
    // A terminal that does not know its size says 0.
    const rows = process.stdout.rows || 24;
    const columns = process.stdout.columns || 80;
    const shown = [...lines, '', 'q: quit'].slice(0, rows - 1).map((line) => `${line.slice(0, columns)}\u001b[K`);
    process.stdout.write(`\u001b[H${shown.join('\r\n')}\u001b[J`);
  }

  leave(): void {
    if (!this.isTerminal) return;
    if (process.stdin.isTTY) {
      process.stdin.off('data', this.read);
      process.stdin.setRawMode(false);
      process.stdin.pause();
    }
    process.stdout.write('\u001b[?25h\u001b[?1049l');
  }

  private readonly read = (keys: string): void => {
    if (keys.includes('q') || keys.includes(CTRL_C)) this.onQuit();
  };
}
