/**
 * The two faces of the interface as one: `Store` as it is, and `SyncStore` with every method made to return a promise, so
 * that one suite runs over both.
 */
import type { File, Store } from '#dist/src/index.js';
import type { SyncStore } from '#dist/src/worker.js';

export type FileFace = Pick<File, keyof File>;
export type StoreFace = Pick<
  Store,
  'open' | 'stat' | 'exists' | 'unlink' | 'rename' | 'list' | 'statfs' | 'sync' | 'stats' | 'handle'
>;

export type FaceName = 'asynchronous' | 'synchronous';

/** Calls go to the synchronous object; values come back as promises, and what is thrown as rejections. */
function promised(target: object): unknown {
  return new Proxy(target, {
    get(object, key) {
      const value: unknown = Reflect.get(object, key, object);
      if (typeof value !== 'function') return value;
      if (key === 'stats') return value.bind(object);
      if (key === 'open') return async (...args: unknown[]) => promised(Reflect.apply(value, object, args) as object);
      if (key === Symbol.asyncDispose) return undefined;
      return async (...args: unknown[]) => Reflect.apply(value, object, args) as unknown;
    },
  });
}

export function syncFace(store: SyncStore): StoreFace {
  return promised(store) as StoreFace;
}
