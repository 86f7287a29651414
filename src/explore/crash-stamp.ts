/**
 * What the machines write into files: every 16 bytes say which file, which position and which write they come from, so that
 * a byte that is not the right one says where it belongs.
 *
 * Pure functions. A stamp depends on the position in the file where it was written, so it tells moved blocks as well.
 */
export const STAMP_BYTES = 16;
const MAGIC = 0x454d_5354;

/** Fills `bytes`, which are to be written at `positionBytes`. Any alignment. */
export function stamp(bytes: Uint8Array, file: number, positionBytes: number, generation: number): void {
  const first = Math.floor(positionBytes / STAMP_BYTES);
  const count = Math.ceil((positionBytes + bytes.length) / STAMP_BYTES) - first;
  const words = new Uint32Array(count * 4);
  for (let i = 0; i < count; i++) {
    words[i * 4] = MAGIC;
    words[i * 4 + 1] = file;
    words[i * 4 + 2] = first + i;
    words[i * 4 + 3] = generation;
  }
  const from = positionBytes - first * STAMP_BYTES;
  bytes.set(new Uint8Array(words.buffer, from, bytes.length));
}

/** What the bytes are, for messages: runs of stamps, zeros and whatever else. */
export function describeBytes(bytes: Uint8Array): string {
  const runs: string[] = [];
  let last = '';
  let from = 0;
  const words = new Uint32Array(bytes.slice(0, Math.floor(bytes.length / STAMP_BYTES) * STAMP_BYTES).buffer);
  for (let at = 0; at <= words.length; at += 4) {
    const kind = at === words.length ? '' : describeStamp(words, at);
    if (kind === last) continue;
    if (last !== '') runs.push(`${from}…${at * 4}: ${last}`);
    last = kind;
    from = at * 4;
  }
  return runs.length <= 6 ? runs.join('; ') : `${runs.slice(0, 6).join('; ')}; …`;
}

function describeStamp(words: Uint32Array, at: number): string {
  if (words[at] === MAGIC) {
    const position = words[at + 2] * STAMP_BYTES - at * 4;
    return `file ${words[at + 1]}, written at ${position}, generation ${words[at + 3]}`;
  }
  return words[at] === 0 && words[at + 1] === 0 && words[at + 2] === 0 && words[at + 3] === 0 ? 'zeros' : 'no stamp';
}
