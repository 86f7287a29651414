/**
 * What scenarios write: every word says which file, page and generation it belongs to, and where in the page it stands. So
 * whoever sees a word that is not his knows whose it is. Zero is a hole.
 *
 *   bits 31-28 file, from 1 │ 27-20 page │ 19-12 generation │ 11-2 word of the page │ 1-0 01
 */
export const WORDS_PER_PAGE = 1024;
export const PAGE_BYTES = WORDS_PER_PAGE * 4;
/** The initial content's generation; later writes count on. */
export const FIRST_GENERATION = 1;

/** The word at `word`, counted from the file's start. */
export function stampOf(file: number, word: number, generation: number): number {
  const page = Math.floor(word / WORDS_PER_PAGE);
  return ((file << 28) | (page << 20) | (generation << 12) | ((word % WORDS_PER_PAGE) << 2) | 1) >>> 0;
}

export function stampBytes(file: number, fromWord: number, toWord: number, generation: number): Uint8Array {
  const words = new Uint32Array(toWord - fromWord);
  for (let i = 0; i < words.length; i++) words[i] = stampOf(file, fromWord + i, generation);
  return new Uint8Array(words.buffer);
}

export interface Stamp {
  file: number;
  page: number;
  generation: number;
}

export function readStamp(value: number): Stamp | null {
  if ((value & 3) !== 1 || value >>> 28 === 0) return null;
  return { file: value >>> 28, page: (value >>> 20) & 255, generation: (value >>> 12) & 255 };
}

/** For messages. `names[0]` is file 1's. */
export function describeWord(value: number, names: readonly string[]): string {
  if (value === 0) return 'zero';
  const stamp = readStamp(value);
  if (stamp === null) return `0x${value.toString(16)}, which nobody wrote`;
  const name = names[stamp.file - 1] ?? `file ${stamp.file}`;
  return `${name} page ${stamp.page} generation ${stamp.generation}`;
}
