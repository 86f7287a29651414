/** The protocol, message by message: what each option and each request is answered. */

import { statSync } from 'node:fs';
import { connect } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { Chunk, Command, CommandFlag, ErrorCode, Info, Option, OptionReply } from '#dist/src/nbd/constants.js';
import {
  encodeContextQueries,
  encodeInfoRequest,
  encodeOption,
  encodeString,
  putRequest,
} from '#dist/src/nbd/messages.js';
import { pattern } from '../../support/bytes.js';
import { expectCode } from '../../support/expect-code.js';
import { RawClient } from './raw-client.js';
import { MIB, makeFile, readFile, servedStore } from './served-store.js';

const served = servedStore();
const clients: RawClient[] = [];

afterEach(() => {
  for (const client of clients.splice(0)) client.close();
});

async function connected(path = served.socket): Promise<RawClient> {
  const client = await RawClient.connect(path);
  clients.push(client);
  return client;
}

async function entered(name: string, options?: { structured?: boolean; context?: boolean }): Promise<RawClient> {
  const client = await connected();
  const answers = await client.enter(name, options);
  expect(answers.at(-1)?.type).toBe(OptionReply.Ack);
  return client;
}

const types = (answers: { type: number }[]): number[] => answers.map(({ type }) => type);

describe('negotiation', () => {
  it('greets as fixed newstyle without padding', async () => {
    const client = await connected();
    expect((await client.take(18)).toString('hex')).toBe('4e42444d41474943' + '49484156454f5054' + '0003');
  });

  it.each([4, 0x80000000])('closes on unknown client flags %d', async (flags) => {
    const client = await connected();
    await client.greet(flags);
    await client.untilClosed();
  });

  it('answers INFO and GO with size, flags and block sizes, and refuses what is not there', async () => {
    await makeFile(served.store, 'described', 12_345);
    const client = await connected();
    await client.greet();
    const unknown = await client.option(Option.Info, encodeInfoRequest('nobody', []));
    expect(types(unknown)).toEqual([OptionReply.ErrorUnknown]);
    const nothing = await client.option(Option.Go, encodeInfoRequest('', []));
    expect(types(nothing)).toEqual([OptionReply.ErrorUnknown]);
    const info = await client.option(Option.Info, encodeInfoRequest('described', [Info.Name, Info.BlockSize]));
    expect(types(info)).toEqual([OptionReply.Info, OptionReply.Info, OptionReply.Info, OptionReply.Ack]);
    expect(info[0].data.readUInt16BE(0)).toBe(Info.Export);
    expect(info[0].data.readBigUInt64BE(2)).toBe(12_345n);
    // HAS_FLAGS, FLUSH, FUA, TRIM, WRITE_ZEROES, MULTI_CONN, CACHE, FAST_ZERO; no DF without structured replies.
    expect(info[0].data.readUInt16BE(10).toString(2)).toBe('110101101101');
    expect([2, 6, 10].map((at) => info[1].data.readUInt32BE(at))).toEqual([1, 4096, 32 * MIB]);
    expect(info[2].data.subarray(2).toString()).toBe('described');
    const go = await client.option(Option.Go, encodeInfoRequest('described', [Info.Name, Info.BlockSize]));
    expect(go.map(({ data }) => data.toString('hex'))).toEqual(info.map(({ data }) => data.toString('hex')));
    expect((await client.write(1, 0, Buffer.from('x'))).error).toBe(ErrorCode.None);
  });

  it('answers EXPORT_NAME with or without padding, and closes on an unknown name', async () => {
    await makeFile(served.store, 'named', 4096);
    for (const [flags, bytes] of [
      [1, 134],
      [3, 10],
    ]) {
      const client = await connected();
      await client.greet(flags);
      client.send(encodeOption(Option.ExportName, Buffer.from('named')));
      const reply = await client.take(bytes);
      expect(reply.readBigUInt64BE(0)).toBe(4096n);
      client.request(Command.Read, 7, 0, 512);
      expect(await client.reply(512)).toMatchObject({ cookie: 7, error: 0 });
    }
    const client = await connected();
    await client.greet();
    client.send(encodeOption(Option.ExportName, Buffer.from('unnamed')));
    await client.untilClosed();
  });

  it('lists all files, refuses data with it, and ends at ABORT', async () => {
    await makeFile(served.store, 'listed', 1);
    const client = await connected();
    await client.greet();
    const answers = await client.option(Option.List);
    const names = answers.slice(0, -1).map(({ data }) => data.subarray(4).toString());
    expect(names).toContain('listed');
    expect(names).toEqual([...names].sort());
    expect(types(await client.option(Option.List, Buffer.from('x')))).toEqual([OptionReply.ErrorInvalid]);
    expect(types(await client.option(Option.Abort, Buffer.from('bye')))).toEqual([OptionReply.Ack]);
    await client.untilClosed();
  });

  it('answers options that it does not have, and malformed ones, and goes on', async () => {
    await makeFile(served.store, 'still', 4096);
    const client = await connected();
    await client.greet();
    expect(types(await client.option(Option.ExtendedHeaders))).toEqual([OptionReply.ErrorUnsupported]);
    expect(types(await client.option(4))).toEqual([OptionReply.ErrorUnsupported]);
    expect(types(await client.option(0xfefefefe, Buffer.alloc(1000)))).toEqual([OptionReply.ErrorUnsupported]);
    expect(types(await client.option(Option.StartTls))).toEqual([OptionReply.ErrorPolicy]);
    expect(types(await client.option(Option.StructuredReply, Buffer.alloc(1)))).toEqual([OptionReply.ErrorInvalid]);
    expect(types(await client.option(0x1234, Buffer.alloc(300_000)))).toEqual([OptionReply.ErrorTooBig]);
    const malformed = [
      Buffer.alloc(0),
      Buffer.alloc(5),
      Buffer.from('ffffffff0000', 'hex'),
      Buffer.concat([encodeString('still'), Buffer.from('0002', 'hex')]),
      Buffer.concat([encodeString('still'), Buffer.from('00000000', 'hex')]),
    ];
    for (const data of malformed) {
      expect(types(await client.option(Option.Go, data))).toEqual([OptionReply.ErrorInvalid]);
    }
    const notUtf8 = Buffer.concat([Buffer.from('00000002fffe', 'hex'), Buffer.from('0000', 'hex')]);
    expect(types(await client.option(Option.Go, notUtf8))).toEqual([OptionReply.ErrorUnknown]);
    expect((await client.option(Option.Go, encodeInfoRequest('still', []))).at(-1)?.type).toBe(OptionReply.Ack);
  });

  it.each(['4948415645', 'ff'.repeat(16)])('closes on what is no option: %s', async (hex) => {
    const client = await connected();
    await client.greet();
    client.send(Buffer.from(hex.padEnd(32, '0'), 'hex'));
    await client.untilClosed();
  });

  it('selects base:allocation and nothing else', async () => {
    await makeFile(served.store, 'context', 4096);
    const client = await connected();
    await client.greet();
    const set = (queries: string[], name = 'context') =>
      client.option(Option.SetMetaContext, encodeContextQueries(name, queries));
    const list = (queries: string[]) => client.option(Option.ListMetaContext, encodeContextQueries('context', queries));
    expect(types(await set(['base:allocation']))).toEqual([OptionReply.ErrorInvalid]);
    await client.option(Option.StructuredReply);
    const both = [OptionReply.MetaContext, OptionReply.Ack];
    expect(types(await list([]))).toEqual(both);
    expect(types(await list(['base:']))).toEqual(both);
    expect(types(await list(['x-other:thing']))).toEqual([OptionReply.Ack]);
    expect(types(await set(['base:allocation'], 'nobody'))).toEqual([OptionReply.ErrorUnknown]);
    expect(types(await set([]))).toEqual([OptionReply.Ack]);
    expect(types(await set(['nocolon']))).toEqual([OptionReply.ErrorInvalid]);
    const answers = await set(['x-other:thing', 'base:allocation']);
    expect(types(answers)).toEqual(both);
    expect(answers[0].data.subarray(4).toString()).toBe('base:allocation');
    const cut = encodeContextQueries('context', ['base:allocation']).subarray(0, -1);
    expect(types(await client.option(Option.SetMetaContext, cut))).toEqual([OptionReply.ErrorInvalid]);
  });

  it('forgets the context when it was set for another export', async () => {
    await makeFile(served.store, 'one', 4096);
    await makeFile(served.store, 'two', 4096);
    const client = await connected();
    await client.greet();
    await client.option(Option.StructuredReply);
    await client.option(Option.SetMetaContext, encodeContextQueries('one', ['base:allocation']));
    await client.option(Option.Go, encodeInfoRequest('two', []));
    client.request(Command.BlockStatus, 1, 0, 4096);
    expect((await client.reply()).error).toBe(ErrorCode.Invalid);
  });
});

describe('exports', () => {
  it('are the named files only, and the only one is the default', async () => {
    await makeFile(served.store, 'shown', 4096, Buffer.from('shown'));
    await makeFile(served.store, 'hidden', 4096, Buffer.from('hidden'));
    const socket = `${served.directory}/one.sock`;
    await served.serve({ socket, exports: ['shown'] });
    expect(statSync(socket).mode & 0o777).toBe(0o600);
    const client = await connected(socket);
    await client.greet();
    expect((await client.option(Option.List)).length).toBe(2);
    expect(types(await client.option(Option.Go, encodeInfoRequest('hidden', [])))).toEqual([OptionReply.ErrorUnknown]);
    expect((await client.option(Option.Go, encodeInfoRequest('', []))).at(-1)?.type).toBe(OptionReply.Ack);
    client.request(Command.Read, 1, 0, 5);
    expect((await client.reply(5)).chunks[0].payload.toString()).toBe('shown');
  });

  it('must be there when the server starts', async () => {
    await expectCode('ENOENT', () => served.serve({ socket: `${served.directory}/no.sock`, exports: ['missing'] }));
  });

  it('refuse everything that writes when they are read-only', async () => {
    await makeFile(served.store, 'fixed', 4096, Buffer.from('fixed'));
    const socket = `${served.directory}/ro.sock`;
    await served.serve({ socket, readOnly: true });
    const client = await connected(socket);
    const [info] = await client.enter('fixed');
    expect(info.data.readUInt16BE(10) & 2).toBe(2);
    expect((await client.write(1, 0, Buffer.alloc(16))).error).toBe(ErrorCode.Permission);
    expect((await client.write(2, 0, Buffer.alloc(3 * MIB))).error).toBe(ErrorCode.Permission);
    for (const command of [Command.Trim, Command.WriteZeroes]) {
      client.request(command, 3, 0, 4096);
      expect((await client.reply()).error).toBe(ErrorCode.Permission);
    }
    client.request(Command.Flush, 4, 0, 0);
    expect((await client.reply()).error).toBe(ErrorCode.None);
    expect((await client.read(5, 0, 5)).bytes.toString()).toBe('fixed');
  });

  it('do not begin where somebody listens, nor beyond this host without TLS', async () => {
    await expectCode('EBUSY', () => served.serve({ socket: served.socket }));
    await expectCode('EACCES', () => served.serve({ host: '0.0.0.0', port: 0 }));
    await expectCode('EACCES', () => served.serve({ host: '::', port: 0 }));
    const server = await served.serve({ port: 0 });
    expect(server.uri).toBe(`nbd://127.0.0.1:${server.port}`);
    const socket = connect({ port: server.port as number, host: '127.0.0.1' });
    const client = new RawClient(socket);
    clients.push(client);
    expect((await client.take(8)).toString()).toBe('NBDMAGIC');
  });
});

describe('requests', () => {
  it('read and write any range, structured or simple', async () => {
    const size = 5 * MIB + 77;
    await makeFile(served.store, 'ranges', size);
    const model = Buffer.alloc(size);
    const structured = await entered('ranges');
    const simple = await entered('ranges', { structured: false });
    let cookie = 0;
    const ranges = [
      [0, 1],
      [4095, 2],
      [511, 70_000],
      [MIB - 3, 2 * MIB + 9],
      [size - 1, 1],
      [3 * MIB, 2 * MIB + 77],
    ];
    for (const [offset, length] of ranges) {
      const bytes = pattern(length, ++cookie);
      expect((await structured.write(cookie, offset, bytes)).error).toBe(0);
      bytes.copy(model, offset);
      for (const client of [structured, simple]) {
        const at = Math.max(0, offset - 5000);
        const count = Math.min(size - at, length + 10_000);
        const read = await client.read(cookie, at, count);
        expect(read.error).toBe(0);
        expect(read.bytes.equals(model.subarray(at, at + count))).toBe(true);
      }
    }
    expect((await readFile(served.store, 'ranges')).equals(model)).toBe(true);
  });

  it('send holes as holes, inside a reply too, and not where fragments are forbidden', async () => {
    await makeFile(served.store, 'holes', 4 * MIB);
    const client = await entered('holes');
    expect(await client.read(1, 0, 4096)).toMatchObject({ holes: 4096 });
    expect(await client.read(2, 0, 4 * MIB)).toMatchObject({ holes: 4 * MIB });
    await client.write(3, MIB, pattern(100_000));
    const mixed = await client.read(4, 0, 3 * MIB);
    expect(mixed.holes).toBe(3 * MIB - 7 * 16_384);
    expect(mixed.bytes.subarray(MIB, MIB + 100_000).equals(pattern(100_000))).toBe(true);
    client.request(Command.Read, 5, MIB - 65_536, 131_072, CommandFlag.DontFragment);
    expect((await client.reply()).chunks.map(({ type }) => type)).toEqual([Chunk.OffsetData]);
  });

  it('get the error that the protocol names', async () => {
    await makeFile(served.store, 'errors', 1_000_001);
    const size = 1_000_001;
    const client = await entered('errors');
    const simple = await entered('errors', { structured: false });
    const error = async (command: number, offset: number, length: number, flags = 0): Promise<number> => {
      client.request(command, 9, offset, length, flags);
      return (await client.reply()).error;
    };
    expect(await error(Command.Read, size - 1, 2)).toBe(ErrorCode.Invalid);
    expect(await error(Command.Read, 2 ** 52, 1)).toBe(ErrorCode.Invalid);
    expect(await error(Command.Read, 2 ** 53, 4096)).toBe(ErrorCode.Invalid);
    expect(await error(Command.Trim, size, 1)).toBe(ErrorCode.Invalid);
    expect(await error(Command.BlockStatus, size, 1)).toBe(ErrorCode.Invalid);
    expect(await error(Command.WriteZeroes, size - 1, 2)).toBe(ErrorCode.NoSpace);
    expect((await client.write(1, size - 1, Buffer.alloc(2))).error).toBe(ErrorCode.NoSpace);
    expect((await client.write(1, size - 1, Buffer.alloc(2 * MIB))).error).toBe(ErrorCode.NoSpace);
    // Over 32 MiB, and the payload that comes all the same is thrown away.
    expect(await error(Command.Read, 0, 32 * MIB + 1)).toBe(ErrorCode.Overflow);
    simple.request(Command.Read, 1, 0, 32 * MIB + 1);
    expect((await simple.reply()).error).toBe(ErrorCode.Invalid);
    expect((await client.write(1, 0, Buffer.alloc(32 * MIB + 1))).error).toBe(ErrorCode.Invalid);
    expect(await error(Command.Flush, 0, 1)).toBe(ErrorCode.Invalid);
    expect(await error(42, 0, 0)).toBe(ErrorCode.Invalid);
    expect(await error(Command.Read, 0, 1, 1 << 9)).toBe(ErrorCode.Invalid);
    expect(await error(Command.Read, 0, 1, CommandFlag.NoHole)).toBe(ErrorCode.Invalid);
    simple.request(Command.Read, 1, 0, 1, CommandFlag.DontFragment);
    expect((await simple.reply()).error).toBe(ErrorCode.Invalid);
    simple.request(Command.BlockStatus, 1, 0, 1);
    expect((await simple.reply()).error).toBe(ErrorCode.Invalid);
    expect(await error(Command.Read, 0, 0)).toBe(ErrorCode.None);
    expect((await client.write(1, 0, Buffer.alloc(0))).error).toBe(ErrorCode.None);
    expect((await client.read(2, 0, size)).error).toBe(ErrorCode.None);
  });

  it('tell data, unwritten blocks and holes apart', async () => {
    await makeFile(served.store, 'status', 4 * MIB + 5);
    const client = await entered('status');
    await client.write(1, 8192, pattern(4096));
    const order = async (command: number, offset: number, length: number, flags = 0): Promise<number> => {
      client.request(command, 2, offset, length, flags);
      return (await client.reply()).error;
    };
    expect(await order(Command.WriteZeroes, MIB, MIB, CommandFlag.NoHole)).toBe(0);
    const status = async (offset: number, length: number, flags = 0): Promise<number[][]> => {
      client.request(Command.BlockStatus, 3, offset, length, flags);
      const { chunks } = await client.reply();
      expect(chunks.map(({ type }) => type)).toEqual([Chunk.BlockStatus]);
      const { payload } = chunks[0];
      expect(payload.readUInt32BE(0)).toBe(1);
      return Array.from({ length: (payload.byteLength - 4) / 8 }, (_, i) => [
        payload.readUInt32BE(4 + 8 * i),
        payload.readUInt32BE(8 + 8 * i),
      ]);
    };
    const whole = [
      [8192, 3],
      [4096, 0],
      [MIB - 12_288, 3],
      [MIB, 2],
      [2 * MIB + 5, 3],
    ];
    expect(await status(0, 4 * MIB + 5)).toEqual(whole);
    expect(await status(0, 4 * MIB + 5, CommandFlag.RequestOne)).toEqual(whole.slice(0, 1));
    expect(await status(8192 + 5, 100, CommandFlag.RequestOne)).toEqual([[100, 0]]);
    expect(await order(Command.Trim, MIB, MIB / 2, CommandFlag.Fua)).toBe(0);
    expect(await status(MIB, MIB)).toEqual([
      [MIB / 2, 3],
      [MIB / 2, 2],
    ]);
    expect(await order(Command.WriteZeroes, 0, MIB, CommandFlag.FastZero)).toBe(0);
    expect(await status(0, MIB)).toEqual([[MIB, 3]]);
    // Sooner done by a write.
    expect(await order(Command.WriteZeroes, 0, 512, CommandFlag.FastZero)).toBe(ErrorCode.NotSupported);
    expect(await order(Command.Cache, 0, 4 * MIB)).toBe(0);
  });

  it('may come in one piece with the end of the negotiation, however many', async () => {
    await makeFile(served.store, 'eager', 2 * MIB, pattern(2 * MIB));
    const client = await connected();
    await client.greet();
    const read = (cookie: number): Buffer => {
      const header = Buffer.alloc(28);
      putRequest(header, 0, 0, Command.Read, 0, cookie, cookie * 512, 512);
      return header;
    };
    const requests = Array.from({ length: 4000 }, (_, i) => read(i));
    client.send(Buffer.concat([encodeOption(Option.Go, encodeInfoRequest('eager', [])), ...requests]));
    for (let type = 0; type !== OptionReply.Ack; ) ({ type } = await client.optionReply());
    const model = pattern(2 * MIB);
    for (let i = 0; i < 4000; i++) {
      const { cookie, chunks } = await client.reply(512);
      expect(chunks[0].payload.equals(model.subarray(cookie * 512, cookie * 512 + 512))).toBe(true);
    }
  });

  it('write what is cached in place and the rest by pieces, whatever the order', async () => {
    await makeFile(served.store, 'mixed', 8 * MIB);
    const client = await entered('mixed');
    const model = Buffer.alloc(8 * MIB);
    let seed = 0;
    const ranges = [
      [MIB, 4096],
      [100, 3 * MIB],
      [3 * MIB - 5, 1_500_000],
      [0, 8 * MIB],
      [7, 5 * MIB + 1],
    ];
    for (const [offset, length] of ranges) {
      for (const flags of [0, CommandFlag.Fua]) {
        const bytes = pattern(length, ++seed);
        expect((await client.write(seed, offset, bytes, flags)).error).toBe(0);
        bytes.copy(model, offset);
        expect((await client.read(seed, 0, 8 * MIB)).bytes.equals(model)).toBe(true);
      }
    }
  });

  it('are durable when a flush or FUA has been answered', async () => {
    await makeFile(served.store, 'durable', MIB);
    const client = await entered('durable');
    const extents = async (): Promise<number> => {
      const file = await served.store.open('durable');
      const { allocatedBytes } = await file.stat();
      await file.close();
      return allocatedBytes;
    };
    await client.write(1, 0, pattern(4096));
    expect(await extents()).toBe(0);
    await client.write(2, 8192, pattern(4096), CommandFlag.Fua);
    expect(await extents()).toBe(8192);
    await client.write(3, 65_536, pattern(4096));
    const other = await entered('durable');
    other.request(Command.Flush, 4, 0, 0);
    expect((await other.reply()).error).toBe(0);
    expect(await extents()).toBe(12_288);
  });

  it('are answered out of order', async () => {
    await makeFile(served.store, 'order', 32 * MIB);
    const client = await entered('order');
    await client.write(1, 0, pattern(4096));
    client.request(Command.Flush, 100, 0, 0);
    for (let cookie = 2; cookie < 10; cookie++) client.request(Command.Read, cookie, 0, 4096);
    const cookies: number[] = [];
    for (let i = 0; i < 9; i++) cookies.push((await client.reply()).cookie);
    expect([...cookies].sort((a, b) => a - b)).toEqual([2, 3, 4, 5, 6, 7, 8, 9, 100]);
    expect(cookies[0]).toBe(2);
    expect(cookies.at(-1)).toBe(100);
  });

  it('end the connection when they lose their magic number', async () => {
    await makeFile(served.store, 'magic', 4096);
    const client = await entered('magic');
    client.send(Buffer.alloc(28, 1));
    await client.untilClosed();
    expect(served.lines.at(-1)).toContain('magic number');
  });

  it('stop at DISC, with everything before it answered', async () => {
    await makeFile(served.store, 'disc', 8 * MIB);
    const client = await entered('disc');
    client.request(Command.Write, 1, 0, 4 * MIB, CommandFlag.Fua, pattern(4 * MIB));
    client.request(Command.Disconnect, 2, 0, 0);
    client.request(Command.Read, 3, 0, 16);
    expect(await client.reply()).toMatchObject({ cookie: 1, error: 0 });
    await client.untilClosed();
    expect((await readFile(served.store, 'disc')).subarray(0, 4 * MIB).equals(pattern(4 * MIB))).toBe(true);
  });
});
