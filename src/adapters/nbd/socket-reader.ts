/**
 * Reading a socket into one buffer, again and again, instead of into a new one each time: at a gigabyte a second the
 * garbage of 64 KiB a read is a fifth of the work. One buffer serves all connections, since what a read has brought is
 * used, or copied, before the next read of anybody.
 *
 * Node has this (`onread`) for sockets that connect, and for those made from a handle, but not for those that a server
 * accepts. So the accepted socket's handle is given to a socket made for it. Where there is no such handle to be had, and
 * under TLS, the socket is read as ever.
 */
import type { Buffer } from 'node:buffer';
import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { TLSSocket } from 'node:tls';

/** What a read may bring: as much as the host keeps for a unix socket. */
export const READ_BYTES = 256 * 1024;

/** Node's own field, and what is used of it. */
interface WithHandle {
  _handle?: { reading: boolean; readStop(): number } | null;
}

export interface Reading {
  /** The socket to use from here on. */
  socket: Duplex;
  /** What had been read already. */
  early: Buffer | null;
}

/** `receive` gets what arrives, valid during the call, once the socket has been resumed. */
export function readInto(accepted: Duplex, buffer: Buffer, receive: (chunk: Buffer) => void): Reading {
  const handle = (accepted as WithHandle)._handle;
  const isPlain = accepted instanceof Socket && !(accepted instanceof TLSSocket) && !accepted.destroyed;
  if (!isPlain || typeof handle !== 'object' || handle === null) {
    accepted.on('data', receive);
    return { socket: accepted, early: null };
  }
  const early = accepted.read() as Buffer | null;
  // Begun anew by the new socket: the end of the connection, which the accepted one may have met already, comes again then.
  handle.readStop();
  handle.reading = false;
  (accepted as WithHandle)._handle = null;
  const options = {
    handle,
    manualStart: true,
    onread: {
      buffer,
      callback: (count: number) => {
        receive(buffer.subarray(0, count));
        return true;
      },
    },
  };
  const socket = new Socket(options as unknown as ConstructorParameters<typeof Socket>[0]);
  return { socket, early };
}
