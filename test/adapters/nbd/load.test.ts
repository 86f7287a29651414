/** Many clients, greedy ones and slow ones: memory stays bounded, the others are served, and a stop is clean. */
import type { Socket } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { Command, CommandFlag, Option, OptionReply } from '#dist/src/nbd/constants.js';
import { encodeInfoRequest, encodeOption, putRequest } from '#dist/src/nbd/messages.js';
import { expectBytes, pattern } from '../../support/bytes.js';
import { RawClient } from './raw-client.js';
import { MIB, makeFile, readFile, servedStore } from './served-store.js';

const served = servedStore({ connectionBytes: 4 * MIB, totalBytes: 32 * MIB, stallMs: 400 }, 256 * MIB, 128 * MIB);
const clients: RawClient[] = [];

afterEach(() => {
  for (const client of clients.splice(0)) client.close();
});

async function entered(name: string, path = served.socket): Promise<RawClient> {
  const client = await RawClient.connect(path);
  clients.push(client);
  expect((await client.enter(name)).at(-1)?.type).toBe(OptionReply.Ack);
  return client;
}

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setTimeout(resolve, 5));
}

describe('idle connections', () => {
  it('may be a thousand, and cost next to nothing', async () => {
    await makeFile(served.store, 'crowd', MIB);
    for (let i = 0; i < 1000; i += 50) await Promise.all(Array.from({ length: 50 }, () => entered('crowd')));
    expect(served.server.stats()).toEqual({ connections: 1000, bytesInFlight: 0 });
    const answers = await Promise.all(
      clients.map(async (client, i) => {
        const bytes = pattern(512, i);
        await client.write(1, i * 512, bytes);
        return (await client.read(2, i * 512, 512)).bytes.equals(bytes);
      }),
    );
    expect(answers.every(Boolean)).toBe(true);
    for (const client of clients) client.close();
    await until(() => served.server.stats().connections === 0);
    expect(served.server.stats().bytesInFlight).toBe(0);
  });
});

describe('back-pressure', () => {
  it('stops reading a client that takes no replies, and goes on when it does', async () => {
    await makeFile(served.store, 'greedy', 16 * MIB, pattern(16 * MIB));
    const greedy = await entered('greedy');
    greedy.socket.pause();
    for (let i = 0; i < 200; i++) greedy.request(Command.Read, i, (i % 16) * MIB, MIB);
    await until(() => served.server.stats().bytesInFlight > 3 * MIB);
    // Others are served meanwhile.
    const other = await entered('greedy');
    for (let i = 0; i < 50; i++) expect((await other.read(i, 0, 65_536)).error).toBe(0);
    expect(served.server.stats().bytesInFlight).toBeLessThanOrEqual(5 * MIB);
    greedy.socket.resume();
    const model = pattern(16 * MIB);
    for (let i = 0; i < 200; i++) {
      const { cookie, chunks } = await greedy.reply();
      const at = (cookie % 16) * MIB;
      expect(chunks[0].payload.subarray(8).equals(model.subarray(at, at + MIB))).toBe(true);
    }
    await until(() => served.server.stats().bytesInFlight === 0);
  });

  it('sends away who holds what others wait for', async () => {
    await makeFile(served.store, 'held', 16 * MIB, pattern(16 * MIB));
    const holders = await Promise.all(Array.from({ length: 12 }, () => entered('held')));
    for (const holder of holders) {
      holder.socket.pause();
      for (let i = 0; i < 16; i++) holder.request(Command.Read, i, i * MIB, MIB);
    }
    // Half a payload is no better.
    const half = await entered('held');
    half.request(Command.Write, 1, 0, MIB, 0, Buffer.alloc(1000));
    await until(() => served.server.stats().bytesInFlight > 30 * MIB);
    const polite = await entered('held');
    const { bytes, error } = await polite.read(1, 0, 3 * MIB);
    expect(error).toBe(0);
    // The half payload has left nothing behind, either.
    expectBytes(bytes, pattern(16 * MIB).subarray(0, 3 * MIB));
    expect(served.lines.join('\n')).toContain('sent away');
  });

  it('takes a request larger than a limit, alone', async () => {
    await makeFile(served.store, 'large', 33 * MIB);
    const client = await entered('large');
    const bytes = pattern(32 * MIB);
    expect((await client.write(1, MIB, bytes)).error).toBe(0);
    const read = await client.read(2, MIB, 32 * MIB, CommandFlag.DontFragment);
    expect(read.bytes.equals(bytes)).toBe(true);
  });
});

describe('a connection that ends', () => {
  /**
   * A client sent more requests with the end of its negotiation than are read ahead, and closed its side. The end was met by
   * the socket that had negotiated, and never by the one that served: the session stayed for good.
   */
  it.each([5100, 7200])(
    'ends, also when its end came with the end of the negotiation, behind %d requests',
    async (count) => {
      await makeFile(served.store, 'brief', MIB, pattern(MIB));
      const client = await RawClient.connect(served.socket);
      clients.push(client);
      await client.greet();
      const requests = Array.from({ length: count }, (_, i) => {
        const header = Buffer.alloc(28);
        putRequest(header, 0, 0, Command.Read, 0, i, 0, 1);
        return header;
      });
      client.send(Buffer.concat([encodeOption(Option.Go, encodeInfoRequest('brief', [])), ...requests]));
      (client.socket as Socket).end();
      for (let type = 0; type !== OptionReply.Ack; ) ({ type } = await client.optionReply());
      for (let i = 0; i < count; i++) await client.reply(1);
      await client.untilClosed();
      await until(() => served.server.stats().connections === 0);
    },
  );
});

describe('a clean stop', () => {
  it('answers what was accepted, refuses what comes, and leaves the store open', async () => {
    await makeFile(served.store, 'stop', 16 * MIB);
    const socket = `${served.directory}/stop.sock`;
    const server = await served.serve({ socket });
    const client = await entered('stop', socket);
    const idle = await entered('stop', socket);
    const undecided = await RawClient.connect(socket);
    clients.push(undecided);
    await undecided.take(18);
    (client.socket as Socket).cork();
    for (let i = 0; i < 8; i++) client.request(Command.Write, i, i * MIB, 4096, CommandFlag.Fua, pattern(4096, i));
    (client.socket as Socket).uncork();
    await until(() => server.stats().bytesInFlight > 0);
    const stopped = server.close();
    const answered = new Set<number>();
    try {
      for (;;) {
        const { cookie, error } = await client.reply();
        expect(error).toBe(0);
        answered.add(cookie);
      }
    } catch (error) {
      expect((error as Error).message).toBe('closed');
    }
    await Promise.all([stopped, idle.untilClosed(), undecided.untilClosed()]);
    expect(answered.size).toBe(8);
    const content = await readFile(served.store, 'stop');
    for (const i of answered) expectBytes(content.subarray(i * MIB, i * MIB + 4096), pattern(4096, i));
    expect(server.stats()).toEqual({ connections: 0, bytesInFlight: 0 });
    await expect(RawClient.connect(socket)).rejects.toThrow();
  });
});
