/** Jobs of size.test.ts, for real threads. */
import { setSize, sizeOf } from '../../dist/src/inode/inode.js';

/** Both words of a size are the same number, so that a torn one shows. */
const STEP = 2 ** 32 + 1;

export function* write(task, _arena, { slot, writes, last }) {
  for (let i = 0; i < writes; i++) setSize(task, slot, (i % last) * STEP);
  setSize(task, slot, last * STEP);
  return writes;
}

/** Reads until the last size is seen; how many reads saw a size that was never set. */
export function* read(task, arena, { slot, last }) {
  let torn = 0;
  let reads = 0;
  for (let size = -1; size !== last * STEP; reads++) {
    size = sizeOf(arena, slot);
    if (size % STEP !== 0) torn++;
    if (reads % 10_000 === 0) yield task.pause(0);
  }
  return { torn, reads };
}
