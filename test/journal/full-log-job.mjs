/** What one of the threads does that keep a small log full: changes of metadata of every kind, with a sync now and then. */
export default function work(store, { thread, rounds }) {
  const bytes = new Uint8Array(3 * 4096).fill(thread + 1);
  const main = store.open(`main-${thread}`, 'w+');
  for (let round = 0; round < rounds; round++) {
    const name = `file-${thread}-${round}`;
    const file = store.open(name, 'wx');
    file.write(bytes, 0, bytes.length, (round % 5) * 8192);
    if (round % 3 === 0) file.sync();
    if (round % 4 === 1) file.punchHole(4096, 8192);
    if (round % 4 === 2) file.truncate(5000);
    file.close();
    // Extents far apart, so that the tree of this file grows and shrinks.
    main.fallocate(((round * 37) % 400) * 8192, 4096);
    if (round % 6 === 5) main.punchHole(0, 400 * 4096);
    if (round % 2 === 0) store.rename(name, `kept-${thread}-${round % 8}`);
    else store.unlink(name);
    if (round % 10 === 9) store.sync();
  }
  main.close();
  return rounds;
}
