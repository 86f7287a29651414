/** What the comparisons with other packages share: loading a peer that may be missing, and files for stores to lie in. */
import { fsyncSync, openSync, writeSync } from 'node:fs';

const MIB = 1024 * 1024;
/** better-sqlite3's compiled code is made for Node 22 and ends older ones. */
const SQLITE_NODE_MIN = 22;

/** The package, or null where it is not there. */
export async function installed(name) {
  try {
    return await import(name);
  } catch (error) {
    if (error.code === 'ERR_MODULE_NOT_FOUND') return null;
    throw error;
  }
}

/** better-sqlite3, or a string that says why it is left out. */
export async function betterSqlite() {
  if (Number.parseInt(process.versions.node, 10) < SQLITE_NODE_MIN) return `needs Node ${SQLITE_NODE_MIN}`;
  return (await installed('better-sqlite3'))?.default ?? 'not installed';
}

/** A file whose blocks the host has written already, so that a flush of it is one of the device alone; its descriptor. */
export function filled(path, sizeBytes) {
  const fd = openSync(path, 'w+');
  const chunk = Buffer.alloc(MIB, 1);
  for (let position = 0; position < sizeBytes; position += MIB) writeSync(fd, chunk, 0, MIB, position);
  fsyncSync(fd);
  return fd;
}
