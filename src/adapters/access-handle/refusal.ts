/** The store's errors as the `DOMException`s that the File System Standard names for them. */
import { StoreError, type SyncFile } from '../../worker.js';

/** Room that is not there, on the device or in a file. */
const QUOTA: readonly string[] = ['ENOSPC', 'EFBIG'];

/** What a handle throws for an error of its file. Broken invariants pass through. */
export function refusal(error: unknown, file: SyncFile): unknown {
  if (!(error instanceof StoreError)) return error;
  const name = nameOf(error, file);
  // Node's DOMException takes a cause, which the types of the web do not know.
  return new DOMException(error.message, { name, cause: error } as unknown as string);
}

function nameOf(error: StoreError, file: SyncFile): string {
  if (QUOTA.includes(error.code)) return 'QuotaExceededError';
  if (error.code === 'EROFS') return 'NoModificationAllowedError';
  if (error.code === 'EBADF' && isOpen(file)) return 'NoModificationAllowedError';
  return 'InvalidStateError';
}

/** EBADF says that a file is closed, or that it was not opened for this. */
function isOpen(file: SyncFile): boolean {
  try {
    file.stat();
    return true;
  } catch {
    return false;
  }
}
