/**
 * Which folder may import from which: the layers of the source. Held against the real imports by test/layout.test.ts, and
 * printed in docs/ARCHITECTURE.md.
 */

/**
 * Folder → folders that it may import from, besides itself. `root` is the files directly under src that are no entries. The
 * adapters use the engine through its entries, and are entries' content themselves: file by file there is no cycle.
 */
export const MAY_IMPORT: Record<string, string[]> = {
  root: [],
  sync: ['root', 'routine'],
  routine: ['root', 'sync', 'device'],
  format: ['root'],
  nbd: ['root'],
  device: ['root', 'sync', 'routine', 'format', 'nbd'],
  pagecache: ['root', 'sync', 'routine', 'device'],
  journal: ['root', 'sync', 'routine', 'format', 'device', 'pagecache'],
  allocator: ['root', 'sync', 'routine', 'format', 'device', 'pagecache', 'journal'],
  inode: ['root', 'sync', 'routine', 'format', 'device', 'pagecache', 'journal', 'allocator'],
  locking: ['root', 'sync', 'routine'],
  file: ['root', 'sync', 'routine', 'format', 'device', 'pagecache', 'journal', 'allocator', 'inode', 'locking'],
  store: [
    ...['root', 'sync', 'routine', 'format', 'device', 'pagecache', 'journal', 'allocator', 'inode', 'locking', 'file'],
    'nbd',
  ],
  explore: [
    ...['root', 'sync', 'routine', 'format', 'device', 'pagecache', 'journal', 'allocator', 'inode', 'locking', 'file'],
    'store',
  ],
  entry: ['root', 'locking', 'store', 'sync', 'explore', 'adapters'],
  adapters: ['entry', 'nbd'],
  cli: ['entry'],
  workers: ['store', 'bench', 'entry', 'device'],
  // Commands of the command line that ship beside it.
  bench: [
    'cli',
    'entry',
    'root',
    'sync',
    'routine',
    'device',
    'pagecache',
    'journal',
    'allocator',
    'inode',
    'locking',
    'file',
    'store',
    'format',
  ],
};
