/** Node's system errors as the engine's. */
import { StoreError, type StoreErrorCode } from '../errors.js';

/** Codes that keep their meaning; every other failure of the host is EIO. */
const KEPT: Record<string, StoreErrorCode> = {
  ENOENT: 'ENOENT',
  ENOTDIR: 'ENOENT',
  EACCES: 'EACCES',
  EPERM: 'EACCES',
  EROFS: 'EROFS',
  ENOSPC: 'ENOSPC',
  EDQUOT: 'ENOSPC',
  EFBIG: 'EFBIG',
  EBUSY: 'EBUSY',
  ETXTBSY: 'EBUSY',
  EEXIST: 'EEXIST',
  ENXIO: 'ENXIO',
  ENOMEM: 'ENOMEM',
  ENAMETOOLONG: 'ENAMETOOLONG',
};

export function codeOf(error: unknown): string | undefined {
  return (error as { code?: string } | null)?.code;
}

export function hostError(error: unknown, syscall: string, path: string, detail?: string): StoreError {
  if (error instanceof StoreError) return error;
  const code = codeOf(error);
  const kept = code === undefined ? undefined : KEPT[code];
  const said = detail ?? (kept === code ? undefined : (code ?? String(error)));
  return new StoreError(kept ?? 'EIO', { syscall, path, detail: said, cause: error });
}
