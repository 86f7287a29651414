/** Files as stores of chunks, with the interface `abstract-chunk-store`: `emmental/chunk-store`. */

export { type ChunkRange, ChunkStore, type ChunkStoreOptions } from './adapters/chunk-store/chunk-store.js';
