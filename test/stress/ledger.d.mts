export const SECTOR_BYTES: number;

export interface LedgerShape {
  files: number;
  pages: number;
  pageBytes: number;
}

export function wordOf(file: number, page: number, generation: number, wordInPage: number): number;

export class Ledger {
  static allocate(shape: LedgerShape): SharedArrayBuffer;
  constructor(buffer: SharedArrayBuffer, shape: LedgerShape);
  readonly sectorsPerFile: number;
  readonly sectorsPerPage: number;
  claim(file: number, first: number, end: number): void;
  tryClaim(file: number, first: number, end: number): boolean;
  release(file: number, first: number, end: number): void;
  begin(file: number, first: number, end: number, words?: Int32Array | null): void;
  finish(file: number, first: number, done: number, end: number): void;
  note(file: number, position: number, length: number): Int32Array;
  check(file: number, position: number, length: number, bytes: Uint8Array, notes: Int32Array, what: string): void;
}
