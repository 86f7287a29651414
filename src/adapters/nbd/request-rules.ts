/** What the protocol lets a client ask of an export, and the error that it names for everything else. */
import { StoreError } from '../../index.js';
import { Command, CommandFlag, ErrorCode, PAYLOAD_BYTES_MAX } from '../../nbd/constants.js';
import type { Request } from './request.js';

export interface RequestLimits {
  sizeBytes: number;
  isReadOnly: boolean;
  isStructured: boolean;
  hasContext: boolean;
}

/** FUA may come with every command: clients are known to send it where it means nothing. */
const FLAGS: Record<number, number> = {
  [Command.Read]: CommandFlag.Fua | CommandFlag.DontFragment,
  [Command.Write]: CommandFlag.Fua,
  [Command.Disconnect]: CommandFlag.Fua,
  [Command.Flush]: CommandFlag.Fua,
  [Command.Trim]: CommandFlag.Fua,
  [Command.Cache]: CommandFlag.Fua,
  [Command.WriteZeroes]: CommandFlag.Fua | CommandFlag.NoHole | CommandFlag.FastZero,
  [Command.BlockStatus]: CommandFlag.Fua | CommandFlag.RequestOne,
};

/** The error with which a request is refused before anything is done for it. */
export function checkRequest(request: Request, limits: RequestLimits): ErrorCode {
  const { command, flags, offset, length } = request;
  const known = FLAGS[command];
  if (known === undefined || (flags & ~known) !== 0) return ErrorCode.Invalid;
  if ((flags & CommandFlag.DontFragment) !== 0 && !limits.isStructured) return ErrorCode.Invalid;
  if (command === Command.BlockStatus && (!limits.hasContext || length === 0)) return ErrorCode.Invalid;
  if (command === Command.Flush) return offset === 0 && length === 0 ? ErrorCode.None : ErrorCode.Invalid;
  const changes = command === Command.Write || command === Command.Trim || command === Command.WriteZeroes;
  if (changes && limits.isReadOnly) return ErrorCode.Permission;
  if (length > PAYLOAD_BYTES_MAX) {
    if (command === Command.Write) return ErrorCode.Invalid;
    // Only structured replies have a name for it.
    if (command === Command.Read) return limits.isStructured ? ErrorCode.Overflow : ErrorCode.Invalid;
  }
  if (offset + length > limits.sizeBytes) {
    return command === Command.Write || command === Command.WriteZeroes ? ErrorCode.NoSpace : ErrorCode.Invalid;
  }
  return ErrorCode.None;
}

/** A failure of the store in the protocol's words. */
export function failureOf(error: unknown): ErrorCode {
  if (!(error instanceof StoreError)) return ErrorCode.Io;
  switch (error.code) {
    case 'ENOSPC':
    case 'EFBIG':
      return ErrorCode.NoSpace;
    case 'EROFS':
      return ErrorCode.Permission;
    case 'EINVAL':
      return ErrorCode.Invalid;
    case 'ENOMEM':
      return ErrorCode.NoMemory;
    case 'EBADF':
      // The store is being closed below the server.
      return ErrorCode.Shutdown;
    default:
      return ErrorCode.Io;
  }
}
