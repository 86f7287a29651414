/**
 * NBD URIs, as the protocol's companion document and libnbd write them.
 *
 *   nbd://HOST[:PORT]/EXPORT          nbds://HOST[:PORT]/EXPORT
 *   nbd+unix:///EXPORT?socket=PATH    nbds+unix:///EXPORT?socket=PATH
 *
 * Query: `socket`, `tls-certificates` (a directory with ca-cert.pem, client-cert.pem and client-key.pem), `tls-hostname`; and
 * of ours `connections`, `timeout` and `retry` (seconds). Reserved characters in names are percent-encoded.
 */
import { StoreError } from '../errors.js';

export interface NbdAddress {
  uri: string;
  exportName: string;
  /** One or the other. */
  socket: string | null;
  host: string;
  port: number;
  isTls: boolean;
  tlsDirectory: string | null;
  /** The name that the server's certificate must carry. */
  tlsHostname: string;
  /** At most this many connections, where the server allows several. */
  connections: number;
  /** How long a request may go without a reply. */
  timeoutMs: number;
  /** How long a lost connection is tried for. */
  retryMs: number;
}

const SCHEME = /^(nbds?)(\+unix)?:\/\//;
const DEFAULT_PORT = 10809;
const DEFAULT_CONNECTIONS = 4;
const MAX_CONNECTIONS = 16;
const DEFAULT_TIMEOUT_S = 60;
const DEFAULT_RETRY_S = 30;

export function isNbdUri(path: string): boolean {
  return SCHEME.test(path);
}

/** Throws EINVAL for what is no such URI. */
export function parseNbdUri(uri: string): NbdAddress {
  const [, scheme, unix] = SCHEME.exec(uri) ?? [];
  let url: URL;
  let exportName: string;
  try {
    url = new URL(uri);
    exportName = decodeURIComponent(url.pathname.replace(/^\//, ''));
  } catch {
    throw invalid(uri, 'no NBD URI');
  }
  const query = url.searchParams;
  const socket = query.get('socket');
  if (scheme === undefined) throw invalid(uri, 'no NBD URI');
  if (unix !== undefined && (socket === null || url.host !== '')) throw invalid(uri, 'a unix socket is ?socket=PATH');
  if (unix === undefined && url.hostname === '') throw invalid(uri, 'the host is missing');
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1');
  return {
    uri,
    exportName,
    socket: unix === undefined ? null : socket,
    host,
    port: url.port === '' ? DEFAULT_PORT : Number(url.port),
    isTls: scheme === 'nbds',
    tlsDirectory: query.get('tls-certificates'),
    tlsHostname: query.get('tls-hostname') ?? (unix === undefined ? host : 'localhost'),
    connections: Math.min(MAX_CONNECTIONS, numberOf(uri, query, 'connections', DEFAULT_CONNECTIONS, 1)),
    timeoutMs: 1000 * numberOf(uri, query, 'timeout', DEFAULT_TIMEOUT_S, 0.1),
    retryMs: 1000 * numberOf(uri, query, 'retry', DEFAULT_RETRY_S, 0),
  };
}

function numberOf(uri: string, query: URLSearchParams, name: string, standard: number, least: number): number {
  const text = query.get(name);
  if (text === null) return standard;
  const value = Number(text);
  if (!(value >= least && value <= 86_400)) throw invalid(uri, `${name}=${text}`);
  return value;
}

function invalid(uri: string, detail: string): StoreError {
  return new StoreError('EINVAL', { syscall: 'open', path: uri, detail });
}
