/**
 * The device a benchmark runs on: one the user names, or a temporary sparse image that is removed at the end, whatever the
 * end is.
 *
 * A named device that is blank is formatted; one that holds a store is used as it is, and keeps its files; one that holds
 * anything else is refused by the engine.
 */
import { existsSync, mkdtempSync, rmSync, statfsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { formatSize } from '../../src/cli/size.js';
import { createStore } from '../../src/index.js';

const MIB = 1024 * 1024;

export interface BenchDevice {
  path: string;
  isTemporary: boolean;
  dispose(): void;
}

/** A device with room for `fileBytes` of files. */
export async function openBenchDevice(path: string, fileBytes: number): Promise<BenchDevice> {
  // Blocks freed by an invalidation storm wait for a commit before they can be used again: hence the generous room.
  const sizeBytes = Math.ceil((fileBytes * 1.5) / MIB) * MIB + 256 * MIB;
  return path === '' ? makeTemporaryImage(sizeBytes, fileBytes) : useDevice(path, sizeBytes);
}

async function makeTemporaryImage(sizeBytes: number, fileBytes: number): Promise<BenchDevice> {
  const { bavail, bsize } = statfsSync(tmpdir());
  if (bavail * bsize < fileBytes * 1.1) {
    throw new Error(`${tmpdir()} has ${formatSize(bavail * bsize)} free, the job needs ${formatSize(fileBytes * 1.1)}`);
  }
  const directory = mkdtempSync(join(tmpdir(), 'emmental-'));
  const dispose = () => {
    process.off('exit', dispose);
    rmSync(directory, { recursive: true, force: true });
  };
  process.on('exit', dispose);
  const path = join(directory, 'bench.img');
  try {
    await createStore(path, { sizeBytes });
  } catch (error) {
    dispose();
    throw error;
  }
  return { path, isTemporary: true, dispose };
}

async function useDevice(path: string, sizeBytes: number): Promise<BenchDevice> {
  try {
    await createStore(path, existsSync(path) ? {} : { sizeBytes });
  } catch (error) {
    // It holds something: opening it will tell whether that is a store.
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
  return { path, isTemporary: false, dispose() {} };
}
