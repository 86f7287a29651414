/**
 * Which bytes are flipped: so many of each block by chance, or with EMMENTAL_DAMAGE_FLIPS=all every one. All of them take
 * long; EMMENTAL_DAMAGE_PART=2/8 takes the second eighth, spread over all blocks. A byte gets the same bit in every part.
 */
import { seededRandom } from '../support/random.js';

/** 'all', or how many bytes of each block. */
export const FLIPS = process.env['EMMENTAL_DAMAGE_FLIPS'] ?? '10';
export const SEED = Number(process.env['EMMENTAL_DAMAGE_SEED'] ?? Math.floor(Math.random() * 2 ** 30));
export const PART = process.env['EMMENTAL_DAMAGE_PART'] ?? '1/1';

export interface Flip {
  block: number;
  at: number;
  /** The bits that change. */
  mask: number;
}

/** The flips of those blocks, the first `usedBytes(block)` bytes of each. */
export function flipsOf(blocks: Iterable<number>, usedBytes: (block: number) => number): Flip[] {
  const random = seededRandom(SEED);
  const [part, parts] = PART.split('/').map(Number);
  if (!(part >= 1 && part <= parts)) throw new Error(`EMMENTAL_DAMAGE_PART=${PART} is no part such as 2/8`);
  const flips: Flip[] = [];
  let number = 0;
  for (const block of blocks) {
    const used = usedBytes(block);
    const count = FLIPS === 'all' ? used : Math.min(used, Number(FLIPS));
    for (let i = 0; i < count; i++) {
      const at = FLIPS === 'all' ? i : Math.floor(random() * used);
      const mask = 1 << Math.floor(random() * 8);
      if (number++ % parts === part - 1) flips.push({ block, at, mask });
    }
  }
  return flips;
}
