/**
 * A directory for a test file or a group of tests, removed at its end; not to be called within a test. In memory where asked
 * and the host has it: for tests of the engine, not of the disk.
 */
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll } from 'vitest';

export function temporaryDirectory(inMemory = false): string {
  const parent = inMemory && existsSync('/dev/shm') ? '/dev/shm' : tmpdir();
  const directory = mkdtempSync(join(parent, 'emmental-test-'));
  afterAll(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}
