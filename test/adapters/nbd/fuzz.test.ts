/**
 * Mutated and truncated handshakes and requests. Whatever comes, the server goes on serving, ends every connection that it
 * should, shows no byte of a file that is not exported, and keeps its own file as it would be had only sound requests come.
 *
 *   EMMENTAL_NBD_FUZZ=100000 npx vitest run test/adapters/nbd/fuzz.test.ts
 */
import { expect, it } from 'vitest';
import { Command, Info, Option } from '#dist/src/nbd/constants.js';
import { encodeContextQueries, encodeInfoRequest, encodeOption, putRequest } from '#dist/src/nbd/messages.js';
import type { NbdServer } from '#dist/src/nbd.js';
import { seededRandom } from '../../support/random.js';
import { RawClient } from './raw-client.js';
import { MIB, makeFile, servedStore } from './served-store.js';

const ROUNDS = Number(process.env.EMMENTAL_NBD_FUZZ ?? 1500);
const SEED = Number(process.env.EMMENTAL_NBD_FUZZ_SEED ?? Math.floor(Math.random() * 2 ** 31));
/** In no export that is served, and in nothing that a client sends. */
const SECRET = Buffer.from('\u0001\u0002another export\u0003\u0004');
const SIZE = 4 * MIB;
const AT_ONCE = 32;

const served = servedStore();
let server: NbdServer;
const socketPath = (): string => `${served.directory}/fuzz.sock`;
const random = seededRandom(SEED);

const below = (limit: number): number => Math.floor(random() * limit);
const oneOf = <T>(list: readonly T[]): T => list[below(list.length)];

function request(command: number, flags: number, offset: number, length: number, payload = 0): Buffer {
  const bytes = Buffer.alloc(28 + payload, 0x61);
  putRequest(bytes, 0, flags, command, below(2 ** 32), below(2 ** 32), offset, length);
  return bytes;
}

/** One sound conversation, as its messages. */
function conversation(): Buffer[] {
  const flags = Buffer.alloc(4);
  flags.writeUInt32BE(oneOf([0, 1, 3, 3, 3]));
  const messages: Buffer[] = [flags];
  const options = [
    () => encodeOption(Option.StructuredReply, Buffer.alloc(0)),
    () => encodeOption(Option.List, Buffer.alloc(0)),
    () => encodeOption(Option.Info, encodeInfoRequest(oneOf(['open', 'closed', '']), [Info.BlockSize, Info.Name])),
    () => encodeOption(Option.SetMetaContext, encodeContextQueries('open', ['base:allocation'])),
    () => encodeOption(Option.ListMetaContext, encodeContextQueries(oneOf(['open', 'closed']), ['base:'])),
    () => encodeOption(Option.StartTls, Buffer.alloc(0)),
    () => encodeOption(below(20), Buffer.alloc(below(40))),
  ];
  for (let i = below(4); i > 0; i--) messages.push(oneOf(options)());
  if (random() < 0.8) messages.push(encodeOption(Option.Go, encodeInfoRequest('open', [])));
  else messages.push(encodeOption(Option.ExportName, Buffer.from('open')));
  for (let i = below(8); i > 0; i--) {
    const length = oneOf([0, 1, 512, 4096, 70_000]);
    const offset = below(SIZE - length);
    const command = below(8);
    messages.push(
      request(command, oneOf([0, 0, 1, 2, 4, 8, 16]), offset, length, command === Command.Write ? length : 0),
    );
  }
  if (random() < 0.5) messages.push(request(Command.Disconnect, 0, 0, 0));
  return messages;
}

/** Up to three injuries. */
function injure(whole: Buffer): Buffer {
  let bytes: Buffer = Buffer.from(whole);
  for (let i = below(3); i >= 0 && bytes.byteLength > 0; i--) {
    const at = below(bytes.byteLength);
    const injuries = [
      () => {
        bytes[at] ^= 1 << below(8);
      },
      () => {
        bytes[at] = oneOf([0, 1, 0x7f, 0x80, 0xff]);
      },
      () => {
        bytes.fill(oneOf([0, 0xff]), at, Math.min(bytes.byteLength, at + 1 + below(8)));
      },
      () => {
        bytes = bytes.subarray(0, at);
      },
      () => {
        bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(Math.min(bytes.byteLength, at + 1 + below(40)))]);
      },
      () => {
        bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(below(bytes.byteLength))]);
      },
    ];
    oneOf(injuries)();
  }
  return bytes;
}

/** Sends it in pieces, and collects what comes back until the server closes, or nothing has come for a while. */
async function talk(bytes: Buffer, cuts: readonly number[]): Promise<Buffer> {
  const client = await RawClient.connect(socketPath());
  const received: Buffer[] = [];
  let isClosed = false;
  client.socket.removeAllListeners('data').on('data', (chunk: Buffer) => received.push(chunk));
  client.socket.on('error', () => {});
  const closed = new Promise<void>((resolve) => {
    client.socket.on('close', () => {
      isClosed = true;
      resolve();
    });
  });
  let from = 0;
  for (const cut of [...cuts, bytes.byteLength]) {
    if (!isClosed) client.socket.write(bytes.subarray(from, cut));
    from = cut;
    await new Promise((resolve) => setImmediate(resolve));
  }
  client.socket.end();
  const patience = setTimeout(() => client.close(), 300);
  await closed;
  clearTimeout(patience);
  return Buffer.concat(received);
}

it(`survives ${ROUNDS} injured conversations (EMMENTAL_NBD_FUZZ_SEED=${SEED})`, { timeout: 3_600_000 }, async () => {
  await makeFile(served.store, 'open', SIZE);
  await makeFile(served.store, 'closed', SIZE, Buffer.alloc(SIZE, SECRET));
  const limits = { connectionBytes: 4 * MIB, totalBytes: 64 * MIB, stallMs: 2000 };
  server = await served.serve({ socket: socketPath(), exports: ['open'], ...limits });
  let done = 0;
  const worker = async (): Promise<void> => {
    while (done < ROUNDS) {
      done += 1;
      const bytes = injure(Buffer.concat(conversation()));
      const cuts = Array.from({ length: below(4) }, () => below(bytes.byteLength + 1)).sort((a, b) => a - b);
      const answer = await talk(bytes, cuts);
      if (answer.includes(SECRET)) throw new Error(`another export's bytes after ${bytes.toString('hex')}`);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  while (server.stats().connections > 0) await new Promise((resolve) => setTimeout(resolve, 10));
  expect(server.stats().bytesInFlight).toBe(0);
  // It serves on, and the file has the size that it had.
  const client = await RawClient.connect(socketPath());
  await client.enter('open');
  expect((await client.write(1, 0, Buffer.from('sound'))).error).toBe(0);
  expect((await client.read(2, 0, 5)).bytes.toString()).toBe('sound');
  client.close();
  expect((await served.store.stat('open')).size).toBe(SIZE);
  const closed = await served.store.open('closed');
  expect(((await closed.readFile()) as Buffer).equals(Buffer.alloc(SIZE, SECRET))).toBe(true);
  await closed.close();
  for (const line of served.lines) expect(line).toMatch(/^connection \d+: [^\n\r]*$/);
});
