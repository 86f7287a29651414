/** A store of its own for the tests of access handles, and fresh files in it. */
import { join } from 'node:path';
import { afterAll, beforeAll, expect } from 'vitest';
import { type AccessHandleMode, accessHandle, type SyncAccessHandle } from '#dist/src/access-handle.js';
import { createStore, openStore, type Store } from '#dist/src/index.js';
import { attachStore, type SyncStore } from '#dist/src/worker.js';
import { temporaryDirectory } from '../../support/temporary.js';

export interface HandleWorld {
  readonly store: SyncStore;
  /** What other threads attach by. */
  readonly handle: Store['handle'];
  /** A handle on a file that did not exist. */
  fresh(mode?: AccessHandleMode): SyncAccessHandle;
  /** The name of a file that did not exist. */
  freshFile(): string;
  /** A handle on a file of that name, opened anew. */
  open(name: string, mode?: AccessHandleMode): SyncAccessHandle;
}

/** Declares the store for the tests of the calling file, and closes it after them. */
export function handleWorld(sizeBytes = 32 * 2 ** 20): HandleWorld {
  const directory = temporaryDirectory(true);
  let owner: Store;
  let sync: SyncStore;
  let files = 0;
  beforeAll(async () => {
    const path = join(directory, 'handles.img');
    await createStore(path, { sizeBytes });
    owner = await openStore(path, { threads: 2, cacheBytes: 16 * 2 ** 20, verify: true });
    sync = attachStore(owner.handle);
  });
  afterAll(async () => {
    sync.close();
    await owner.close();
  });
  const open = (name: string, mode?: AccessHandleMode): SyncAccessHandle => {
    const file = sync.open(name, 'r+');
    try {
      return accessHandle(file, mode === undefined ? {} : { mode });
    } catch (error) {
      file.close();
      throw error;
    }
  };
  const freshFile = (): string => {
    const name = `file-${files++}`;
    sync.open(name, 'wx').close();
    return name;
  };
  return {
    get store() {
      return sync;
    },
    get handle() {
      return owner.handle;
    },
    fresh: (mode) => open(freshFile(), mode),
    freshFile,
    open,
  };
}

/** Expects a `DOMException` of that name, and returns it. */
export function expectRefusal(name: string, call: () => unknown): DOMException {
  let caught: unknown;
  try {
    call();
  } catch (error) {
    caught = error;
  }
  expect(caught, `${name} was expected`).toBeInstanceOf(DOMException);
  expect((caught as DOMException).name).toBe(name);
  return caught as DOMException;
}

export function bytesOf(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

export function textOf(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}
