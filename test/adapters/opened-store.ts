/** A store, opened for the tests of the calling file and closed after them. */
import { join } from 'node:path';
import { afterAll, beforeAll } from 'vitest';
import { createStore, openStore, type Store } from '#dist/src/index.js';
import { temporaryDirectory } from '../support/temporary.js';

export function openedStore(sizeBytes = 64 * 2 ** 20): { readonly store: Store } {
  const directory = temporaryDirectory(true);
  let store: Store;
  beforeAll(async () => {
    const path = join(directory, 'store.img');
    await createStore(path, { sizeBytes });
    store = await openStore(path, { threads: 2, cacheBytes: 32 * 2 ** 20, verify: true });
  });
  afterAll(() => store.close());
  return {
    get store() {
      return store;
    },
  };
}
