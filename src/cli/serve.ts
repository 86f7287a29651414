/** `emmental serve DEVICE[:NAME] [NAME ...]`: files of a store as network block devices, until the process is told to stop. */
import { readFileSync } from 'node:fs';
import { type Command, Option } from 'commander';
import { type ServeNbdOptions, serveNbd, type TlsOptions } from '../nbd.js';
import { parseExports } from './address.js';
import { interruption } from './interruption.js';
import { withStore } from './session.js';
import { parseSize } from './size.js';
import { UsageError } from './usage-error.js';

interface ServeOptions {
  socket?: string;
  listen?: string;
  readOnly?: boolean;
  cache: number;
  threads?: number;
  tlsKey?: string;
  tlsCert?: string;
  tlsCa?: string;
}

const DEFAULT_LISTEN = '127.0.0.1:10809';
const DEFAULT_CACHE = 256 * 1024 * 1024;

export function registerServe(program: Command): void {
  program
    .command('serve')
    .description('serve files of a store as network block devices (NBD)')
    .argument('<device[:name]>', 'the store, with the file to serve; all its files when none is named')
    .argument('[names...]', 'more files of the same store')
    .addOption(new Option('--socket <path>', 'listen on a unix socket, made with mode 0600').conflicts('listen'))
    .option('--listen <host:port>', `listen on an address; beyond this host only with TLS (default ${DEFAULT_LISTEN})`)
    .option('--read-only', 'refuse everything that writes')
    .option('--cache <size>', 'page cache', (text) => parseSize(text, '--cache'), DEFAULT_CACHE)
    .option('--threads <count>', 'service threads', Number)
    .option('--tls-key <file>', "the server's key, PEM; with --tls-cert and --tls-ca every client needs a certificate")
    .option('--tls-cert <file>', "the server's certificate")
    .option('--tls-ca <file>', "the authority that signs clients' certificates")
    .action(serve);
}

async function serve(text: string, names: string[], options: ServeOptions): Promise<void> {
  const { device, name } = parseExports(text);
  const exports = [...(name === '' ? [] : [name]), ...names];
  const { cache, threads, readOnly = false } = options;
  const server: ServeNbdOptions = {
    ...whereOf(options),
    exports,
    readOnly,
    log: (line) => process.stderr.write(`emmental: ${line}\n`),
  };
  const tls = tlsOf(options);
  if (tls !== undefined) server.tls = tls;
  const opening = { readOnly, cacheBytes: cache, ...(threads === undefined ? {} : { threads }) };
  await withStore(device, opening, async (store) => {
    interruption.throwIfAborted();
    const serving = await serveNbd(store, server);
    process.stderr.write(`emmental: serving ${serving.uri}\n`);
    await new Promise<void>((resolve) => {
      if (interruption.aborted) resolve();
      interruption.addEventListener('abort', () => resolve(), { once: true });
    });
    await serving.close();
  });
}

function whereOf({ socket, listen }: ServeOptions): ServeNbdOptions {
  if (socket !== undefined) return { socket };
  const match = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(listen ?? DEFAULT_LISTEN);
  if (match === null || Number(match[3]) > 65_535) throw new UsageError(`'${listen}' is no HOST:PORT`);
  return { host: match[1] ?? match[2], port: Number(match[3]) };
}

function tlsOf({ tlsKey, tlsCert, tlsCa }: ServeOptions): TlsOptions | undefined {
  if (tlsKey === undefined && tlsCert === undefined && tlsCa === undefined) return undefined;
  if (tlsKey === undefined || tlsCert === undefined || tlsCa === undefined) {
    throw new UsageError('TLS takes all of --tls-key, --tls-cert and --tls-ca');
  }
  return { key: readFileSync(tlsKey), cert: readFileSync(tlsCert), ca: readFileSync(tlsCa) };
}
