/**
 * Which block of its range a job's next operation touches: in order, uniformly at random, or by Zipf's law.
 *
 * The Zipf generator is fio's: Gray et al., "Quickly Generating Billion-Record Synthetic Databases" (SIGMOD 1994), with the
 * ranks scattered over the range by a hash, so that popular blocks are not neighbours.
 */
import type { Distribution } from './option-table.js';
import type { Random } from './random.js';

/** Terms of the zeta sum that are added up one by one; fio stops at the same number. */
const ZETA_TERMS_MAX = 10_000_000;

export interface Offsets {
  /** A block number in [0, blocks). */
  next(): number;
}

export function makeOffsets(isRandom: boolean, distribution: Distribution, blocks: number, random: Random): Offsets {
  if (!isRandom) return new SequentialOffsets(blocks);
  return distribution.kind === 'zipf'
    ? new ZipfOffsets(blocks, distribution.theta, random)
    : new UniformOffsets(blocks, random);
}

class SequentialOffsets implements Offsets {
  private block = 0;

  constructor(private readonly blocks: number) {}

  next(): number {
    const block = this.block;
    this.block = block + 1 === this.blocks ? 0 : block + 1;
    return block;
  }
}

class UniformOffsets implements Offsets {
  constructor(
    private readonly blocks: number,
    private readonly random: Random,
  ) {}

  next(): number {
    return this.random.below(this.blocks);
  }
}

export class ZipfOffsets implements Offsets {
  private readonly zetaN: number;
  private readonly alpha: number;
  private readonly eta: number;
  private readonly second: number;

  constructor(
    private readonly blocks: number,
    theta: number,
    private readonly random: Random,
  ) {
    this.zetaN = zeta(Math.min(blocks, ZETA_TERMS_MAX), theta);
    this.alpha = 1 / (1 - theta);
    this.eta = (1 - (2 / blocks) ** (1 - theta)) / (1 - zeta(2, theta) / this.zetaN);
    this.second = 1 + 0.5 ** theta;
  }

  /** 0 is the most popular; the probability of rank r is about (r + 1)^-theta / zeta. */
  rank(): number {
    const uniform = this.random.fraction();
    const scaled = uniform * this.zetaN;
    if (scaled < 1 || this.blocks === 1) return 0;
    if (scaled < this.second || this.blocks === 2) return 1;
    const rank = Math.floor(this.blocks * (this.eta * uniform - this.eta + 1) ** this.alpha);
    return Math.min(rank, this.blocks - 1);
  }

  next(): number {
    return scatter(this.rank(), this.blocks);
  }
}

function zeta(terms: number, theta: number): number {
  let sum = 0;
  for (let i = terms; i >= 1; i--) sum += i ** -theta;
  return sum;
}

/** A fixed hash of `rank` in [0, blocks). Two ranks may meet, as in fio. */
function scatter(rank: number, blocks: number): number {
  let h = Math.imul((rank % 2 ** 32) ^ Math.floor(rank / 2 ** 32), 0x9e3779b1);
  h = Math.imul(h ^ (h >>> 15), 0x85ebca77);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae3d);
  h = (h ^ (h >>> 16)) >>> 0;
  return blocks <= 2 ** 32 ? Math.floor((h / 2 ** 32) * blocks) : (h * 2 ** 20 + (rank % 2 ** 20)) % blocks;
}
