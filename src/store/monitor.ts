/**
 * The socket through which another process watches an open store: `openStore(path, { monitor: true })` listens, `emmental top`
 * asks. Opening thread only.
 *
 * One line asks (whatever is in it), one line of JSON answers: a `Snapshot`. Nobody asks, nothing is done.
 *
 *  1. The socket lies in a directory of mode 0700 of the user's own, and has mode 0600 itself.
 *  2. Its name follows from the device's, so that who watches need not be told; the store's claim on the device makes sure that
 *     who listened there before is gone, and what it left is removed.
 *  3. Nothing that goes wrong here reaches the store: a socket that cannot be had is a process warning, a bad client loses its
 *     connection, and one that does not read is not written to.
 */
import { createHash } from 'node:crypto';
import { chmodSync, lstatSync, mkdirSync, realpathSync, unlinkSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import type { Session } from './session.js';
import { type StoreStats, snapshotStats } from './stats.js';

const CLIENTS_MAX = 16;
/** Of one question; more is no question. */
const QUESTION_MAX = 256;

/** What a line of the monitor says. `lockTimes` is left out of it. */
export interface Snapshot {
  /** Of this format. */
  emmental: 1;
  device: string;
  pid: number;
  /** Since the store was opened, by a clock that does not jump. */
  openMs: number;
  stats: StoreStats;
}

/**
 * Where the monitor of a store on this device listens: below `XDG_RUNTIME_DIR`, or `/tmp` where there is none, in
 * `emmental-UID/`, named after the device's real path.
 */
export function monitorSocketPath(device: string): string {
  const name = createHash('sha256').update(realName(device)).digest('hex').slice(0, 24);
  return join(process.env.XDG_RUNTIME_DIR || '/tmp', `emmental-${process.getuid?.() ?? 0}`, `${name}.sock`);
}

/** The network's devices have no path. */
function realName(device: string): string {
  try {
    return realpathSync(device);
  } catch {
    return device;
  }
}

export class Monitor {
  private readonly sockets = new Set<Socket>();
  private readonly sinceMs = performance.now();

  private constructor(
    private readonly server: Server,
    private readonly session: Session,
  ) {
    server.on('connection', (socket) => this.serve(socket));
    server.on('error', () => {});
    server.maxConnections = CLIENTS_MAX;
    server.unref();
  }

  /** Null, and a warning, where the socket cannot be had. */
  static async start(session: Session): Promise<Monitor | null> {
    const path = monitorSocketPath(session.handle.path);
    const server = createServer();
    try {
      preparePlace(path);
      await new Promise<void>((resolve, reject) => {
        server.once('error', reject);
        server.listen({ path }, () => resolve(void server.off('error', reject)));
      });
      chmodSync(path, 0o600);
      return new Monitor(server, session);
    } catch (error) {
      server.close();
      process.emitWarning(`the store on ${session.handle.path} cannot be watched: ${(error as Error).message}`);
      return null;
    }
  }

  /** Ends all connections and removes the socket. */
  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.server.close(() => resolve()));
    for (const socket of this.sockets) socket.destroy();
    await closed;
  }

  private serve(socket: Socket): void {
    let asked = 0;
    this.sockets.add(socket);
    socket.unref();
    socket.on('error', () => {});
    socket.on('close', () => this.sockets.delete(socket));
    socket.on('data', (bytes) => {
      const end = bytes.lastIndexOf(10);
      asked = end < 0 ? asked + bytes.length : bytes.length - end - 1;
      if (asked > QUESTION_MAX) socket.destroy();
      else if (end >= 0 && !socket.writableNeedDrain) socket.write(`${JSON.stringify(this.snapshot())}\n`);
    });
  }

  private snapshot(): Snapshot {
    const stats = { ...snapshotStats(this.session), lockTimes: null };
    const openMs = performance.now() - this.sinceMs;
    return { emmental: 1, device: this.session.handle.path, pid: process.pid, openMs, stats };
  }
}

function preparePlace(path: string): void {
  const directory = join(path, '..');
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const place = lstatSync(directory);
  if (!place.isDirectory() || place.uid !== process.getuid?.() || (place.mode & 0o077) !== 0) {
    throw new Error(`${directory} is not a directory of this user's alone`);
  }
  const left = lstatSync(path, { throwIfNoEntry: false });
  if (left === undefined) return;
  if (!left.isSocket()) throw new Error(`${path} is not a socket`);
  unlinkSync(path);
}
