/** 64-bit little-endian unsigned fields whose values stay below 2^53, so that they are JavaScript numbers. */

const WORD = 0x1_0000_0000;

export function getUint53(view: DataView, at: number): number {
  return view.getUint32(at + 4, true) * WORD + view.getUint32(at, true);
}

export function setUint53(view: DataView, at: number, value: number): void {
  view.setUint32(at, value % WORD, true);
  view.setUint32(at + 4, Math.floor(value / WORD), true);
}
