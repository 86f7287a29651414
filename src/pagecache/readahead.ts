/**
 * Readahead of one open file: which pages to bring in before they are asked for.
 *
 * After Linux's mm/readahead.c (ondemand_readahead). The window is [start, start + size); its last `async` pages are the
 * part that is still ahead when the reader meets the marker, which is the page at start + size - async. A sequential
 * reader moves like this:
 *
 *        |<----- async ----->|
 *    |---#-------------------|      # the marker: reaching it brings in the next window, twice as large
 *    start                   start + size
 *
 *  - A miss at the file's start, or just behind the last read, opens a window of a few times the request.
 *  - Reaching the marker, or missing where the window ends, moves the window on and doubles it, up to the maximum.
 *  - A marker of another reader's making (interleaved streams) opens a window behind what is cached already.
 *  - Any other miss looks for a run of cached pages before it, which a stream leaves behind that this state has lost track
 *    of; without one it is random, and reads what was asked for, without touching the window.
 *  - `advise`: sequential doubles the maximum, random reads only what is asked for.
 *
 * The words lie in the open file's record, shared by the threads that serve it and written without a lock: a torn state
 * costs a badly chosen window, and every window is clamped where it is used.
 */

/** Answers whether a page is cached; a hint. */
export type CacheProbe = (index: number) => boolean;

const enum Word {
  Start,
  Size,
  Async,
  /** Page of the last read's last byte, + 1; 0 at first. */
  Previous,
  Mode,
  Words,
}

const enum Mode {
  Normal,
  Sequential,
  Random,
}

/** Words that a state takes in the arena. */
export const READAHEAD_WORDS = Word.Words;
/** Largest window by default; Linux's is 128 KiB, chosen for disks with heads. */
export const READAHEAD_BYTES_MAX = 2 * 1024 * 1024;
const INITIAL_PAGES_MIN = 4;

/** A window, reused by its owner: pages [first, first + count), of which `marker` asks for the next one. */
export class Window {
  first = 0;
  count = 0;
  /** first + count: none. */
  marker = 0;
}

export class ReadaheadState {
  /** What the last onMiss or onMarker wants read. */
  readonly window = new Window();

  constructor(
    private readonly words: Int32Array | Uint32Array,
    private readonly at: number,
    private readonly pagesMax: number,
    private readonly isCached: CacheProbe = () => false,
  ) {}

  /** Where the next read that continues this one begins. Call it after each read, with the page of its last byte. */
  onRead(lastPage: number): void {
    this.set(Word.Previous, lastPage + 1);
  }

  /**
   * Page `index` is not cached, and a read wants `pages` pages from there, of a file of `sizePages`. Fills in the window to
   * read now: at least page `index`, and not beyond the file's end.
   */
  onMiss(index: number, pages: number, sizePages: number): Window {
    const wanted = Math.max(1, Math.min(pages, sizePages - index));
    const max = this.max;
    if (this.get(Word.Mode) === Mode.Random || max === 0) return this.justThis(index, wanted);
    const previous = this.get(Word.Previous);
    if (index === 0) this.open(index, wanted, max);
    else if (this.isExpected(index)) this.advance(max);
    else if (wanted > max) this.open(index, wanted, max);
    else if (previous !== 0 && (index === previous || index === previous - 1)) this.open(index, wanted, max);
    else if (!this.openFromTraces(index, wanted, max)) return this.justThis(index, wanted);
    return this.planned(index, max, sizePages);
  }

  /** A read came to the marked page `index`. Fills in the window to read in the background; `count` 0 for none. */
  onMarker(index: number, pages: number, sizePages: number): Window {
    const max = this.max;
    if (this.get(Word.Mode) === Mode.Random || max === 0) return this.nothing(index);
    if (this.isExpected(index)) {
      this.advance(max);
    } else {
      let start = index + 1;
      while (start - index <= max && this.isCached(start)) start++;
      if (start - index > max) return this.nothing(index);
      this.set(Word.Start, start);
      this.set(Word.Size, grown(start - index + pages, max));
      this.set(Word.Async, this.get(Word.Size));
    }
    return this.planned(index, max, sizePages);
  }

  advise(advice: 'normal' | 'sequential' | 'random'): void {
    this.set(Word.Mode, advice === 'sequential' ? Mode.Sequential : advice === 'random' ? Mode.Random : Mode.Normal);
  }

  private get max(): number {
    return this.get(Word.Mode) === Mode.Sequential ? 2 * this.pagesMax : this.pagesMax;
  }

  private isExpected(index: number): boolean {
    const size = this.get(Word.Size);
    const end = this.get(Word.Start) + size;
    return size !== 0 && (index === end - this.get(Word.Async) || index === end);
  }

  private open(index: number, wanted: number, max: number): void {
    const size = initialSize(wanted, max);
    this.set(Word.Start, index);
    this.set(Word.Size, size);
    this.set(Word.Async, size > wanted ? size - wanted : size);
  }

  private advance(max: number): void {
    const size = this.get(Word.Size);
    const next = grown(size, max);
    this.set(Word.Start, this.get(Word.Start) + size);
    this.set(Word.Size, next);
    this.set(Word.Async, next);
  }

  /** Whether the pages before `index` look like a stream's; then opens a window as long as they are many. */
  private openFromTraces(index: number, wanted: number, max: number): boolean {
    let traces = 0;
    while (traces < max && traces < index && this.isCached(index - 1 - traces)) traces++;
    if (traces <= wanted) return false;
    // From the file's very start on: a long stream.
    const length = traces >= index ? traces * 2 : traces;
    this.set(Word.Start, index);
    this.set(Word.Size, Math.min(length + wanted, max));
    this.set(Word.Async, 1);
    return true;
  }

  /** The state's window; when the reader stands on its marker already, with the next one merged into it. */
  private planned(index: number, max: number, sizePages: number): Window {
    if (index === this.get(Word.Start) && this.get(Word.Size) === this.get(Word.Async)) {
      const size = this.get(Word.Size);
      const more = grown(size, max);
      if (size + more <= max) {
        this.set(Word.Async, more);
        this.set(Word.Size, size + more);
      } else {
        this.set(Word.Size, max);
        this.set(Word.Async, Math.max(1, Math.floor(max / 2)));
      }
    }
    const { window } = this;
    const start = this.get(Word.Start);
    const end = Math.min(start + this.get(Word.Size), sizePages);
    window.first = start;
    window.count = Math.max(0, end - start);
    window.marker = start + this.get(Word.Size) - this.get(Word.Async);
    if (window.marker >= end) window.marker = start + window.count;
    return window;
  }

  private justThis(index: number, wanted: number): Window {
    this.window.first = index;
    this.window.count = wanted;
    this.window.marker = index + wanted;
    return this.window;
  }

  private nothing(index: number): Window {
    this.window.first = index;
    this.window.count = 0;
    this.window.marker = index;
    return this.window;
  }

  private get(word: Word): number {
    return this.words[this.at + word] >>> 0;
  }

  private set(word: Word, value: number): void {
    this.words[this.at + word] = value;
  }
}

/** Four times the request while that is small, rounded up to a power of two. */
function initialSize(wanted: number, max: number): number {
  let size = INITIAL_PAGES_MIN;
  while (size < wanted) size *= 2;
  if (size <= max / 32) return size * 4;
  if (size <= max / 4) return size * 2;
  return max;
}

function grown(size: number, max: number): number {
  if (size < max / 16) return Math.min(size * 4, max);
  return Math.min(size * 2, max);
}
