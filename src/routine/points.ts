/**
 * The named schedule points: places in slow paths where the kernel's races live. A thread that reaches one yields it to
 * its driver; the exploring driver may switch there, and a test may hold real threads there (`sync/gates.ts`).
 *
 * The order is that of the words in the arena, so a new point goes to the end.
 */
export const POINTS = [
  'fill:locked', // a filler holds its lock and the locked page, before the extent lookup
  'fill:mapped', // the device blocks are known, the read not yet issued
  'fill:read', // the read is done, the page not yet up to date
  'punch:dropped', // pages are out of the cache, the extents still there
  'punch:removed', // extents are gone and committed to the transaction, locks still held
  'truncate:sized', // the new size is visible, pages still cached
  'truncate:dropped', // pages are gone, extents still there
  'write:locked', // a writer holds i_rwsem, before its first page
  'write:page', // a page is locked and about to receive bytes
  'writeback:locked', // pages are under writeback, not yet mapped
  'writeback:mapped', // device blocks are known, the write not yet issued
  'writeback:written', // data are on the device, metadata not yet
  'readahead:planned', // a window is chosen, nothing inserted yet
  'reclaim:frozen', // a victim is frozen, not yet out of the hash table
  'shift:flushed', // collapse or insert wrote back and dropped the range, extents not yet shifted
  'journal:stopped', // a commit holds new handles back
  'journal:snapshot', // the transaction is copied, handles go on, nothing written yet
  'journal:written', // the transaction is in the log, not yet flushed
  'lock:wanted', // a thread is about to take a lock, free or not, or to fill; only where the driver asks for it (Driver.yieldsAtLocks)
  'read:filled', // a reader or fault has given its fill lock back and has not looked the page up again; as above
  'read:page', // a reader comes to the next page of its range, and has not looked for it; as above
  'checkpoint:scanned', // it is known what the log holds, nothing is written in place yet
  'checkpoint:written', // blocks are in place, not flushed, and still in the log
] as const;

export type PointName = (typeof POINTS)[number];

export function pointNumber(name: PointName): number {
  return POINTS.indexOf(name);
}
