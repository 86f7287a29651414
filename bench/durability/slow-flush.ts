/**
 * A disk that takes its time: `fdatasync`, as this thread calls it, sleeps besides. Code that was compiled before sees it too,
 * since the exports of built-in modules are live.
 */
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';

const { fdatasyncSync } = fs;
const never = new Int32Array(new SharedArrayBuffer(4));

/** From now on each flush of this thread takes `ms` longer than the disk needs; 0 ends that. */
export function lengthenFlushes(ms: number): void {
  const slow = (fd: number): void => {
    fdatasyncSync(fd);
    Atomics.wait(never, 0, 0, ms);
  };
  fs.fdatasyncSync = ms === 0 ? fdatasyncSync : slow;
  syncBuiltinESMExports();
}
