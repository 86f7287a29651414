/** Traces of page numbers, and the LRU cache that they are measured against. */

/** The hits of a cache of `size` pages that always gives up the page used longest ago. */
export class LruModel {
  private readonly pages = new Map<number, true>();

  constructor(private readonly size: number) {}

  use(page: number): boolean {
    const hit = this.pages.delete(page);
    this.pages.set(page, true);
    if (this.pages.size > this.size) this.pages.delete(this.pages.keys().next().value!);
    return hit;
  }
}

/** A repeatable source of numbers in [0, 1) (mulberry32). */
export function randomFrom(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b_79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 0x1_0000_0000;
  };
}

/** Pages of a population, the k-th most frequent with weight 1 / k^exponent, in a shuffled order of numbers. */
export function zipf(length: number, population: number, exponent: number, seed: number): Uint32Array {
  const random = randomFrom(seed);
  const cumulative = new Float64Array(population);
  let sum = 0;
  for (let k = 0; k < population; k++) {
    sum += 1 / (k + 1) ** exponent;
    cumulative[k] = sum;
  }
  const names = Uint32Array.from({ length: population }, (_, i) => i);
  for (let i = population - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1));
    [names[i], names[j]] = [names[j], names[i]];
  }
  return Uint32Array.from({ length }, () => {
    const target = random() * sum;
    let low = 0;
    let high = population - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (cumulative[middle] < target) low = middle + 1;
      else high = middle;
    }
    return names[low];
  });
}

export function loop(length: number, population: number): Uint32Array {
  return Uint32Array.from({ length }, (_, i) => i % population);
}

/** Uniform reads of a hot set, and every `every` reads a scan of `scan` pages that are never read again. */
export function hotSetWithScans(length: number, hot: number, scan: number, every: number, seed: number): Uint32Array {
  const random = randomFrom(seed);
  let cold = hot;
  let scanning = 0;
  return Uint32Array.from({ length }, (_, i) => {
    if (i > 0 && i % every === 0) scanning = scan;
    if (scanning === 0 || i % 2 === 0) return Math.floor(random() * hot);
    scanning--;
    return cold++;
  });
}
