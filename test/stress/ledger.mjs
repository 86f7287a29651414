/**
 * What every sector of every file may hold: the judge of the stress test, shared by all its threads.
 *
 * Each aligned 32-bit word of a sector says by itself where it belongs, so that a mixture of two versions of the same
 * sector (which a read without a lock may see: page writes are not atomic against it) is told from anything else:
 *
 *   file, 1…15 (4 bits) │ page (10 bits) │ generation (18 bits, xor a salt of the word's place in the page)
 *
 * A sector's life is a sequence of numbered events: written (its words carry the event's number as generation) or zeroed
 * (punched, zeroed, cut off). Whoever changes a page claims it first, so the events of a sector follow each other. Numbers
 * are published as `started` before the engine is called, and as `completed` after it has returned.
 *
 * The law. A reader notes `completed` before it reads, and looks at `started` after. Each word that it found must be of that
 * file and page, and of a generation that a write within that window had; or zero, if some event of the window was
 * zeroing. A sector that the read did not reach (the end of the file) is as good as zero. So stale, foreign, lost and
 * misplaced content is found, whatever mixture it comes in.
 */

export const SECTOR_BYTES = 512;
const SECTOR_WORDS = SECTOR_BYTES / 4;
/** Kinds of so many last events are kept for each sector. */
const RING = 32;
const WRITE = 1;
const ZERO = 2;
const GENERATION_BITS = 18;
const GENERATION_MASK = (1 << GENERATION_BITS) - 1;

function salt(wordInPage) {
  return Math.imul(wordInPage, 0x9e37) & GENERATION_MASK;
}

/** What a write of this generation leaves in a word; never 0. */
export function wordOf(file, page, generation, wordInPage) {
  return (file << 28) | (page << GENERATION_BITS) | ((generation ^ salt(wordInPage)) & GENERATION_MASK);
}

function generationOf(raw, wordInPage) {
  return ((raw & GENERATION_MASK) ^ salt(wordInPage)) & GENERATION_MASK;
}

export function describeWord(raw, wordInPage) {
  const page = (raw >>> GENERATION_BITS) & 1023;
  return `0x${(raw >>> 0).toString(16)} (file ${raw >>> 28}, page ${page}, generation ${generationOf(raw, wordInPage)})`;
}

export class Ledger {
  /** `shape`: { files, pages, pageBytes }; files are numbered from 1. */
  static allocate({ files, pages, pageBytes }) {
    const allPages = (files + 1) * pages;
    const sectors = allPages * (pageBytes / SECTOR_BYTES);
    return new SharedArrayBuffer((allPages + 2 * sectors) * 4 + sectors * RING);
  }

  constructor(buffer, { files, pages, pageBytes }) {
    this.pages = pages;
    this.sectorsPerPage = pageBytes / SECTOR_BYTES;
    this.sectorsPerFile = pages * this.sectorsPerPage;
    const allPages = (files + 1) * pages;
    const sectors = allPages * this.sectorsPerPage;
    this.busy = new Int32Array(buffer, 0, allPages);
    this.started = new Int32Array(buffer, allPages * 4, sectors);
    this.completed = new Int32Array(buffer, (allPages + sectors) * 4, sectors);
    this.kinds = new Uint8Array(buffer, (allPages + 2 * sectors) * 4, sectors * RING);
  }

  /** Only this thread changes pages [first, end) of the file until it releases them. Ascending: nobody waits in a circle. */
  claim(file, first, end) {
    for (let page = file * this.pages + first; page < file * this.pages + end; page++) {
      while (Atomics.compareExchange(this.busy, page, 0, 1) !== 0) Atomics.wait(this.busy, page, 1, 100);
    }
  }

  /** As `claim`, but answers false where somebody else has one of them. */
  tryClaim(file, first, end) {
    const base = file * this.pages;
    for (let page = base + first; page < base + end; page++) {
      if (Atomics.compareExchange(this.busy, page, 0, 1) === 0) continue;
      this.release(file, first, page - base);
      return false;
    }
    return true;
  }

  release(file, first, end) {
    for (let page = file * this.pages + first; page < file * this.pages + end; page++) {
      Atomics.store(this.busy, page, 0);
      Atomics.notify(this.busy, page, 1);
    }
  }

  /** The next event of the sectors begins: a write, whose words are put into `words`, or, without them, zeroing. */
  begin(file, first, end, words = null) {
    for (let sector = first; sector < end; sector++) {
      const at = file * this.sectorsPerFile + sector;
      const number = this.started[at] + 1;
      this.kinds[at * RING + (number % RING)] = words === null ? ZERO : WRITE;
      Atomics.store(this.started, at, number);
      if (words !== null) this.fill(words, (sector - first) * SECTOR_WORDS, file, sector, number);
    }
  }

  fill(words, at, file, sector, generation) {
    const page = Math.floor(sector / this.sectorsPerPage);
    const inPage = (sector % this.sectorsPerPage) * SECTOR_WORDS;
    for (let i = 0; i < SECTOR_WORDS; i++) words[at + i] = wordOf(file, page, generation, inPage + i);
  }

  /** The event has happened to sectors [first, done), and not to [done, end). */
  finish(file, first, done, end) {
    const base = file * this.sectorsPerFile;
    for (let at = base + first; at < base + done; at++) Atomics.store(this.completed, at, this.started[at]);
    for (let at = base + done; at < base + end; at++) Atomics.store(this.started, at, this.completed[at]);
  }

  /** What had been completed of the sectors that hold `length` bytes at `position`: the window's earlier bounds. */
  note(file, position, length) {
    const first = file * this.sectorsPerFile + Math.floor(position / SECTOR_BYTES);
    const end = file * this.sectorsPerFile + Math.ceil((position + length) / SECTOR_BYTES);
    const notes = new Int32Array(end - first);
    for (let i = 0; i < notes.length; i++) notes[i] = Atomics.load(this.completed, first + i);
    return notes;
  }

  /**
   * Holds what was found of `length` bytes at `position` against the law: `bytes`, up to the end of the file. Throws an Error
   * that tells it all. Positions and lengths are multiples of 8.
   */
  check(file, position, length, bytes, notes, what) {
    const words = new Int32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength >>> 2);
    const from = position >>> 2;
    const firstSector = Math.floor(position / SECTOR_BYTES);
    const endSector = Math.ceil((position + length) / SECTOR_BYTES);
    for (let sector = firstSector; sector < endSector; sector++) {
      const start = Math.max(sector * SECTOR_WORDS - from, 0);
      const end = Math.min((sector + 1) * SECTOR_WORDS - from, words.length);
      this.checkSector(file, sector, words, start, end, from, notes[sector - firstSector], what);
    }
  }

  checkSector(file, sector, words, start, end, from, earliest, what) {
    const at = file * this.sectorsPerFile + sector;
    const pageWords = this.sectorsPerPage * SECTOR_WORDS;
    const tag = (file << 10) | Math.floor(sector / this.sectorsPerPage);
    const latest = Atomics.load(this.started, at);
    const fail = (message) => this.fail(file, sector, earliest, latest, `${what}: ${message}`);
    let mayBeZero = false;
    if (start >= end && !this.mayBeZero(at, earliest, latest)) fail('the end of the file came too early');
    let known = -1;
    for (let i = start; i < end; i++) {
      const raw = words[i];
      const inPage = (from + i) % pageWords;
      if (raw === 0) {
        mayBeZero ||= this.mayBeZero(at, earliest, latest);
        if (!mayBeZero) fail(`word ${inPage} of the page is zero`);
        continue;
      }
      const generation = generationOf(raw, inPage);
      if (raw >>> GENERATION_BITS !== tag) fail(`word ${inPage} is foreign: ${describeWord(raw, inPage)}`);
      if (generation === known) continue;
      if (generation < earliest || generation > latest || !this.isKind(at, generation, WRITE)) {
        fail(`word ${inPage} is stale: ${describeWord(raw, inPage)}`);
      }
      known = generation;
    }
  }

  mayBeZero(at, earliest, latest) {
    // Event 0 is the empty file.
    if (earliest === 0) return true;
    for (let number = earliest; number <= latest; number++) if (this.isKind(at, number, ZERO)) return true;
    return false;
  }

  /** Whether the event was of this kind, or so long ago that nobody knows. */
  isKind(at, number, kind) {
    const found = this.kinds[at * RING + (number % RING)];
    return found === kind || Atomics.load(this.started, at) - number >= RING;
  }

  fail(file, sector, earliest, latest, message) {
    const at = file * this.sectorsPerFile + sector;
    const events = [];
    for (let number = Math.max(0, earliest - 4); number <= Atomics.load(this.started, at); number++) {
      const kind = number === 0 ? 'empty' : this.kinds[at * RING + (number % RING)] === ZERO ? 'zeroed' : 'written';
      events.push(
        `${number} ${kind}${number === earliest ? ' (earliest)' : ''}${number === latest ? ' (latest)' : ''}`,
      );
    }
    const place = `file ${file}, page ${Math.floor(sector / this.sectorsPerPage)}, sector ${sector % this.sectorsPerPage}`;
    throw new Error(`${message}; ${place}; its events: ${events.slice(-40).join(', ')}`);
  }
}
