/**
 * The exclusive claim on a regular file: one open store a file, across processes and within one.
 *
 * | device                         | mechanism                         | reaches                                        |
 * | ------------------------------ | --------------------------------- | ---------------------------------------------- |
 * | block special file             | O_EXCL at open (host-device.ts)   | all of the host, mounts included               |
 * | regular file, native extension | OFD lock on the file              | all of the host; network file systems with locks |
 * | regular file, otherwise        | entry in a claim directory        | processes that share the temporary directory   |
 * | export of an NBD server        | entry in a claim directory        | processes that share the temporary directory   |
 *
 * "Otherwise" is: the extension does not load, the file system has no locks, or the file cannot be opened for writing
 * (an exclusive OFD lock needs that; a shared one is then taken besides, which a writer's lock excludes). Processes of
 * which one has the extension and the other has not do not see each other.
 *
 * Claim directory: each claimant first makes its own entry, named after the file's device and inode number and its own
 * process, and then looks for others' entries. So of two at most one succeeds. Entries of processes that are gone are
 * removed by whoever finds them; a name is never used twice, so nobody removes a living one's.
 */
import { createHash } from 'node:crypto';
import { chmodSync, closeSync, mkdirSync, openSync, readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { StoreError } from '../errors.js';
import { hostError } from './host-error.js';
import { hostExtensions } from './host-extensions.js';

export interface Claim {
  readonly mechanism: 'file lock' | 'claim directory';
  release(): void;
}

export interface Claimed {
  path: string;
  dev: number;
  ino: number;
  /** The device's own descriptor. */
  fd: number;
  /** Whether `fd` is open for writing. */
  writable: boolean;
}

/** Takes the claim or throws EBUSY. Closing `fd` does not release it: call `release` first. */
export function claimFile(file: Claimed): Claim {
  return lockFile(file) ?? enterDirectory(`${file.dev}-${file.ino}`, file.path);
}

/** The same for what is no file of this host, known by a name of its own. */
export function claimName(name: string, path: string): Claim {
  return enterDirectory(createHash('sha256').update(name).digest('hex').slice(0, 32), path);
}

function busy(path: string, detail: string): StoreError {
  return new StoreError('EBUSY', { syscall: 'open', path, detail });
}

/** An OFD lock, or null where that does not work. */
function lockFile(file: Claimed): Claim | null {
  const native = hostExtensions();
  if (native === null) return null;
  const lockFd = file.writable ? file.fd : openForLock(file.path);
  if (lockFd === null) {
    if (tryLock(file.fd, true) === false) throw busy(file.path, 'the store is open elsewhere');
    return null;
  }
  const locked = tryLock(lockFd, false);
  if (locked !== true && lockFd !== file.fd) closeSync(lockFd);
  if (locked === false) throw busy(file.path, 'the store is open elsewhere');
  if (locked === null) return null;
  // The lock ends with its open file: with the device's descriptor, or with the one that was opened for it.
  const release = (): void => {
    if (lockFd !== file.fd) closeSync(lockFd);
  };
  return { mechanism: 'file lock', release };
}

/** A descriptor that can hold an exclusive lock on a file that the device itself only reads; null if there is none. */
function openForLock(path: string): number | null {
  try {
    return openSync(path, 'r+');
  } catch {
    return null;
  }
}

/** null: the file system does not take locks. */
function tryLock(fd: number, shared: boolean): boolean | null {
  try {
    return hostExtensions()!.tryLock(fd, { shared });
  } catch {
    return null;
  }
}

let claims = 0;

function enterDirectory(key: string, path: string): Claim {
  const directory = join(tmpdir(), 'emmental-claims');
  const prefix = `${key}.`;
  claims += 1;
  const own = `${prefix}${process.pid}.${startTime(process.pid) ?? 0}.${pidNamespace()}.${Date.now()}${claims}`;
  try {
    mkdirSync(directory, { recursive: true });
    try {
      chmodSync(directory, 0o1777);
    } catch {
      // Another user's directory: whoever made it has opened it to all.
    }
    closeSync(openSync(join(directory, own), 'wx', 0o644));
  } catch (error) {
    throw hostError(error, 'open', path, `cannot claim the device in ${directory}`);
  }
  const release = (): void => rmSync(join(directory, own), { force: true });
  for (const entry of readdirSync(directory)) {
    if (entry === own || !entry.startsWith(prefix)) continue;
    const pid = Number(entry.split('.')[1]);
    if (isAlive(entry)) {
      release();
      throw busy(path, `the store is open in process ${pid}`);
    }
    rmSync(join(directory, entry), { force: true });
  }
  return { mechanism: 'claim directory', release };
}

/** Whether the process that made the entry still runs. One in another container cannot be seen, and counts as running. */
function isAlive(entry: string): boolean {
  const [, pid, start, namespace] = entry.split('.');
  if (namespace !== pidNamespace()) return true;
  const now = startTime(Number(pid));
  return now !== null && String(now) === start;
}

/** When the process started, in clock ticks since boot; null when there is none. Tells it from a later one of that number. */
function startTime(pid: number): number | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The command's name is in parentheses and may hold anything; the start time is the 20th field after it.
    return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]);
  } catch {
    return null;
  }
}

function pidNamespace(): string {
  try {
    return readlinkSync('/proc/self/ns/pid').replace(/\D/g, '');
  } catch {
    return '0';
  }
}
