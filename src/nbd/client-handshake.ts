/**
 * The client's side of a negotiation: connects, upgrades to TLS where the URI says so, agrees on structured replies where
 * the server has them, and enters the transmission phase. Whatever goes wrong is a `StoreError` that says what.
 */
import { Buffer } from 'node:buffer';
import { readFileSync } from 'node:fs';
import { connect, isIP, type Socket } from 'node:net';
import { join } from 'node:path';
import { type ConnectionOptions, connect as connectTls } from 'node:tls';
import { StoreError } from '../errors.js';
import { ByteReader } from './byte-reader.js';
import {
  HandshakeFlag,
  INIT_MAGIC_HIGH,
  INIT_MAGIC_LOW,
  Info,
  OPTION_ERROR,
  OPTION_MAGIC_HIGH,
  OPTION_MAGIC_LOW,
  OPTION_REPLY_HEADER_BYTES,
  OPTION_REPLY_MAGIC_HIGH,
  OPTION_REPLY_MAGIC_LOW,
  Option,
  OptionReply,
  PAYLOAD_BYTES_MAX,
} from './constants.js';
import { encodeInfoRequest, encodeOption, readUint64 } from './messages.js';
import type { NbdAddress } from './uri.js';

export interface ServedExport {
  sizeBytes: number;
  /** `TransmissionFlag`s. */
  flags: number;
  minBlockBytes: number;
  maxPayloadBytes: number;
}

export interface Connected {
  socket: Socket;
  /** What the server has sent already. */
  rest: Buffer;
  served: ServedExport;
}

const REPLY_BYTES_MAX = 1024 * 1024;

/** Everything up to the first request, within `timeoutMs`. */
export async function connectNbd(address: NbdAddress): Promise<Connected> {
  const socket = address.socket === null ? connect(address.port, address.host) : connect(address.socket);
  socket.setNoDelay(true);
  const limit = setTimeout(() => socket.destroy(new Error('timed out')), address.timeoutMs);
  const negotiation = new Negotiation(socket, address);
  try {
    return await negotiation.run();
  } catch (error) {
    negotiation.destroy();
    throw refusal(error, address);
  } finally {
    clearTimeout(limit);
  }
}

function refusal(error: unknown, { uri }: NbdAddress): StoreError {
  if (error instanceof StoreError) return error;
  const { code, message } = error as NodeJS.ErrnoException;
  const kept = code === 'ENOENT' || code === 'EACCES' ? code : 'EIO';
  return new StoreError(kept, { syscall: 'connect', path: uri, detail: message, cause: error });
}

class Negotiation {
  private reader: ByteReader;

  constructor(
    private socket: Socket,
    private readonly address: NbdAddress,
  ) {
    this.reader = new ByteReader(socket);
    // Errors reach the reader; this one is for the moments in which nobody reads.
    socket.on('error', () => {});
  }

  destroy(): void {
    this.socket.destroy();
  }

  async run(): Promise<Connected> {
    const greeting = await this.reader.take(18);
    const isNewstyle =
      greeting.readUInt32BE(0) === INIT_MAGIC_HIGH &&
      greeting.readUInt32BE(4) === INIT_MAGIC_LOW &&
      greeting.readUInt32BE(8) === OPTION_MAGIC_HIGH &&
      greeting.readUInt32BE(12) === OPTION_MAGIC_LOW;
    const offered = greeting.readUInt16BE(16);
    if (!isNewstyle || (offered & HandshakeFlag.FixedNewstyle) === 0) {
      throw this.failed('EIO', 'this is no NBD server, or one from before the fixed newstyle protocol');
    }
    const flags = Buffer.alloc(4);
    flags.writeUInt32BE(offered & (HandshakeFlag.FixedNewstyle | HandshakeFlag.NoZeroes), 0);
    this.socket.write(flags);
    if (this.address.isTls) await this.startTls();
    await this.option(Option.StructuredReply, Buffer.alloc(0), () => {});
    return this.go();
  }

  private async startTls(): Promise<void> {
    const answer = await this.option(Option.StartTls, Buffer.alloc(0), () => {});
    if (answer !== OptionReply.Ack) throw this.failed('EACCES', 'the server does not offer TLS');
    if (this.reader.detach().byteLength > 0) throw this.failed('EIO', 'bytes in front of the TLS handshake');
    const { tlsDirectory, tlsHostname } = this.address;
    const options: ConnectionOptions = { socket: this.socket, minVersion: 'TLSv1.2' };
    if (isIP(tlsHostname) === 0) options.servername = tlsHostname;
    else options.host = tlsHostname;
    if (tlsDirectory !== null) {
      options.ca = readFileSync(join(tlsDirectory, 'ca-cert.pem'));
      options.cert = readFileSync(join(tlsDirectory, 'client-cert.pem'));
      options.key = readFileSync(join(tlsDirectory, 'client-key.pem'));
    }
    const secured = connectTls(options);
    await new Promise<void>((resolve, reject) => {
      secured.once('secureConnect', resolve);
      secured.once('error', reject);
      secured.once('close', () => reject(new Error('the server closed the connection')));
    }).catch((error: Error) => {
      throw this.failed('EACCES', `TLS: ${error.message}`);
    });
    secured.on('error', () => {});
    this.socket = secured;
    this.reader = new ByteReader(secured);
  }

  private async go(): Promise<Connected> {
    const served: ServedExport = { sizeBytes: -1, flags: 0, minBlockBytes: 1, maxPayloadBytes: PAYLOAD_BYTES_MAX };
    let said = '';
    const answer = await this.option(
      Option.Go,
      encodeInfoRequest(this.address.exportName, [Info.BlockSize]),
      (type, data) => {
        if (type === OptionReply.Info && data.byteLength >= 2) readInfo(data, served);
        if (type >= OPTION_ERROR) said = data.toString();
      },
    );
    if (answer !== OptionReply.Ack) throw this.refused(answer, said);
    if (served.sizeBytes < 0) throw this.failed('EIO', 'the server does not tell the size of the export');
    return { socket: this.socket, rest: this.reader.detach(), served };
  }

  private refused(answer: number, said: string): StoreError {
    const more = said === '' ? '' : ` (${said})`;
    switch (answer) {
      case OptionReply.ErrorUnknown:
        return this.failed('ENOENT', `the server has no export '${this.address.exportName}'${more}`);
      case OptionReply.ErrorTlsRequired:
        return this.failed('EACCES', `the server insists on TLS: nbds://${more}`);
      case OptionReply.ErrorPolicy:
        return this.failed('EACCES', `the server refuses${more}`);
      default:
        return this.failed('EIO', `the server answers 0x${answer.toString(16)}${more}`);
    }
  }

  /** Sends an option and reads its replies; returns the type of the last. */
  private async option(option: number, data: Buffer, receive: (type: number, data: Buffer) => void): Promise<number> {
    this.socket.write(encodeOption(option, data));
    for (;;) {
      const header = await this.reader.take(OPTION_REPLY_HEADER_BYTES);
      const isReply =
        header.readUInt32BE(0) === OPTION_REPLY_MAGIC_HIGH && header.readUInt32BE(4) === OPTION_REPLY_MAGIC_LOW;
      const length = header.readUInt32BE(16);
      if (!isReply || header.readUInt32BE(8) !== option || length > REPLY_BYTES_MAX) {
        throw this.failed('EIO', 'the server answers what was not asked');
      }
      const type = header.readUInt32BE(12);
      receive(type, await this.reader.take(length));
      if (type === OptionReply.Ack || type >= OPTION_ERROR) return type;
    }
  }

  private failed(code: 'EIO' | 'EACCES' | 'ENOENT', detail: string): StoreError {
    return new StoreError(code, { syscall: 'connect', path: this.address.uri, detail });
  }
}

function readInfo(data: Buffer, served: ServedExport): void {
  const type = data.readUInt16BE(0);
  if (type === Info.Export && data.byteLength === 12) {
    served.sizeBytes = readUint64(data, 2);
    served.flags = data.readUInt16BE(10);
  } else if (type === Info.BlockSize && data.byteLength === 14) {
    served.minBlockBytes = data.readUInt32BE(2);
    served.maxPayloadBytes = data.readUInt32BE(10);
  }
}
