/** A store that is being served, for the tests of a file; closed, served no more and checked at its end. */
import { join } from 'node:path';
import { afterAll, beforeAll, expect } from 'vitest';
import { checkStore, createStore, openStore, type Store } from '#dist/src/index.js';
import { type NbdServer, type ServeNbdOptions, serveNbd } from '#dist/src/nbd.js';
import { temporaryDirectory } from '../../support/temporary.js';

export const MIB = 1024 * 1024;

export interface ServedStore {
  directory: string;
  store: Store;
  server: NbdServer;
  /** The unix socket. */
  socket: string;
  /** What the server logged. */
  lines: string[];
  uri(name: string): string;
  /** One more server on the same store, closed with it. */
  serve(options: ServeNbdOptions): Promise<NbdServer>;
}

export function servedStore(options: ServeNbdOptions = {}, sizeBytes = 256 * MIB, cacheBytes = 64 * MIB): ServedStore {
  const directory = temporaryDirectory(true);
  const image = join(directory, 'disk.img');
  const served = {
    directory,
    socket: join(directory, 'nbd.sock'),
    lines: [] as string[],
    uri(name: string) {
      return `nbd+unix:///${name}?socket=${this.socket}`;
    },
  } as ServedStore;
  const servers: NbdServer[] = [];
  served.serve = async (more) => {
    const server = await serveNbd(served.store, { log: (line) => served.lines.push(line), ...more });
    servers.push(server);
    return server;
  };
  beforeAll(async () => {
    await createStore(image, { sizeBytes });
    served.store = await openStore(image, { cacheBytes, threads: 2 });
    served.server = await served.serve({ socket: served.socket, ...options });
  });
  afterAll(async () => {
    for (const server of servers) await server.close();
    await served.store?.close();
    expect((await checkStore(image)).errors).toEqual([]);
  });
  return served;
}

export async function makeFile(store: Store, name: string, size: number, content?: Uint8Array): Promise<void> {
  const file = await store.open(name, 'w');
  if (content !== undefined) await file.writeFile(content);
  await file.truncate(size);
  await file.close();
}

export async function readFile(store: Store, name: string): Promise<Buffer> {
  const file = await store.open(name);
  try {
    return Buffer.from((await file.readFile()) as Buffer);
  } finally {
    await file.close();
  }
}
