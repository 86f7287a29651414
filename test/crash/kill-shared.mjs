/** What the kill test's parent and its threads must agree on. */

export const prefixOf = (index) => `t${index}-`;
export const seedOf = (seed, round, index) => seed + round * 104_729 + index * 7919;
export const firstFileOf = (round, index) => (round * 64 + index + 1) * 1000;

/** Operations that no user can ask for, or that do nothing where every file is closed again. */
const BACKGROUND = ['writeback', 'commit', 'writeUnlinked', 'closeAll'];
export const isBackground = ({ kind }) => BACKGROUND.includes(kind);

/** All files with the prefix, read to their ends. */
export function seenFiles(store, contents, prefix) {
  const files = new Map();
  for (const { name, size } of store.list({ prefix })) {
    const file = store.open(name);
    const bytes = new Uint8Array(size);
    file.read(bytes, 0, size, 0);
    file.close();
    const blocks = [];
    for (let at = 0; at < size; at += contents.blockBytes) {
      blocks.push(contents.number(bytes.subarray(at, Math.min(at + contents.blockBytes, size))));
    }
    files.set(name, { size, blocks });
  }
  return files;
}
