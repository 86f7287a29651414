/**
 * A request of the transmission phase, as its header says, and how far its payload has come. A connection parses into one
 * object again and again; what has to wait keeps a copy.
 */
import type { Buffer } from 'node:buffer';
import { ErrorCode, REQUEST_MAGIC } from '../../nbd/constants.js';
import { readUint64 } from '../../nbd/messages.js';

export class Request {
  flags = 0;
  command = 0;
  cookieHigh = 0;
  cookieLow = 0;
  offset = 0;
  length = 0;
  /** What is wrong with it, or went wrong. */
  error: ErrorCode = ErrorCode.None;
  /** Of a write: parts of the payload on their way into the file. */
  pieces = 0;
  /** Of a write: the payload is here, all of it. */
  isReceived = false;
  /** Of a write: holds the charge for itself, besides those of its pieces. */
  isCharged = false;

  /** False: there is no request at `at`. */
  parse(bytes: Buffer, at: number): boolean {
    if (bytes.readUInt32BE(at) !== REQUEST_MAGIC) return false;
    this.flags = bytes.readUInt16BE(at + 4);
    this.command = bytes.readUInt16BE(at + 6);
    this.cookieHigh = bytes.readUInt32BE(at + 8);
    this.cookieLow = bytes.readUInt32BE(at + 12);
    this.offset = readUint64(bytes, at + 16);
    this.length = bytes.readUInt32BE(at + 24);
    this.isReceived = false;
    return true;
  }

  copy(): Request {
    const copy = new Request();
    copy.flags = this.flags;
    copy.command = this.command;
    copy.cookieHigh = this.cookieHigh;
    copy.cookieLow = this.cookieLow;
    copy.offset = this.offset;
    copy.length = this.length;
    return copy;
  }
}
