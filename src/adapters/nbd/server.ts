/**
 * An NBD server for the files of an open store.
 *
 * It runs on the thread that opened the store, as one more user of it. Each connection negotiates (handshake.ts) and is then
 * served by a session (session.ts); the budget and the buffers are common to all. Closing: no new connections, an end to
 * negotiations, every accepted request answered, every file closed; the store stays open.
 *
 * A client that keeps what it was promised waiting, by taking no replies or sending half a payload, is sent away after
 * `stallMs` when others wait for the memory that it holds, or when the server wants to end.
 */
import { Buffer } from 'node:buffer';
import { createServer, type Server, type Socket } from 'node:net';
import { type Store, StoreError } from '../../index.js';
import { Disconnected } from '../../nbd/byte-reader.js';
import { PAYLOAD_BYTES_MAX } from '../../nbd/constants.js';
import { Budget, Share } from './budget.js';
import { BufferPool } from './buffer-pool.js';
import { type Endpoint, listen, resolveEndpoint } from './endpoint.js';
import { Exports } from './exports.js';
import { Handshake, Refused } from './handshake.js';
import { Session } from './session.js';
import { READ_BYTES } from './socket-reader.js';
import { checkTls, type TlsOptions } from './tls.js';

export interface ServeNbdOptions {
  /** Path of a unix socket, made with mode 0600. */
  socket?: string;
  /** Address to listen on, when no `socket` is given. Default 127.0.0.1; other hosts' reach needs `tls`. */
  host?: string;
  /** Default 10809; 0 takes any free one. */
  port?: number;
  /** Names of the files to serve; all files of the store when left out or empty. */
  exports?: readonly string[];
  /** The file that a client gets that names none. Default: the only one of `exports`. */
  defaultExport?: string;
  readOnly?: boolean;
  /** Every client must use TLS, with a certificate signed by `ca`. */
  tls?: TlsOptions;
  /** Bytes that the requests of one connection may hold. Default 32 MiB. */
  connectionBytes?: number;
  /** Bytes that those of all may hold. Default 256 MiB. */
  totalBytes?: number;
  /** How long a client may stall what others wait for. Default 30000. */
  stallMs?: number;
  /** Told of each client that is refused or fails, one line each. */
  log?: (line: string) => void;
}

const CONNECTION_BYTES = 32 * 1024 * 1024;
const TOTAL_BYTES = 256 * 1024 * 1024;
const STALL_MS = 30_000;
const NEGOTIATION_MS = 60_000;
/** Looks in `stallMs`. */
const STALL_TICKS = 8;

/**
 * Serves files of a store as network block devices. ENOENT for an export that is not there; EACCES for an address that
 * other hosts can reach, without `tls`; EBUSY when somebody listens there.
 */
export async function serveNbd(store: Store, options: ServeNbdOptions = {}): Promise<NbdServer> {
  if (options.tls !== undefined) checkTls(options.tls);
  const endpoint = await resolveEndpoint(options, options.tls !== undefined);
  const exports = new Exports(store, options.exports, options.defaultExport, options.readOnly === true);
  await exports.check();
  const { blockBytes } = await store.statfs();
  const server = new NbdServer(exports, blockBytes, options);
  await server.start(endpoint);
  return server;
}

export class NbdServer {
  private readonly server: Server;
  private readonly budget: Budget;
  private readonly pool = new BufferPool();
  private readonly readBuffer = Buffer.allocUnsafeSlow(READ_BYTES);
  private readonly negotiating = new Map<Socket, Promise<void>>();
  private readonly sessions = new Set<Session>();
  private endpoint: Endpoint | null = null;
  private watch: NodeJS.Timeout | undefined;
  private closing: Promise<void> | undefined;
  private connections = 0;

  /** @internal Users call `serveNbd`. */
  constructor(
    private readonly exports: Exports,
    private readonly blockBytes: number,
    private readonly options: ServeNbdOptions,
  ) {
    this.budget = new Budget(Math.max(options.totalBytes ?? TOTAL_BYTES, PAYLOAD_BYTES_MAX));
    this.server = createServer({ noDelay: true, pauseOnConnect: true }, (socket) => this.accept(socket));
  }

  /** @internal */
  async start(endpoint: Endpoint): Promise<void> {
    await listen(this.server, endpoint);
    this.endpoint = endpoint;
    this.watch = setInterval(() => this.sendStalledAway(), this.stallMs / STALL_TICKS);
    this.watch.unref();
    this.server.on('error', (error) => this.log(`listening: ${error.message}`));
  }

  /** As clients name it: `nbd://127.0.0.1:10809` or `nbd+unix://?socket=/run/store`; an export's name goes behind the host. */
  get uri(): string {
    const scheme = this.options.tls === undefined ? 'nbd' : 'nbds';
    if (this.endpoint?.kind === 'unix') return `${scheme}+unix:///?socket=${encodeURIComponent(this.endpoint.path)}`;
    const host = this.endpoint?.host ?? '';
    return `${scheme}://${host.includes(':') ? `[${host}]` : host}:${this.port}`;
  }

  /** The port listened on; undefined on a unix socket. */
  get port(): number | undefined {
    const address = this.server.address();
    return typeof address === 'object' && address !== null ? address.port : undefined;
  }

  /** What goes on now: connections in the transmission phase, and bytes that requests hold. */
  stats(): { connections: number; bytesInFlight: number } {
    return { connections: this.sessions.size, bytesInFlight: this.budget.usedBytes };
  }

  /** Stops: answers every request that was accepted, closes the connections. The store stays open. */
  close(): Promise<void> {
    this.closing ??= this.finish();
    return this.closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  private get stallMs(): number {
    return this.options.stallMs ?? STALL_MS;
  }

  private accept(socket: Socket): void {
    const served = this.serve(socket, ++this.connections).finally(() => this.negotiating.delete(socket));
    this.negotiating.set(socket, served);
  }

  /** From the first byte to the start of the session, or the end of the connection. */
  private async serve(socket: Socket, number: number): Promise<void> {
    const say = (text: string): void => this.log(`connection ${number}: ${text}`);
    // Errors reach whoever reads or writes; this one is for the moments in which nobody does.
    socket.on('error', () => {});
    const limit = setTimeout(() => socket.destroy(new Error('the negotiation took too long')), NEGOTIATION_MS);
    const { exports, blockBytes, options } = this;
    const handshake = new Handshake(socket, exports, blockBytes, options.tls, () => this.closing !== undefined);
    try {
      const agreement = await handshake.run();
      if (agreement === null) {
        socket.end();
        return;
      }
      agreement.socket.on('error', () => {});
      const share = new Share(this.budget, Math.max(options.connectionBytes ?? CONNECTION_BYTES, 1));
      const session = new Session(agreement, share, this.pool, this.readBuffer, blockBytes, say);
      this.sessions.add(session);
      void session.done.then(() => this.sessions.delete(session));
      session.start();
    } catch (error) {
      socket.destroy();
      if (error instanceof Refused || error instanceof Disconnected || error instanceof StoreError) say(error.message);
      else throw error;
    } finally {
      clearTimeout(limit);
    }
  }

  private async finish(): Promise<void> {
    // Not waited for: it counts sockets whose connections have gone on in others (socket-reader.ts).
    this.server.close();
    // Whoever is still negotiating has been promised nothing.
    for (const socket of this.negotiating.keys()) socket.destroy();
    await Promise.all(this.negotiating.values());
    await Promise.all([...this.sessions].map((session) => session.finish()));
    clearInterval(this.watch);
  }

  private sendStalledAway(): void {
    const isNeeded = this.budget.isShort || this.closing !== undefined;
    for (const session of this.sessions) {
      if (session.tick() >= STALL_TICKS && isNeeded) {
        session.destroy('sent away: it takes no replies, or sends half a request, while others wait');
      }
    }
  }

  private log(line: string): void {
    this.options.log?.(printable(line));
  }
}

/** What a client sent may be part of a line, and must not make two. */
function printable(line: string): string {
  return line.replace(/[\p{Cc}\u2028\u2029]/gu, '?');
}
