/**
 * Files whose blocks the host has already written: a flush of them writes none of the host's own metadata, so that both sides
 * of a comparison pay for the device alone.
 */
import { closeSync, constants, fsyncSync, openSync, writeSync } from 'node:fs';
import { createStore, type OpenOptions, type Store } from '../../src/index.js';
import type { SyncStore } from '../../src/worker.js';
import { alignedMemory, openWith } from '../micro/fixture.js';

const MIB = 1024 * 1024;

/** The file descriptor, open for O_DIRECT. */
export function preallocate(path: string, sizeBytes: number): number {
  const fd = openSync(path, constants.O_RDWR | constants.O_CREAT | constants.O_DIRECT, 0o600);
  const memory = alignedMemory(MIB).fill(1);
  for (let position = 0; position < sizeBytes; position += MIB) {
    writeSync(fd, memory, 0, Math.min(MIB, sizeBytes - position), position);
  }
  fsyncSync(fd);
  return fd;
}

export interface Shape {
  sizeBytes: number;
  journalBytes?: number;
  open: OpenOptions;
}

/** A store on such a file. */
export async function withPreallocatedStore<T>(
  path: string,
  { sizeBytes, journalBytes, open }: Shape,
  use: (store: Store, sync: SyncStore) => Promise<T>,
): Promise<T> {
  closeSync(preallocate(path, sizeBytes));
  await createStore(path, { overwrite: true, ...(journalBytes !== undefined && { journalBytes }) });
  return openWith(path, open, use);
}
