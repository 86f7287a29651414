/**
 * Where a server listens: a unix socket that only its owner may use, or an address.
 *
 * An address that others can reach needs TLS with verified client certificates: without it the server does not start. What
 * counts is the address that the name resolves to, so that no entry in the host's tables opens the door.
 */

import { lookup } from 'node:dns/promises';
import { chmodSync, lstatSync, unlinkSync } from 'node:fs';
import { connect, isIP, type Server } from 'node:net';
import { isMainThread } from 'node:worker_threads';
import { StoreError } from '../../index.js';

export type Endpoint = { kind: 'unix'; path: string } | { kind: 'tcp'; host: string; port: number };

/** The port that is the protocol's. */
export const NBD_PORT = 10809;

/** Where to listen; addresses that are not this host's own need `hasTls`. EACCES otherwise. */
export async function resolveEndpoint(
  options: { socket?: string | undefined; host?: string | undefined; port?: number | undefined },
  hasTls: boolean,
): Promise<Endpoint> {
  if (options.socket !== undefined) return { kind: 'unix', path: options.socket };
  const name = options.host ?? '127.0.0.1';
  const host = isIP(name) !== 0 ? name : (await lookup(name)).address;
  if (!isLoopback(host) && !hasTls) {
    const detail = `${name} can be reached from other hosts: that needs TLS with client certificates`;
    throw new StoreError('EACCES', { syscall: 'listen', detail });
  }
  return { kind: 'tcp', host, port: options.port ?? NBD_PORT };
}

export function isLoopback(address: string): boolean {
  const plain = address.toLowerCase().replace(/^::ffff:(?=\d+\.)/, '');
  return plain === '::1' || /^127\.\d+\.\d+\.\d+$/.test(plain);
}

/** Listens; a socket that nobody serves any more is replaced. EBUSY when one does. */
export async function listen(server: Server, endpoint: Endpoint): Promise<void> {
  if (endpoint.kind === 'tcp') {
    await begin(server, { host: endpoint.host, port: endpoint.port });
    return;
  }
  await removeStale(endpoint.path);
  // Made with these permissions where that can be had, not given them later. Binding happens inside the call.
  const mask = isMainThread ? process.umask(0o177) : null;
  let listening: Promise<void>;
  try {
    listening = begin(server, { path: endpoint.path });
  } finally {
    if (mask !== null) process.umask(mask);
  }
  await listening;
  chmodSync(endpoint.path, 0o600);
}

function begin(server: Server, options: { host?: string; port?: number; path?: string }): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(options, () => {
      server.off('error', reject);
      resolve();
    });
  });
}

async function removeStale(path: string): Promise<void> {
  const stat = lstatSync(path, { throwIfNoEntry: false });
  if (stat === undefined) return;
  if (!stat.isSocket()) throw new StoreError('EEXIST', { syscall: 'listen', path, detail: 'not a socket' });
  if (await answers(path)) throw new StoreError('EBUSY', { syscall: 'listen', path, detail: 'a server listens there' });
  unlinkSync(path);
}

function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = connect({ path });
    probe.once('connect', () => {
      probe.destroy();
      resolve(true);
    });
    probe.once('error', () => resolve(false));
  });
}
