/** A small control arena without a store around it, for tests of what lives in it. */
import { POINTS } from '#dist/src/routine/points.js';
import { Arena } from '#dist/src/sync/arena.js';
import { type ArenaShape, Header, HeaderFlag, layoutOf, StoreState } from '#dist/src/sync/layout.js';

export interface ArenaOptions extends Partial<ArenaShape> {
  verify?: boolean;
  policy?: number;
  blockBytes?: number;
  state?: StoreState;
  path?: string;
}

export function makeArena(options: ArenaOptions = {}): Arena {
  const { verify = true, policy = 0, blockBytes = 4096, state = StoreState.Open, path, ...shape } = options;
  const layout = layoutOf(
    { frames: 16, inodes: 8, groups: 4, threads: 20, exclusions: 16, pins: 8, requests: 2, openFiles: 4, ...shape },
    POINTS.length,
  );
  const buffer = Arena.allocate(layout);
  const words = new Int32Array(buffer);
  words[Header.BlockBytes] = blockBytes;
  words[Header.Frames] = layout.frames;
  words[Header.Threads] = layout.threads;
  words[Header.RwsemPolicy] = policy;
  words[Header.Flags] = verify ? HeaderFlag.Verify : 0;
  words[Header.State] = state;
  return new Arena(buffer, layout, path);
}
