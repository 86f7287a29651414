/**
 * The server's side of a negotiation: fixed newstyle, from the greeting to the transmission phase.
 *
 * One a connection. What a client sends is an option after another, each answered before the next is read. What breaks the
 * protocol so that no reply can be given (a wrong magic number, unknown client flags, EXPORT_NAME of what is not there) throws
 * `Refused`, and the connection is closed. With TLS nothing but STARTTLS and ABORT is answered before it, what was agreed
 * before it is forgotten, and bytes that came in front of it end the connection.
 */
import { Buffer } from 'node:buffer';
import type { Duplex } from 'node:stream';
import { ByteReader } from '../../nbd/byte-reader.js';
import {
  BASE_ALLOCATION,
  EXPORT_NAME_PADDING_BYTES,
  HandshakeFlag,
  INIT_MAGIC_HIGH,
  INIT_MAGIC_LOW,
  Info,
  OPTION_HEADER_BYTES,
  OPTION_MAGIC_HIGH,
  OPTION_MAGIC_LOW,
  Option,
  OptionReply,
  PAYLOAD_BYTES_MAX,
  STRING_BYTES_MAX,
} from '../../nbd/constants.js';
import { encodeOptionReply, encodeString, writeUint64 } from '../../nbd/messages.js';
import { CONTEXT_ID, type Exports, type OpenExport, transmissionFlags } from './exports.js';
import { type TlsOptions, upgrade } from './tls.js';

/** The client did what the protocol forbids, or asked for what cannot be had and cannot be told. */
export class Refused extends Error {
  override readonly name = 'Refused';
}

/** What was agreed on. */
export interface Agreement {
  socket: Duplex;
  /** What the client has sent already. */
  rest: Buffer;
  target: OpenExport;
  isStructured: boolean;
  /** Whether the client may ask for the context base:allocation. */
  hasContext: boolean;
}

/** Options that are longer are not worth an answer: the longest sensible one is a name and a few dozen queries. */
const OPTION_BYTES_MAX = 1024 * 1024;
const ANSWERED_BYTES_MAX = 64 * 1024;
const NOTHING = Buffer.alloc(0);

export class Handshake {
  private reader: ByteReader;
  private isSecure = false;
  private isStructured = false;
  private contextFor: string | null = null;
  private withoutPadding = false;

  constructor(
    private socket: Duplex,
    private readonly exports: Exports,
    private readonly blockBytes: number,
    private readonly tls: TlsOptions | undefined,
    private readonly isStopping: () => boolean,
  ) {
    this.reader = new ByteReader(socket);
  }

  /** Null when the client left in good order. Throws `Refused`, `Disconnected`, and what the store throws. */
  async run(): Promise<Agreement | null> {
    await this.greet();
    for (;;) {
      const header = await this.reader.take(OPTION_HEADER_BYTES);
      if (header.readUInt32BE(0) !== OPTION_MAGIC_HIGH || header.readUInt32BE(4) !== OPTION_MAGIC_LOW) {
        throw new Refused('an option without its magic number');
      }
      const option = header.readUInt32BE(8);
      const length = header.readUInt32BE(12);
      if (length > OPTION_BYTES_MAX) throw new Refused(`an option of ${length} bytes`);
      if (length > ANSWERED_BYTES_MAX) {
        if (option === Option.ExportName) throw new Refused(`a name of ${length} bytes`);
        await this.reader.skip(length);
        await this.reply(option, OptionReply.ErrorTooBig, `an option of ${length} bytes`);
        continue;
      }
      const outcome = await this.answer(option, await this.reader.take(length));
      if (outcome !== undefined) return outcome;
    }
  }

  private async greet(): Promise<void> {
    const greeting = Buffer.alloc(18);
    greeting.writeUInt32BE(INIT_MAGIC_HIGH, 0);
    greeting.writeUInt32BE(INIT_MAGIC_LOW, 4);
    greeting.writeUInt32BE(OPTION_MAGIC_HIGH, 8);
    greeting.writeUInt32BE(OPTION_MAGIC_LOW, 12);
    greeting.writeUInt16BE(HandshakeFlag.FixedNewstyle | HandshakeFlag.NoZeroes, 16);
    await this.send(greeting);
    const flags = (await this.reader.take(4)).readUInt32BE(0);
    const known = HandshakeFlag.FixedNewstyle | HandshakeFlag.NoZeroes;
    if ((flags & ~known) !== 0) throw new Refused(`unknown client flags 0x${flags.toString(16)}`);
    if (this.tls !== undefined && (flags & HandshakeFlag.FixedNewstyle) === 0) {
      throw new Refused('a client that cannot do TLS');
    }
    this.withoutPadding = (flags & HandshakeFlag.NoZeroes) !== 0;
  }

  /** Undefined: go on. */
  private async answer(option: number, data: Buffer): Promise<Agreement | null | undefined> {
    if (option === Option.Abort) {
      await this.reply(option, OptionReply.Ack);
      this.reader.detach();
      return null;
    }
    if (this.isStopping()) return this.shutdown(option);
    if (option === Option.StartTls) return this.startTls(data);
    if (this.tls !== undefined && !this.isSecure) {
      if (option === Option.ExportName) throw new Refused('EXPORT_NAME without TLS');
      return this.reply(option, OptionReply.ErrorTlsRequired, 'TLS first, please');
    }
    switch (option) {
      case Option.ExportName:
        return this.exportName(data);
      case Option.List:
        return this.list(data);
      case Option.Info:
      case Option.Go:
        return this.describe(option, data);
      case Option.StructuredReply:
        if (data.byteLength > 0) return this.invalid(option, 'STRUCTURED_REPLY takes no data');
        this.isStructured = true;
        return this.reply(option, OptionReply.Ack);
      case Option.ListMetaContext:
      case Option.SetMetaContext:
        return this.contexts(option, data);
      default:
        return this.reply(option, OptionReply.ErrorUnsupported, `option ${option} is not supported`);
    }
  }

  private async shutdown(option: number): Promise<undefined> {
    if (option === Option.ExportName) throw new Refused('the server is stopping');
    return this.reply(option, OptionReply.ErrorShutdown, 'the server is stopping');
  }

  private async startTls(data: Buffer): Promise<undefined> {
    if (data.byteLength > 0) return this.invalid(Option.StartTls, 'STARTTLS takes no data');
    if (this.tls === undefined) return this.reply(Option.StartTls, OptionReply.ErrorPolicy, 'TLS is not configured');
    if (this.isSecure) return this.invalid(Option.StartTls, 'TLS is in use already');
    const injected = this.reader.detach();
    if (injected.byteLength > 0) throw new Refused('bytes between STARTTLS and the TLS handshake');
    this.socket.write(encodeOptionReply(Option.StartTls, OptionReply.Ack, NOTHING));
    this.socket = await upgrade(this.socket, this.tls).catch((error: Error) => {
      throw new Refused(`TLS: ${error.message}`);
    });
    this.reader = new ByteReader(this.socket);
    this.isSecure = true;
    this.isStructured = false;
    this.contextFor = null;
    return undefined;
  }

  private async exportName(data: Buffer): Promise<Agreement> {
    const name = decodeName(data);
    const target = name === null ? null : await this.exports.open(name);
    if (target === null) throw new Refused(`no export '${name ?? data.toString('latin1')}'`);
    return this.enter(target, () => {
      const reply = Buffer.alloc(10 + (this.withoutPadding ? 0 : EXPORT_NAME_PADDING_BYTES));
      writeUint64(reply, target.sizeBytes, 0);
      reply.writeUInt16BE(transmissionFlags(target.isReadOnly, this.isStructured), 8);
      return this.send(reply);
    });
  }

  private async list(data: Buffer): Promise<undefined> {
    if (data.byteLength > 0) return this.invalid(Option.List, 'LIST takes no data');
    for await (const name of this.exports.list()) {
      await this.send(encodeOptionReply(Option.List, OptionReply.Server, encodeString(name)));
    }
    return this.reply(Option.List, OptionReply.Ack);
  }

  /** INFO and GO. */
  private async describe(option: number, data: Buffer): Promise<Agreement | undefined> {
    const parts = new OptionData(data);
    const nameBytes = parts.string();
    const count = parts.uint16();
    if (nameBytes === null || count === null || data.byteLength - parts.at !== count * 2) {
      return this.invalid(option, 'name and requests do not fill the option');
    }
    const name = decodeName(nameBytes);
    const target = name === null ? null : await this.exports.open(name);
    if (target === null) return this.reply(option, OptionReply.ErrorUnknown, 'no such export');
    const wanted = new Set<number>();
    for (let i = 0; i < count; i++) wanted.add(parts.uint16() as number);
    const tell = async (): Promise<void> => {
      await this.sendInfo(option, target, wanted);
      await this.reply(option, OptionReply.Ack);
    };
    if (option === Option.Go) return this.enter(target, tell);
    try {
      await tell();
    } finally {
      await target.file.close();
    }
    return undefined;
  }

  private async sendInfo(option: number, target: OpenExport, wanted: ReadonlySet<number>): Promise<void> {
    const info = Buffer.alloc(12);
    info.writeUInt16BE(Info.Export, 0);
    writeUint64(info, target.sizeBytes, 2);
    info.writeUInt16BE(transmissionFlags(target.isReadOnly, this.isStructured), 10);
    await this.send(encodeOptionReply(option, OptionReply.Info, info));
    const sizes = Buffer.alloc(14);
    sizes.writeUInt16BE(Info.BlockSize, 0);
    sizes.writeUInt32BE(1, 2);
    sizes.writeUInt32BE(this.blockBytes, 6);
    sizes.writeUInt32BE(PAYLOAD_BYTES_MAX, 10);
    await this.send(encodeOptionReply(option, OptionReply.Info, sizes));
    if (wanted.has(Info.Name)) {
      const text = Buffer.concat([Buffer.from([0, Info.Name]), Buffer.from(target.name)]);
      await this.send(encodeOptionReply(option, OptionReply.Info, text));
    }
  }

  private async contexts(option: number, data: Buffer): Promise<undefined> {
    const isSetting = option === Option.SetMetaContext;
    if (isSetting) this.contextFor = null;
    if (!this.isStructured) return this.invalid(option, 'structured replies have to be agreed on first');
    const queries = contextQueries(data);
    if (queries === null) return this.invalid(option, 'name and queries do not fill the option');
    const name = decodeName(queries.name);
    if (name === null || !(await this.exports.exists(name))) {
      return this.reply(option, OptionReply.ErrorUnknown, 'no such export');
    }
    if (queries.list.some((query) => !query.includes(':'))) return this.invalid(option, 'a query without a namespace');
    const isMeant =
      queries.list.includes(BASE_ALLOCATION) ||
      (!isSetting && (queries.list.length === 0 || queries.list.includes('base:')));
    if (isMeant) {
      const id = Buffer.alloc(4);
      id.writeUInt32BE(isSetting ? CONTEXT_ID : 0, 0);
      await this.send(
        encodeOptionReply(option, OptionReply.MetaContext, Buffer.concat([id, Buffer.from(BASE_ALLOCATION)])),
      );
      if (isSetting) this.contextFor = this.exports.resolve(name);
    }
    return this.reply(option, OptionReply.Ack);
  }

  /** Tells the client, and hands the connection over to the transmission phase. */
  private async enter(target: OpenExport, tell: () => Promise<void>): Promise<Agreement> {
    try {
      await tell();
    } catch (error) {
      await target.file.close();
      throw error;
    }
    const { socket, isStructured } = this;
    const hasContext = isStructured && this.contextFor === target.name;
    return { socket, rest: this.reader.detach(), target, isStructured, hasContext };
  }

  private invalid(option: number, text: string): Promise<undefined> {
    return this.reply(option, OptionReply.ErrorInvalid, text);
  }

  private async reply(option: number, type: number, text = ''): Promise<undefined> {
    await this.send(encodeOptionReply(option, type, Buffer.from(text)));
    return undefined;
  }

  /** Waits while the client does not take what it is sent. */
  private async send(bytes: Buffer): Promise<void> {
    const { socket } = this;
    if (socket.write(bytes) || socket.destroyed) return;
    await new Promise<void>((resolve) => {
      const done = (): void => {
        socket.off('drain', done).off('close', done);
        resolve();
      };
      socket.on('drain', done).on('close', done);
    });
  }
}

/** Walks through an option's data; null where they end too early. */
class OptionData {
  at = 0;

  constructor(private readonly data: Buffer) {}

  uint16(): number | null {
    if (this.at + 2 > this.data.byteLength) return null;
    this.at += 2;
    return this.data.readUInt16BE(this.at - 2);
  }

  uint32(): number | null {
    if (this.at + 4 > this.data.byteLength) return null;
    this.at += 4;
    return this.data.readUInt32BE(this.at - 4);
  }

  /** Bytes behind their length. */
  string(): Buffer | null {
    const length = this.uint32();
    if (length === null || this.at + length > this.data.byteLength) return null;
    this.at += length;
    return this.data.subarray(this.at - length, this.at);
  }
}

function contextQueries(data: Buffer): { name: Buffer; list: string[] } | null {
  const parts = new OptionData(data);
  const name = parts.string();
  const count = parts.uint32();
  if (name === null || count === null) return null;
  const list: string[] = [];
  for (let i = 0; i < count; i++) {
    const query = parts.string();
    if (query === null || query.byteLength > STRING_BYTES_MAX) return null;
    list.push(query.toString());
  }
  return parts.at === data.byteLength ? { name, list } : null;
}

/** Null for what is no UTF-8, and so no name. */
function decodeName(bytes: Buffer): string | null {
  if (bytes.byteLength > STRING_BYTES_MAX) return null;
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return null;
  }
}
