/** A client that sends what a test says, right or wrong, and reads replies as they come. */
import { connect, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { Chunk, Command, Info, Option, OptionReply } from '#dist/src/nbd/constants.js';
import { encodeContextQueries, encodeInfoRequest, encodeOption, putRequest } from '#dist/src/nbd/messages.js';

export interface OptionAnswer {
  option: number;
  type: number;
  data: Buffer;
}

export interface Reply {
  cookie: number;
  /** Chunks of a structured reply; a simple one has one without a type. */
  chunks: { type: number; payload: Buffer }[];
  error: number;
}

export class RawClient {
  private chunks: Buffer[] = [];
  private available = 0;
  private wake: () => void = () => {};
  closed = false;

  constructor(readonly socket: Duplex) {
    socket.on('data', (chunk: Buffer) => {
      this.chunks.push(chunk);
      this.available += chunk.byteLength;
      this.wake();
    });
    const end = (): void => {
      this.closed = true;
      this.wake();
    };
    socket.on('close', end).on('end', end).on('error', end);
  }

  static async connect(path: string): Promise<RawClient> {
    const socket: Socket = connect({ path });
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve);
      socket.once('error', reject);
    });
    return new RawClient(socket);
  }

  send(bytes: Uint8Array): void {
    this.socket.write(bytes);
  }

  /** Throws when the connection ends before. */
  async take(count: number): Promise<Buffer> {
    while (this.available < count) {
      if (this.closed) throw new Error('closed');
      await new Promise<void>((resolve) => {
        this.wake = resolve;
      });
    }
    this.available -= count;
    const taken: Buffer[] = [];
    for (let left = count; left > 0; ) {
      const chunk = this.chunks[0];
      taken.push(chunk.subarray(0, left));
      if (chunk.byteLength > left) this.chunks[0] = chunk.subarray(left);
      else this.chunks.shift();
      left -= taken[taken.length - 1].byteLength;
    }
    return taken.length === 1 ? taken[0] : Buffer.concat(taken);
  }

  /** Resolves when the server has closed the connection. */
  async untilClosed(): Promise<void> {
    while (!this.closed) {
      await new Promise<void>((resolve) => {
        this.wake = resolve;
      });
    }
  }

  async greet(flags = 3): Promise<void> {
    await this.take(18);
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32BE(flags);
    this.send(bytes);
  }

  /** Sends an option and reads its replies up to the last. */
  async option(option: number, data: Uint8Array = Buffer.alloc(0)): Promise<OptionAnswer[]> {
    this.send(encodeOption(option, data));
    const answers: OptionAnswer[] = [];
    for (;;) {
      const answer = await this.optionReply();
      answers.push(answer);
      if (answer.type === OptionReply.Ack || answer.type >= 0x80000000) return answers;
    }
  }

  async optionReply(): Promise<OptionAnswer> {
    const header = await this.take(20);
    const data = Buffer.from(await this.take(header.readUInt32BE(16)));
    return { option: header.readUInt32BE(8), type: header.readUInt32BE(12), data };
  }

  /** Greeting, structured replies and the context if wanted, and GO. Returns what GO answered. */
  async enter(name: string, { structured = true, context = true } = {}): Promise<OptionAnswer[]> {
    await this.greet();
    if (structured) await this.option(Option.StructuredReply);
    if (structured && context) {
      await this.option(Option.SetMetaContext, encodeContextQueries(name, ['base:allocation']));
    }
    return this.option(Option.Go, encodeInfoRequest(name, [Info.BlockSize]));
  }

  request(command: number, cookie: number, offset: number, length: number, flags = 0, payload?: Uint8Array): void {
    const header = Buffer.alloc(28);
    putRequest(header, 0, flags, command, 0, cookie, offset, length);
    this.send(payload === undefined ? header : Buffer.concat([header, payload]));
  }

  /** The next whole reply; `readBytes` is what a simple reply to a read carries. */
  async reply(readBytes = 0): Promise<Reply> {
    const reply: Reply = { cookie: 0, chunks: [], error: 0 };
    for (;;) {
      const magic = (await this.take(4)).readUInt32BE(0);
      if (magic === 0x67446698) {
        const rest = await this.take(12);
        const error = rest.readUInt32BE(0);
        const payload = Buffer.from(await this.take(error === 0 ? readBytes : 0));
        return { cookie: rest.readUInt32BE(8), chunks: [{ type: -1, payload }], error };
      }
      if (magic !== 0x668e33ef) throw new Error(`no reply begins with 0x${magic.toString(16)}`);
      const rest = await this.take(16);
      const type = rest.readUInt16BE(2);
      reply.cookie = rest.readUInt32BE(8);
      const payload = Buffer.from(await this.take(rest.readUInt32BE(12)));
      reply.chunks.push({ type, payload });
      if (type === Chunk.Error) reply.error = payload.readUInt32BE(0);
      if ((rest.readUInt16BE(0) & 1) !== 0) return reply;
    }
  }

  async write(cookie: number, offset: number, payload: Uint8Array, flags = 0): Promise<Reply> {
    this.request(Command.Write, cookie, offset, payload.byteLength, flags, payload);
    return this.reply();
  }

  /** A structured read, put together. */
  async read(
    cookie: number,
    offset: number,
    length: number,
    flags = 0,
  ): Promise<{ error: number; bytes: Buffer; holes: number }> {
    this.request(Command.Read, cookie, offset, length, flags);
    const { chunks, error } = await this.reply(length);
    const bytes = Buffer.alloc(length, 0xee);
    let holes = 0;
    for (const { type, payload } of chunks) {
      if (type === -1) payload.copy(bytes);
      if (type === Chunk.OffsetData) payload.copy(bytes, Number(payload.readBigUInt64BE(0)) - offset, 8);
      if (type === Chunk.OffsetHole) {
        const at = Number(payload.readBigUInt64BE(0)) - offset;
        bytes.fill(0, at, at + payload.readUInt32BE(8));
        holes += payload.readUInt32BE(8);
      }
    }
    return { error, bytes, holes };
  }

  close(): void {
    this.socket.destroy();
  }
}
