/**
 * What a check found. The list is bounded: a store that is damaged everywhere must not fill the memory with messages.
 */

export type CheckCode =
  /** The superblock, or its copy, is damaged or says what cannot be. */
  | 'SUPERBLOCK'
  | 'SUPERBLOCK_COPY'
  /** The journal's head, or a transaction in its log. */
  | 'JOURNAL'
  /** Not closed properly, and not recovered. */
  | 'UNCLEAN'
  /** An earlier error was recorded. */
  | 'ERROR_STATE'
  /** A block could not be read. */
  | 'IO'
  /** A metadata block, by its structure: header, checksum, place, or content. */
  | 'BITMAP_BLOCK'
  | 'INODE_BLOCK'
  | 'EXTENT_NODE'
  | 'NAME_NODE'
  | 'CHECKSUM_BLOCK'
  /** A file's content that does not match its checksum. */
  | 'DATA'
  /** Two owners of one block. */
  | 'BLOCK_SHARED'
  /** A bitmap that says other than the trees. */
  | 'BITMAP'
  | 'GROUPS_INITIALISED'
  /** Counters of the superblock. */
  | 'BLOCKS_FREE'
  | 'FILES'
  /** The inode table as a file, a record in it, and its lists. */
  | 'INODE_TABLE'
  | 'INODE'
  | 'INODE_ROOT'
  | 'INODE_BLOCKS'
  | 'INODE_SIZE'
  | 'INODE_LINKS'
  | 'INODE_FREE_LIST'
  | 'ORPHAN_LIST'
  /** A file without a name. */
  | 'INODE_NAMELESS'
  /** The name tree's shape, and single names. */
  | 'NAME_ORDER'
  | 'NAME_CHAIN'
  | 'NAME_BYTES'
  | 'NAME_DANGLING'
  | 'NAME_DUPLICATE'
  /** A repair that could not be done. */
  | 'REPAIR';

export interface CheckError {
  code: CheckCode;
  message: string;
  block?: number;
  ino?: number;
  name?: string;
}

export interface CheckWhere {
  block?: number;
  ino?: number;
  name?: string;
}

const LISTED_MAX = 1000;

export class Findings {
  readonly errors: CheckError[] = [];
  omitted = 0;

  add(code: CheckCode, message: string, where: CheckWhere = {}): void {
    if (this.errors.length < LISTED_MAX) this.errors.push({ code, message, ...where });
    else this.omitted += 1;
  }

  get count(): number {
    return this.errors.length + this.omitted;
  }
}
