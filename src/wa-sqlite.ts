/** SQLite on a store, by the package `@journeyapps/wa-sqlite`, which it needs: `emmental/wa-sqlite`. */

export { openSqlite } from './adapters/wa-sqlite/open-sqlite.js';
export { StoreVfs } from './adapters/wa-sqlite/store-vfs.js';
