/**
 * The errors a user of the engine sees.
 *
 * `StoreError` has the fields of Node's own system errors. Errors cross threads as plain data (`errorToData`) and are
 * rebuilt on the other side (`errorFromData`), so that `instanceof` and `code` hold there too. A broken invariant is no
 * error of this kind: it is an `AssertionError` (assert.ts), which nothing catches.
 */

/** Linux errno values of the codes that the engine raises. */
const ERRNO = {
  ENOENT: 2,
  EIO: 5,
  ENXIO: 6,
  EBADF: 9,
  ENOMEM: 12,
  EACCES: 13,
  EBUSY: 16,
  EEXIST: 17,
  EINVAL: 22,
  EFBIG: 27,
  ENOSPC: 28,
  EROFS: 30,
  ENAMETOOLONG: 36,
  ENOTSUP: 95,
  EUCLEAN: 117,
  EOWNERDEAD: 130,
  ENOTRECOVERABLE: 131,
  ECANCELED: 125,
} as const;

export type StoreErrorCode = keyof typeof ERRNO;

const DESCRIPTION: Record<StoreErrorCode, string> = {
  ENOENT: 'no such file',
  EIO: 'i/o error',
  ENXIO: 'no such device or address',
  EBADF: 'bad file descriptor',
  ENOMEM: 'not enough memory',
  EACCES: 'permission denied',
  EBUSY: 'resource busy',
  EEXIST: 'file already exists',
  EINVAL: 'invalid argument',
  EFBIG: 'file too large',
  ENOSPC: 'no space left on device',
  EROFS: 'read-only store',
  ENAMETOOLONG: 'name too long',
  ENOTSUP: 'operation not supported',
  EUCLEAN: 'structure needs cleaning',
  EOWNERDEAD: 'owner died',
  ENOTRECOVERABLE: 'state not recoverable',
  ECANCELED: 'operation canceled',
};

export interface StoreErrorOptions {
  /** The operation that failed, as Node's `syscall`: 'open', 'read', 'punch', … */
  syscall?: string | undefined;
  /** The file's name inside the store, or the device's path. */
  path?: string | undefined;
  /** What is particular to this failure; follows the code's description in the message. */
  detail?: string | undefined;
  block?: number | undefined;
  cause?: unknown;
}

/** An operation that the store refused or could not finish. `errno` is negative, as in Node's system errors. */
export class StoreError extends Error {
  override readonly name = 'StoreError';
  readonly code: StoreErrorCode;
  readonly errno: number;
  readonly syscall: string | undefined;
  readonly path: string | undefined;
  /** With EUCLEAN, the damaged block; `undefined` where no block is at fault. */
  readonly block: number | undefined;

  constructor(code: StoreErrorCode, options: StoreErrorOptions = {}) {
    const { syscall, path, detail, block } = options;
    let message = `${code}: ${DESCRIPTION[code]}`;
    if (detail !== undefined) message += `: ${detail}`;
    if (syscall !== undefined) message += `, ${syscall}`;
    if (path !== undefined) message += ` '${path}'`;
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.errno = -ERRNO[code];
    this.syscall = syscall;
    this.path = path;
    this.block = block;
  }
}

/** The store holds content that fails its checks; the message names the structure and the block. */
export function corrupt(structure: string, block: number, detail: string): StoreError {
  return new StoreError('EUCLEAN', {
    detail: `${structure} at block ${block}: ${detail}; run 'emmental check'`,
    block,
  });
}

/** The same error with the operation and the file named, where they were not. Other errors pass through. */
export function withPath(error: unknown, syscall: string | undefined, path: string): unknown {
  if (!(error instanceof StoreError) || error.path !== undefined || path === '') return error;
  const named = new StoreError(error.code, {
    syscall: error.syscall ?? syscall,
    path,
    block: error.block,
    cause: error.cause,
  });
  const operation = error.syscall === undefined && syscall !== undefined ? `, ${syscall}` : '';
  named.message = `${error.message}${operation} '${path}'`;
  return named;
}

/** The same error with the operation named, where it was not. Other errors pass through. */
export function withSyscall(error: unknown, syscall: string): unknown {
  if (!(error instanceof StoreError) || error.syscall !== undefined) return error;
  const named = new StoreError(error.code, { syscall, path: error.path, block: error.block, cause: error.cause });
  named.message = `${error.message}, ${syscall}`;
  return named;
}

/** A `TypeError` with Node's code for an argument of the wrong type. */
export function invalidArgType(name: string, expected: string, actual: unknown): TypeError {
  const kind = actual === null ? 'null' : typeof actual;
  const error = new TypeError(`The "${name}" argument must be ${expected}. Received ${kind}`);
  return Object.assign(error, { code: 'ERR_INVALID_ARG_TYPE' });
}

/** A `RangeError` with Node's code for an argument outside its range. */
export function outOfRange(name: string, range: string, actual: unknown): RangeError {
  const error = new RangeError(
    `The value of "${name}" is out of range. It must be ${range}. Received ${String(actual)}`,
  );
  return Object.assign(error, { code: 'ERR_OUT_OF_RANGE' });
}

/** As `fs.readFile`: more than one buffer is to hold. */
export function fileTooLarge(sizeBytes: number): RangeError {
  const error = new RangeError(`File size (${sizeBytes}) is greater than 2 GiB`);
  return Object.assign(error, { code: 'ERR_FS_FILE_TOO_LARGE' });
}

/** An error as structured-cloneable data. */
export interface ErrorData {
  kind: 'store' | 'type' | 'range' | 'other';
  message: string;
  code: string | undefined;
  syscall: string | undefined;
  path: string | undefined;
  stack: string | undefined;
}

export function errorToData(error: unknown): ErrorData {
  const e = error instanceof Error ? error : new Error(String(error));
  const { code, syscall, path } = e as Partial<StoreError>;
  const kind =
    e instanceof StoreError ? 'store' : e instanceof TypeError ? 'type' : e instanceof RangeError ? 'range' : 'other';
  return { kind, message: e.message, code, syscall, path, stack: e.stack };
}

export function errorFromData(data: ErrorData): Error {
  let error: Error;
  if (data.kind === 'store') {
    error = new StoreError(data.code as StoreErrorCode, { syscall: data.syscall, path: data.path });
    error.message = data.message;
  } else {
    error =
      data.kind === 'type'
        ? new TypeError(data.message)
        : data.kind === 'range'
          ? new RangeError(data.message)
          : new Error(data.message);
    if (data.code !== undefined) Object.assign(error, { code: data.code });
  }
  if (data.stack !== undefined) error.stack = data.stack;
  return error;
}
