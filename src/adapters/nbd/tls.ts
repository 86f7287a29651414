/**
 * TLS for a server's connections: always with a client certificate, which must be signed by the given authority.
 *
 * One `tls.Server` that listens nowhere for each upgrade: it verifies the client and reports on this connection alone.
 * Injecting a connection by its 'connection' event is Node's documented way.
 */
import type { Duplex } from 'node:stream';
import { createSecureContext, createServer, type TLSSocket } from 'node:tls';

export interface TlsOptions {
  /** The server's key and certificate chain, PEM. */
  key: string | Buffer;
  cert: string | Buffer;
  /** Who signs clients' certificates, PEM. */
  ca: string | Buffer | (string | Buffer)[];
}

/** Throws when key, certificate or authority make no sense, before anybody connects. */
export function checkTls(tls: TlsOptions): void {
  for (const name of ['key', 'cert', 'ca'] as const) {
    if (tls[name] === undefined || tls[name].length === 0) throw new TypeError(`tls.${name} is missing`);
  }
  createSecureContext({ key: tls.key, cert: tls.cert, ca: tls.ca });
}

/** Resolves with the secured socket once the client has proved who it is; rejects, the socket destroyed, when it has not. */
export function upgrade(socket: Duplex, { key, cert, ca }: TlsOptions): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const server = createServer({ key, cert, ca, requestCert: true, rejectUnauthorized: true, minVersion: 'TLSv1.2' });
    const fail = (error: Error): void => {
      socket.destroy();
      reject(error);
    };
    socket.once('close', () => reject(new Error('the connection closed during the TLS handshake')));
    server.once('secureConnection', (secured) => {
      if (secured.authorized) resolve(secured);
      else fail(new Error('the client has no valid certificate'));
    });
    server.once('tlsClientError', fail);
    server.emit('connection', socket);
  });
}
