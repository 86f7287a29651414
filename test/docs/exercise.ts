/**
 * Everything that a store does, once: so that each of its ways of taking locks is gone at least once. On the calling
 * thread, in verify mode, with a cache and a device that are too small for it.
 */
import { createStore, openStore } from '#dist/src/index.js';
import { attachStore, type SyncFile, type SyncStore } from '#dist/src/worker.js';

const KIB = 1024;
const MIB = 1024 * KIB;
const PAGE_BYTES = 4 * KIB;
const CACHE_PAGES = 320;
/** More than the in-core inodes that go with such a cache. */
const FILES = 1100;

export async function exercise(image: string, scheme: string): Promise<void> {
  await createStore(image, { sizeBytes: 24 * MIB });
  const store = await openStore(image, { scheme, verify: true, threads: 2, cacheBytes: CACHE_PAGES * PAGE_BYTES });
  const sync = attachStore(store.handle);
  try {
    changeRanges(sync);
    changeNames(sync);
    runFull(sync);
  } finally {
    sync.close();
    await store.close();
  }
}

function changeRanges(sync: SyncStore): void {
  const file = sync.open('ranges', 'w+');
  const bytes = Buffer.alloc(2 * MIB, 7);
  file.write(bytes, 0, bytes.length, 0);
  for (let page = 0; page < 400; page += 2) file.write(bytes, 0, 100, 4 * MIB + page * PAGE_BYTES);
  file.sync();
  file.advise('dontneed');
  file.read(bytes, 0, MIB, 0);
  file.advise('willneed', MIB, MIB / 2);
  file.write(bytes, 0, 3 * PAGE_BYTES, 0);
  file.write(bytes, 0, 3 * PAGE_BYTES, 0);
  file.truncate(5 * MIB + 1);
  file.truncate(6 * MIB);
  file.punchHole(100, 30_000);
  file.punchHole(4 * MIB, 100 * PAGE_BYTES);
  file.zeroRange(3, 70_000);
  file.collapseRange(PAGE_BYTES, 2 * PAGE_BYTES);
  file.insertRange(2 * PAGE_BYTES, PAGE_BYTES);
  file.fallocate(0, 7 * MIB);
  file.pin(200_000).release();
  const page = file.pin(PAGE_BYTES, { write: true });
  page.bytes[0] = 1;
  page.release();
  file.extents();
  file.nextData(0);
  file.nextHole(0);
  file.datasync();
  file.close();
  sync.unlink('ranges');
}

function changeNames(sync: SyncStore): void {
  for (let i = 0; i < FILES; i++) {
    const file = sync.open(`name-${i}`, 'w');
    if (i > FILES - 100) file.write(Buffer.from('content'), 0, 7, 0);
    file.close();
  }
  for (let i = 0; i < FILES; i++) sync.stat(`name-${i}`);
  for (const { name } of sync.list({ prefix: 'name-9' })) sync.unlink(name);
  sync.rename('name-1', 'name-2');
  sync.sync();
}

function runFull(sync: SyncStore): void {
  const first = sync.open('first', 'w');
  const second = sync.open('second', 'w');
  fill(first);
  first.sync();
  first.punchHole(0, 4 * MIB);
  fill(second);
  second.punchHole(0, 2 * MIB);
  first.fallocate(0, MIB);
  first.close();
  second.close();
  sync.unlink('first');
  sync.unlink('second');
}

/** Writes until there is no space left. */
function fill(file: SyncFile): void {
  const bytes = Buffer.alloc(MIB, 1);
  try {
    for (let at = file.stat().size; ; at += bytes.length) file.write(bytes, 0, bytes.length, at);
  } catch (error) {
    if ((error as { code?: string }).code !== 'ENOSPC') throw error;
  }
}
