/**
 * One thread of the stress test: plays its part on the shared files until it is told to stop, holding everything that it
 * reads against the ledger. Plain JavaScript on the built code, since a TypeScript file cannot be a worker everywhere.
 *
 * workerData: { handle, ledger, shape, control, part, index, seed }. Control words: 0 is what all do (0 get ready, 1 play,
 * 2 stop); 1 is how many are ready; then for each thread its number of finished steps. Posts { steps } at the end, with
 * the error that ended it, if one did.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { attachStore } from '../../dist/src/worker.js';
import { describeWord, Ledger, SECTOR_BYTES, wordOf } from './ledger.mjs';

const { handle, shape, part, index, seed } = workerData;
const control = new Int32Array(workerData.control);
const ledger = new Ledger(workerData.ledger, shape);
const { files, pages, pageBytes } = shape;
const fileBytes = pages * pageBytes;
const perPage = pageBytes / SECTOR_BYTES;

let state = (seed + index * 7919) | 0;
function random() {
  state = (state + 0x6d2b79f5) | 0;
  let t = Math.imul(state ^ (state >>> 15), 1 | state);
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
  return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
}
const below = (limit) => Math.floor(random() * limit);
const anyFile = () => 1 + below(files);

const store = attachStore(handle);
const opened = [null];
for (let file = 1; file <= files; file++) opened.push(store.open(`stress-${file}`, 'r+'));
const buffer = new Uint8Array(64 * pageBytes);

function tolerate(error, ...codes) {
  if (!codes.includes(error.code)) throw error;
}

function readAndCheck(file, position, wanted) {
  const length = Math.min(wanted, fileBytes - position);
  const notes = ledger.note(file, position, length);
  const { bytesRead } = opened[file].read(buffer, 0, length, position);
  ledger.check(file, position, length, buffer.subarray(0, bytesRead), notes, `read of ${length} at ${position}`);
  return bytesRead;
}

/**
 * Reads at random places: mostly small, now and then many pages. Multiples of 8, since only aligned copies move whole words:
 * others may show a word that is half of one version and half of the next.
 */
function readSome() {
  const length = random() < 0.1 ? (1 + below(60)) * pageBytes : 8 * (1 + below((3 * pageBytes) / 8));
  readAndCheck(anyFile(), 8 * below(fileBytes / 8), length);
}

const sequence = { file: 1, position: 0 };

/** Reads a file from its beginning to its end, so that readahead runs before it. */
function readOn() {
  const { file, position } = sequence;
  const length = pageBytes * [1, 1, 2, 4, 16][below(5)];
  const n = readAndCheck(file, position, length);
  sequence.position += n;
  if (n === length && random() > 0.003) return;
  sequence.position = 0;
  sequence.file = anyFile();
  opened[sequence.file].advise(['normal', 'sequential', 'normal', 'random'][below(4)]);
}

/** Writes whole sectors, from one to many pages. */
function write() {
  const file = anyFile();
  const kind = random();
  let first = below(ledger.sectorsPerFile);
  let count = 1 + below(perPage);
  if (kind < 0.5) {
    first -= first % perPage;
    count = perPage * (1 + below(kind < 0.05 ? 40 : 4));
  } else if (kind < 0.6) {
    count = 1 + below(6 * perPage);
  }
  const end = Math.min(first + count, ledger.sectorsPerFile);
  const [firstPage, endPage] = [Math.floor(first / perPage), Math.ceil(end / perPage)];
  if (!ledger.tryClaim(file, firstPage, endPage)) return;
  const words = new Int32Array(((end - first) * SECTOR_BYTES) / 4);
  ledger.begin(file, first, end, words);
  let done = first;
  try {
    const bytes = new Uint8Array(words.buffer);
    const { bytesWritten } = opened[file].write(bytes, 0, bytes.length, first * SECTOR_BYTES);
    if (bytesWritten === 0 || bytesWritten % SECTOR_BYTES !== 0) throw new Error(`${bytesWritten} bytes written`);
    done = first + bytesWritten / SECTOR_BYTES;
  } catch (error) {
    tolerate(error, 'ENOSPC');
    makeRoom();
  } finally {
    ledger.finish(file, first, done, end);
    ledger.release(file, firstPage, endPage);
  }
}

/** Nothing is reusable before a commit. */
function makeRoom() {
  if (random() < 0.2) store.sync();
}

function zeroing(file, first, end, change) {
  const [firstPage, endPage] = [Math.floor(first / perPage), Math.ceil(end / perPage)];
  ledger.claim(file, firstPage, endPage);
  ledger.begin(file, first, end);
  let done = first;
  try {
    change(first * SECTOR_BYTES, (end - first) * SECTOR_BYTES);
    done = end;
  } catch (error) {
    tolerate(error, 'ENOSPC');
  } finally {
    ledger.finish(file, first, done, end);
    ledger.release(file, firstPage, endPage);
  }
}

/** Punches, zeroes, truncates and preallocates. */
function invalidate() {
  const file = anyFile();
  const target = opened[file];
  const kind = random();
  let first = below(ledger.sectorsPerFile);
  if (random() < 0.5) first -= first % perPage;
  const end = Math.min(ledger.sectorsPerFile, first + 1 + below(perPage * (random() < 0.2 ? 80 : 8)));
  if (kind < 0.65) zeroing(file, first, end, (position, length) => target.punchHole(position, length));
  else if (kind < 0.8) zeroing(file, first, end, (position, length) => target.zeroRange(position, length));
  else if (kind < 0.93) zeroing(file, first, ledger.sectorsPerFile, (position) => target.truncate(position));
  else {
    try {
      target.fallocate(first * SECTOR_BYTES, (end - first) * SECTOR_BYTES, { keepSize: random() < 0.5 });
    } catch (error) {
      tolerate(error, 'ENOSPC');
    }
  }
}

/** Pins held over many steps; what they show must stay the file's. */
const held = [];

function pin() {
  if (held.length > 0 && (held.length === 6 || random() < 0.5)) {
    const one = held[below(held.length)];
    // A copy: what is looked at must not change any more.
    const bytes = one.page.bytes.slice();
    ledger.check(one.file, one.page.position, pageBytes, bytes, one.notes, `page pinned at ${one.page.position}`);
    if (random() < 0.5) return;
    one.page.release();
    held.splice(held.indexOf(one), 1);
    return;
  }
  const file = anyFile();
  const position = below(fileBytes);
  const start = position - (position % pageBytes);
  const notes = ledger.note(file, start, pageBytes);
  try {
    held.push({ file, notes, page: opened[file].pin(position) });
  } catch (error) {
    tolerate(error, 'ENXIO');
  }
}

function pinToWrite() {
  const file = anyFile();
  const page = below(pages);
  if (!ledger.tryClaim(file, page, page + 1)) return;
  const first = page * perPage + below(perPage);
  const end = first + 1 + below((page + 1) * perPage - first);
  const words = new Int32Array(((end - first) * SECTOR_BYTES) / 4);
  let done = first;
  const notes = ledger.note(file, page * pageBytes, pageBytes);
  ledger.begin(file, first, end, words);
  try {
    const pinned = opened[file].pin(first * SECTOR_BYTES, { write: true });
    ledger.check(file, page * pageBytes, pageBytes, pinned.bytes, notes, `page ${page} pinned to be written`);
    const inFile = Math.min(end, Math.ceil(opened[file].stat().size / SECTOR_BYTES));
    pinned.bytes.set(
      new Uint8Array(words.buffer, 0, Math.max(0, inFile - first) * SECTOR_BYTES),
      (first % perPage) * SECTOR_BYTES,
    );
    pinned.release();
    done = Math.max(first, inFile);
  } catch (error) {
    tolerate(error, 'ENXIO', 'ENOSPC');
  } finally {
    ledger.finish(file, first, done, end);
    ledger.release(file, page, page + 1);
  }
}

/** Asks for pages ahead, gives them up, writes back, looks around. */
function advise() {
  const file = anyFile();
  const target = opened[file];
  const kind = random();
  const [position, length] = [below(fileBytes), 1 + below(fileBytes / 3)];
  if (kind < 0.6) target.advise('willneed', position, length);
  else if (kind < 0.75) target.advise('dontneed', position, length);
  else if (kind < 0.8) target.sync();
  else if (kind < 0.85) target.datasync();
  else if (kind < 0.9) store.sync();
  else {
    try {
      target.nextHole(position);
      target.nextData(position);
    } catch (error) {
      tolerate(error, 'ENXIO');
    }
    target.stat();
  }
}

/** Files that come and go: their blocks were somebody else's a moment ago, and will be. */
function churn() {
  const name = `churn-${index}-${below(3)}`;
  const tag = 15;
  const count = 1 + below(60);
  const file = store.open(name, 'w+');
  try {
    const words = new Int32Array((count * pageBytes) / 4);
    const generation = 1 + below(1 << 17);
    const perPageWords = pageBytes / 4;
    for (let i = 0; i < words.length; i++) {
      words[i] = wordOf(tag, (index * 64 + Math.floor(i / perPageWords)) & 1023, generation, i % perPageWords);
    }
    const bytes = new Uint8Array(words.buffer);
    let written = 0;
    try {
      written = file.write(bytes, 0, bytes.length, 0).bytesWritten;
    } catch (error) {
      tolerate(error, 'ENOSPC');
      makeRoom();
    }
    if (random() < 0.3) file.sync();
    if (random() < 0.3) file.advise('dontneed');
    const unlinkFirst = random() < 0.5;
    if (unlinkFirst) store.unlink(name);
    const found = new Uint8Array(written + 4);
    const { bytesRead } = file.read(found, 0, found.length, 0);
    if (bytesRead !== written) throw new Error(`${bytesRead} bytes read of ${written} written to ${name}`);
    if (Buffer.compare(found.subarray(0, written), bytes.subarray(0, written)) !== 0) {
      const at = found.findIndex((byte, i) => byte !== bytes[i]);
      const word = new Uint32Array(found.buffer)[at >>> 2];
      throw new Error(
        `${name} differs from what was written at ${at}: 0x${word.toString(16)}, generation ${generation}`,
      );
    }
    if (!unlinkFirst && random() < 0.7) store.unlink(name);
  } finally {
    file.close();
  }
}

/** Collapses and inserts move pages about: of this file's words only the file, and the place within a page, are known. */
const SHIFTED_TAG = 14;
const SHIFTED_PAGES = 200;
const shiftedFile = store.open('shifted', 'r+');
const shiftedPage = Int32Array.from({ length: pageBytes / 4 }, (_, i) => wordOf(SHIFTED_TAG, 1023, 1, i));

function checkShifted(bytes, position, what) {
  const words = new Int32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength >>> 2);
  for (let i = 0; i < words.length; i++) {
    const inPage = (position / 4 + i) % (pageBytes / 4);
    if (words[i] === 0 || words[i] === shiftedPage[inPage]) continue;
    throw new Error(
      `${what} of the shifted file: word ${inPage} of page ${Math.floor((position + 4 * i) / pageBytes)} is ${describeWord(words[i], inPage)}`,
    );
  }
}

function shift() {
  const kind = random();
  const page = below(SHIFTED_PAGES);
  const count = 1 + below(12);
  try {
    if (kind < 0.35) {
      const { bytesRead } = shiftedFile.read(buffer, 0, count * pageBytes, page * pageBytes);
      checkShifted(buffer.subarray(0, bytesRead), page * pageBytes, 'a read');
    } else if (kind < 0.45) {
      const pinned = shiftedFile.pin(page * pageBytes, { write: random() < 0.3 });
      checkShifted(pinned.bytes.slice(), pinned.position, 'a pin');
      pinned.release();
    } else if (kind < 0.75) {
      const bytes = new Uint8Array(count * pageBytes);
      for (let i = 0; i < count; i++) bytes.set(new Uint8Array(shiftedPage.buffer), i * pageBytes);
      shiftedFile.write(bytes, 0, bytes.length, page * pageBytes);
    } else if (kind < 0.83) {
      shiftedFile.collapseRange(page * pageBytes, count * pageBytes);
    } else if (kind < 0.9) {
      if (shiftedFile.stat().size < 2 * SHIFTED_PAGES * pageBytes) {
        shiftedFile.insertRange(page * pageBytes, count * pageBytes);
      }
    } else if (kind < 0.94) {
      shiftedFile.punchHole(page * pageBytes + 8 * below(pageBytes / 8), 8 * (1 + below(pageBytes)));
    } else if (kind < 0.96) {
      shiftedFile.truncate(page * pageBytes);
    } else {
      shiftedFile.advise('willneed', page * pageBytes, 40 * pageBytes);
    }
  } catch (error) {
    // What is past the end by now, or reaches it, is refused.
    tolerate(error, 'ENOSPC', 'ENXIO', 'EINVAL');
  }
}

/** Creates, renames, unlinks and lists under a few names that all threads use. A file's content is its first name. */
function rename() {
  const name = () => `names/${below(12)}`;
  const kind = random();
  const one = name();
  try {
    if (kind < 0.35) {
      const file = store.open(one, random() < 0.5 ? 'wx' : 'w');
      file.writeFile(`${one} ${'x'.repeat(below(3 * pageBytes))}`);
      file.close();
    } else if (kind < 0.6) {
      store.rename(one, name());
    } else if (kind < 0.8) {
      store.unlink(one);
    } else if (kind < 0.9) {
      const file = store.open(one);
      const text = file.readFile('latin1');
      file.close();
      // Others empty and write it meanwhile, so it may end anywhere, and in zeros; but it is never anything else.
      if (!/^(n(a(m(e(s(\/(\d+( x*)?)?)?)?)?)?)?)?\0*x*$/.test(text)) {
        throw new Error(`${one} holds ${JSON.stringify(text.slice(0, 40))}`);
      }
    } else {
      const names = [...store.list({ prefix: 'names/' })].map((entry) => entry.name);
      if (names.some((each, i) => i > 0 && names[i - 1] >= each)) throw new Error(`listed in no order: ${names}`);
    }
  } catch (error) {
    tolerate(error, 'ENOENT', 'EEXIST', 'ENOSPC');
  }
}

const PARTS = {
  read: readSome,
  sequence: readOn,
  write,
  invalidate,
  pin: () => (random() < 0.6 ? pin() : pinToWrite()),
  advise,
  churn,
  shift,
  rename,
};

const step = PARTS[part];
let steps = 0;
let slowestMs = 0;
Atomics.add(control, 1, 1);
Atomics.wait(control, 0, 0);
try {
  while (Atomics.load(control, 0) === 1) {
    const start = performance.now();
    step();
    slowestMs = Math.max(slowestMs, performance.now() - start);
    steps += 1;
    Atomics.store(control, 2 + index, steps);
  }
  for (const { page } of held) page.release();
  store.close();
  parentPort.postMessage({ steps, slowestMs });
} catch (error) {
  Atomics.store(control, 0, 2);
  parentPort.postMessage({ steps, slowestMs, error: { message: error.message, code: error.code, stack: error.stack } });
}
