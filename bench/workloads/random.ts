/**
 * The load's own pseudo-random numbers: xoshiro128** by Blackman and Vigna, seeded through splitmix32. Seeded, so that the
 * schemes that are compared get the same offsets; a generator per thread, so that nothing is shared.
 */
export class Random {
  private readonly state = new Uint32Array(4);

  /** Threads of one seed differ by `stream`. */
  constructor(seed: number, stream = 0) {
    let x = (seed ^ Math.imul(stream + 1, 0x9e3779b9)) >>> 0;
    for (let i = 0; i < 4; i++) {
      x = (x + 0x9e3779b9) >>> 0;
      let z = x;
      z = Math.imul(z ^ (z >>> 16), 0x85ebca6b);
      z = Math.imul(z ^ (z >>> 13), 0xc2b2ae35);
      this.state[i] = z ^ (z >>> 16);
    }
  }

  /** Uniform in [0, 2^32). */
  next(): number {
    const s = this.state;
    const a = Math.imul(s[1], 5);
    const result = Math.imul((a << 7) | (a >>> 25), 9) >>> 0;
    const t = s[1] << 9;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = (s[3] << 11) | (s[3] >>> 21);
    return result;
  }

  /** Uniform in [0, 1). */
  fraction(): number {
    return this.next() / 2 ** 32;
  }

  /** Uniform whole number in [0, bound). */
  below(bound: number): number {
    if (bound <= 2 ** 32) return Math.floor((this.next() / 2 ** 32) * bound);
    return (this.next() * 2 ** 21 + (this.next() >>> 11)) % bound;
  }
}
