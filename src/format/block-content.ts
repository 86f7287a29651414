/**
 * What a metadata block may hold, beyond an intact header: the rules that whoever walks it relies on, so that a block
 * that was sealed with wrong content, by a bug or by intent, is an error and no endless walk.
 *
 * Asked once when a block is read from the device. Rules between blocks (who owns what) are left to those who follow
 * pointers, and to `check`. Of inode blocks only single records are judged, since one bad record must not take the other
 * files of its block along.
 */
import { BlockKind } from './block-header.js';
import { extentNodeLevel, MAX_EXTENT_LEVEL, validateEntries, validateExtentNode } from './extent-node.js';
import { ROOT_CAPACITY, rootCount, rootEntriesWord, rootLevel } from './inode-record.js';
import { NAME_LEVELS_MAX, nameNodeLevel, validateNameNode } from './name-node.js';

/** Why the block of `kind` holds what cannot be on a store of `blocks` blocks, or null. */
export function contentProblem(bytes: Uint8Array, kind: number, blocks: number): string | null {
  if (kind === BlockKind.ExtentNode) {
    const words = new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
    const level = extentNodeLevel(words, 0);
    if (level > MAX_EXTENT_LEVEL) return `level ${level}`;
    return validateExtentNode(words, 0, bytes.length, level, blocks);
  }
  if (kind === BlockKind.NameNode) {
    const level = nameNodeLevel(bytes, 0);
    if (level >= NAME_LEVELS_MAX) return `level ${level}`;
    // Whether a leaf's inode numbers are good is a matter of each name, not of the node.
    return validateNameNode(bytes, 0, bytes.length, level, level > 0 ? blocks : 2 ** 32);
  }
  return null;
}

/** Why the root of an extent tree, in the record at byte `at`, cannot be on a store of `blocks` blocks, or null. */
export function rootProblem(words: Uint32Array, view: DataView, at: number, blocks: number): string | null {
  const level = rootLevel(view, at);
  const count = rootCount(view, at);
  if (level > MAX_EXTENT_LEVEL) return `level ${level}`;
  if (count > ROOT_CAPACITY) return `${count} entries`;
  if (level > 0 && count === 0) return 'an inner root without children';
  return validateEntries(words, rootEntriesWord(at), count, level, blocks);
}
