/** What the store tells about files and itself: plain objects, as users see them. */
export type { FileSegment, SegmentKind } from '../file/seek.js';

import { birthtimeOf, blocksOf, ctimeOf, inoOf, mtimeOf, sizeOf } from '../inode/inode.js';
import type { Slot } from '../units.js';
import type { Session } from './session.js';

export interface FileStat {
  ino: number;
  size: number;
  /** Bytes of allocated blocks, unwritten extents included. */
  allocatedBytes: number;
  mtimeMs: number;
  ctimeMs: number;
  birthtimeMs: number;
}

export interface ListEntry {
  name: string;
  ino: number;
  size: number;
  allocatedBytes: number;
  mtimeMs: number;
}

export interface ListOptions {
  /** Only names that start with this. */
  prefix?: string;
  /** Only names that come after this one, in byte order. */
  after?: string;
  limit?: number;
}

export interface StoreStatFs {
  blockBytes: number;
  /** Blocks of the device. */
  blocks: number;
  /** Blocks that new data can have; those freed but not yet reusable are not among them. */
  blocksFree: number;
  /** Blocks promised to delayed allocation. */
  blocksReserved: number;
  files: number;
  /** Whether the store keeps a checksum of each data block. */
  dataChecksums: boolean;
}

export interface FileExtent {
  /** Bytes from the file's start. */
  position: number;
  /** Bytes from the device's start. */
  devicePosition: number;
  length: number;
  /** Allocated, but reads as zeros. */
  unwritten: boolean;
}

/** A referenced inode's figures, from its in-core words. */
export function statOf(session: Session, slot: Slot): FileStat {
  const { arena, blockBytes } = session;
  return {
    ino: inoOf(arena, slot),
    size: sizeOf(arena, slot),
    allocatedBytes: blocksOf(arena, slot) * blockBytes,
    mtimeMs: mtimeOf(arena, slot),
    ctimeMs: ctimeOf(arena, slot),
    birthtimeMs: birthtimeOf(arena, slot),
  };
}
