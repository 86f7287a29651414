/** A store for the length of one command: opened, used, and closed whatever happens. The first error is the one told. */
import { type File, type OpenOptions, openStore, type Store } from '../index.js';

/** Commands touch a byte once: a small cache and the fewest service threads do. */
const CACHE_BYTES = 64 * 1024 * 1024;

export async function withStore<T>(
  device: string,
  options: OpenOptions,
  use: (store: Store) => Promise<T>,
): Promise<T> {
  const store = await openStore(device, { cacheBytes: CACHE_BYTES, threads: 2, ...options });
  return useAndClose(store, use);
}

export async function withFile<T>(
  store: Store,
  name: string,
  flags: string,
  use: (file: File) => Promise<T>,
): Promise<T> {
  return useAndClose(await store.open(name, flags), use);
}

async function useAndClose<C extends { close(): Promise<unknown> }, T>(
  closable: C,
  use: (closable: C) => Promise<T>,
): Promise<T> {
  let result: T;
  try {
    result = await use(closable);
  } catch (error) {
    await closable.close().catch(() => undefined);
    throw error;
  }
  await closable.close();
  return result;
}
