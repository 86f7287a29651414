/**
 * `DEVICE:NAME`, the way a command line names a file inside a store.
 *
 * Both halves may hold colons. The device is the shortest part before a colon that exists as a regular file or a block
 * device; when there is none, the part before the first colon, so that the error names it. The name is all that
 * follows, colons and slashes included. The device may be an NBD URI, which ends at the first colon behind its host.
 */
import { statSync } from 'node:fs';
import { UsageError } from './usage-error.js';

export interface Address {
  device: string;
  name: string;
}

/** One side of a copy. */
export type Place = { kind: 'store'; device: string; name: string } | { kind: 'host'; path: string } | { kind: 'pipe' };

/** A device behind NBD, and perhaps a name: a colon in the URI's path or query would have to be percent-encoded. */
const URI = /^(nbds?(?:\+unix)?:\/\/[^/]*(?:\/[^:]*)?)(?::(.*))?$/s;

function isDevice(path: string): boolean {
  if (URI.test(path)) return URI.exec(path)?.[2] === undefined;
  const stat = statSync(path, { throwIfNoEntry: false });
  return stat !== undefined && (stat.isFile() || stat.isBlockDevice());
}

/** The address in `text`, and whether its device exists; null when `text` has no colon after its first character. */
function split(text: string): (Address & { exists: boolean }) | null {
  const uri = URI.exec(text);
  if (uri !== null) return uri[2] === undefined ? null : { device: uri[1], name: uri[2], exists: true };
  for (let colon = text.indexOf(':', 1); colon > 0; colon = text.indexOf(':', colon + 1)) {
    const device = text.slice(0, colon);
    if (isDevice(device)) return { device, name: text.slice(colon + 1), exists: true };
  }
  const colon = text.indexOf(':', 1);
  return colon < 0 ? null : { device: text.slice(0, colon), name: text.slice(colon + 1), exists: false };
}

export function parseAddress(text: string): Address {
  const address = split(text);
  if (address === null) throw new UsageError(`'${text}' is no DEVICE:NAME`);
  if (address.name === '') throw new UsageError(`'${text}' names no file; write DEVICE:NAME`);
  return { device: address.device, name: address.name };
}

/** A device, with or without the name of a file: the name is empty then. */
export function parseExports(text: string): Address {
  const address = isDevice(text) ? null : split(text);
  return address === null ? { device: text, name: '' } : { device: address.device, name: address.name };
}

/**
 * Where a copy reads or writes: `-` is standard input or output; an argument with a colon is `DEVICE:NAME`, unless it is
 * the path of an existing host file and no device is found in it. The name may be empty: the copy supplies it.
 */
export function parsePlace(text: string): Place {
  if (text === '-') return { kind: 'pipe' };
  const address = split(text);
  if (address === null) return { kind: 'host', path: text };
  if (!address.exists && statSync(text, { throwIfNoEntry: false }) !== undefined) return { kind: 'host', path: text };
  return { kind: 'store', device: address.device, name: address.name };
}
