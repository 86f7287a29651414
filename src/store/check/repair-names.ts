/**
 * Repairs the name tree: names that lead to a sound inode, the first where two do, are written to a new tree in one pass,
 * and with them a name under `lost+found/` for every inode without one.
 */
import { compareNames } from '../../inode/name-bytes.js';
import { Findings } from './findings.js';
import { InodeScan } from './inode-scan.js';
import { NameWalk } from './name-walk.js';
import { Ownership } from './ownership.js';
import type { StoreImage } from './store-image.js';
import { NameTreeWriter, type TakeBlock } from './tree-writer.js';

const LOST_PREFIX = 'lost+found/ino-';

interface LostName {
  name: Uint8Array;
  ino: number;
}

export function repairNames(image: StoreImage, nameless: readonly number[], take: TakeBlock, repaired: string[]): void {
  const muted = new Findings();
  const ownership = new Ownership(image.superblock);
  const scan = new InodeScan(image, muted);
  scan.scan(ownership);
  const taken = new Set<string>();
  const first = new NameWalk(image, scan, ownership, muted, (name) => {
    const text = Buffer.from(name).toString('utf8');
    if (text.startsWith(LOST_PREFIX)) taken.add(text);
  });
  first.walk();
  if (!first.isDamaged && nameless.length === 0) return;

  const lost = lostNames(nameless, taken);
  const writer = new NameTreeWriter(image, take);
  let next = 0;
  const visit = (name: Uint8Array, ino: number): void => {
    for (; next < lost.length && compareNames(lost[next].name, name) < 0; next++) {
      writer.add(lost[next].name, lost[next].ino);
    }
    writer.add(name, ino);
  };
  // Blocks are claimed in the same order again, so that the same nodes are left out.
  const again = new Ownership(image.superblock);
  const sameScan = new InodeScan(image, muted);
  sameScan.scan(again);
  new NameWalk(image, sameScan, again, muted, visit).walk();
  for (; next < lost.length; next++) writer.add(lost[next].name, lost[next].ino);
  image.superblock.nameRoot = writer.finish();
  repaired.push(`wrote a new name tree with ${writer.names} names`);
  for (const { name, ino } of lost) {
    repaired.push(`gave inode ${ino} the name '${Buffer.from(name).toString('utf8')}'`);
  }
}

/** A name that is not taken for each inode, in byte order. */
function lostNames(nameless: readonly number[], taken: ReadonlySet<string>): LostName[] {
  const lost = nameless.map((ino) => {
    let name = `${LOST_PREFIX}${ino}`;
    while (taken.has(name)) name += '~';
    return { name: new TextEncoder().encode(name), ino };
  });
  return lost.sort((a, b) => compareNames(a.name, b.name));
}
