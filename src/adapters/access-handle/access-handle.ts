/**
 * The web's FileSystemSyncAccessHandle over a file of a store (File System Standard, "The FileSystemSyncAccessHandle
 * interface").
 *
 * A handle belongs to the thread that opened its file, and is the only user of its own cursor. It owns the file: closing the
 * handle closes it. What the store refuses comes out as the `DOMException` that the standard names, with the store's own
 * error as its `cause`.
 *
 * 1. The cursor is moved by every read and write, to the end of what it touched, and is never behind the end of the file
 *    after `truncate`.
 * 2. A closed handle does nothing but close: everything else is an InvalidStateError.
 * 3. A handle has a lock on its file, by its mode, against the other handles of all threads (handle-lock.ts).
 */
import type { SyncFile } from '../../worker.js';
import { type AccessHandleMode, takeLock } from './handle-lock.js';
import { refusal } from './refusal.js';
import { bufferSource, enforceRange, readAtOption } from './web-idl.js';

const NO_MODIFICATION = 'NoModificationAllowedError';

export interface AccessHandleOptions {
  /**
   * What the handle may do, and which others may be open on the file: none beside `readwrite`, the default; only the same
   * beside `read-only`, which refuses `write`, `truncate` and `flush`, and beside `readwrite-unsafe`.
   */
  mode?: AccessHandleMode;
}

export interface ReadWriteOptions {
  /** Where to read or write. Left out: where the last read or write ended. */
  at?: number;
}

export class SyncAccessHandle {
  private cursor = 0;
  private closed = false;

  /** @internal Users call `accessHandle`. */
  constructor(
    private readonly file: SyncFile,
    readonly mode: AccessHandleMode,
  ) {}

  /** Fills the buffer from the file, and returns how many bytes there were. */
  read(buffer: ArrayBufferLike | ArrayBufferView, options?: ReadWriteOptions): number {
    const bytes = bufferSource(buffer);
    const at = readAtOption(options);
    this.checkOpen('read');
    return this.guarded(() => {
      const from = at ?? this.cursor;
      const { bytesRead } = this.file.read(bytes, 0, bytes.byteLength, from);
      this.cursor = bytesRead === 0 ? Math.min(from, this.file.stat().size) : from + bytesRead;
      return bytesRead;
    });
  }

  /** Writes the buffer; what lies between the file's end and `at` becomes a hole. Returns how many bytes were written. */
  write(buffer: ArrayBufferLike | ArrayBufferView, options?: ReadWriteOptions): number {
    const bytes = bufferSource(buffer);
    const at = readAtOption(options);
    this.checkWritable('write');
    return this.guarded(() => {
      const to = at ?? this.cursor;
      const { bytesWritten } = this.file.write(bytes, 0, bytes.byteLength, to);
      this.cursor = to + bytesWritten;
      return bytesWritten;
    });
  }

  truncate(newSize: number): void {
    const size = enforceRange('newSize', newSize);
    this.checkWritable('truncate');
    this.guarded(() => this.file.truncate(size));
    this.cursor = Math.min(this.cursor, size);
  }

  getSize(): number {
    this.checkOpen('getSize');
    return this.guarded(() => this.file.stat().size);
  }

  /** What was written is durable when this returns. */
  flush(): void {
    this.checkWritable('flush');
    this.guarded(() => this.file.sync());
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.file.close();
  }

  private guarded<T>(call: () => T): T {
    try {
      return call();
    } catch (error) {
      throw refusal(error, this.file);
    }
  }

  private checkWritable(method: string): void {
    this.checkOpen(method);
    if (this.mode !== 'read-only') return;
    throw new DOMException(`${method}: the access handle is read-only`, NO_MODIFICATION);
  }

  private checkOpen(method: string): void {
    if (this.closed) throw new DOMException(`${method}: the access handle is closed`, 'InvalidStateError');
  }
}

const MODES: readonly AccessHandleMode[] = ['readwrite', 'read-only', 'readwrite-unsafe'];

/** Files that have a handle: a second one would share its lock. */
const owned = new WeakSet<SyncFile>();

/**
 * Gives a file the web's interface. The handle owns the file from here on. Throws a NoModificationAllowedError where the
 * handles that are open on the file exclude another one of this mode.
 */
export function accessHandle(file: SyncFile, options: AccessHandleOptions = {}): SyncAccessHandle {
  const mode = options.mode ?? 'readwrite';
  if (!MODES.includes(mode)) throw new TypeError(`mode: '${mode}' is none of ${MODES.join(', ')}`);
  if (owned.has(file) || !locks(file, mode)) {
    throw new DOMException(`the file has an access handle that excludes one in ${mode} mode`, NO_MODIFICATION);
  }
  owned.add(file);
  return new SyncAccessHandle(file, mode);
}

function locks(file: SyncFile, mode: AccessHandleMode): boolean {
  try {
    return takeLock(file, mode);
  } catch (error) {
    throw refusal(error, file);
  }
}
