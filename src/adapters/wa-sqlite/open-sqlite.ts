/** wa-sqlite with a store for its files: one for each thread that uses it. */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import * as SQLite from '@journeyapps/wa-sqlite';
import moduleFactory from '@journeyapps/wa-sqlite/dist/wa-sqlite.mjs';
import type { SyncStore } from '../../worker.js';
import { StoreVfs } from './store-vfs.js';

/** The name under which SQLite knows the store. */
const VFS_NAME = 'emmental';

/** Loads SQLite into the calling thread; the databases that it opens are files of the store. */
export async function openSqlite(store: SyncStore): Promise<SQLiteAPI> {
  const module = await moduleFactory({ instantiateWasm });
  const sqlite = SQLite.Factory(module);
  sqlite.vfs_register(new StoreVfs(VFS_NAME, module, store) as unknown as SQLiteVFS, true);
  return sqlite;
}

/** As wa-sqlite itself loads the code with `fetch`, which in Node takes no files. */
export function instantiateWasm(imports: object, receive: (instance: unknown, module: unknown) => void): object {
  const path = createRequire(import.meta.url).resolve('@journeyapps/wa-sqlite/dist/wa-sqlite.wasm');
  const { Module, Instance } = (globalThis as unknown as { WebAssembly: WasmConstructors }).WebAssembly;
  const code = new Module(readFileSync(path));
  receive(new Instance(code, imports), code);
  return {};
}

interface WasmConstructors {
  Module: new (bytes: Uint8Array) => object;
  Instance: new (module: object, imports: object) => object;
}
