/**
 * What a scenario is: files, and a few threads with a few operations each. Data, no code; scenarios/ has one file a family.
 *
 * Positions and lengths are pages, and may be fractions of a page down to a word. A scenario is small on purpose: every step
 * more multiplies the schedules, and the races that are known take two threads and one page.
 */

export interface ScenarioFile {
  readonly name: string;
  /** Pages written before the threads start: durable, and out of the cache. */
  readonly pages: number;
  /** Of these, pages that are in the cache, clean. */
  readonly cached?: readonly number[];
  /** Pages written once more, and dirty in the cache. */
  readonly dirty?: readonly number[];
  /** Its first new block is looked for where this file's page lies: so that blocks freed there are taken at once. */
  readonly near?: { readonly file: string; readonly page: number };
}

/** `at` and `length` in pages. */
export type ScenarioOperation =
  | {
      readonly kind: 'read';
      readonly file: string;
      readonly at: number;
      readonly length: number;
      readonly faulting?: { readonly file: string; readonly at: number };
    }
  | { readonly kind: 'readahead'; readonly file: string; readonly at: number; readonly length: number }
  | { readonly kind: 'willneed'; readonly file: string; readonly at: number; readonly length: number }
  | { readonly kind: 'dontneed'; readonly file: string; readonly at: number; readonly length: number }
  /** Pins the page and looks at it. */
  | { readonly kind: 'fault'; readonly file: string; readonly at: number }
  /** Pins the page for writing, writes the part, and releases it. */
  | { readonly kind: 'mkwrite'; readonly file: string; readonly at: number; readonly length: number }
  /** `faulting`, of reads and writes: the user's bytes are a mapping of that file, whose page is faulted in before each copy. */
  | {
      readonly kind: 'write';
      readonly file: string;
      readonly at: number;
      readonly length: number;
      readonly faulting?: { readonly file: string; readonly at: number };
    }
  | { readonly kind: 'punch'; readonly file: string; readonly at: number; readonly length: number }
  | { readonly kind: 'zero'; readonly file: string; readonly at: number; readonly length: number }
  | { readonly kind: 'truncate'; readonly file: string; readonly to: number }
  | { readonly kind: 'collapse'; readonly file: string; readonly at: number; readonly length: number }
  | { readonly kind: 'insert'; readonly file: string; readonly at: number; readonly length: number }
  | { readonly kind: 'allocate'; readonly file: string; readonly at: number; readonly length: number }
  /** Writes the file's dirty pages back; durable is what `sync` makes them. */
  | { readonly kind: 'writeback'; readonly file: string }
  | { readonly kind: 'sync'; readonly file: string }
  /** Makes the running transaction durable, with which freed blocks come free. */
  | { readonly kind: 'commit'; readonly file: string }
  /** Empties the journal's log, as the background thread does. */
  | { readonly kind: 'checkpoint'; readonly file: string };

export interface ScenarioThread {
  readonly name: string;
  readonly operations: readonly ScenarioOperation[];
  /** May die at any of its yields, once. */
  readonly mortal?: boolean;
}

export interface Scenario {
  readonly name: string;
  /** Its file in scenarios/. */
  readonly family: string;
  readonly description: string;
  readonly files: readonly ScenarioFile[];
  readonly threads: readonly ScenarioThread[];
  /** Page frames; by default plenty. */
  readonly frames?: number;
  /**
   * Blocks of the journal's log that are free at the start, at most; by default most of them. Then what a crash would leave
   * after a schedule is looked at too.
   */
  readonly logFree?: number;
  /** I/O of a file's page that fails, once. A page that the file has not yet is looked for right behind its last one. */
  readonly faults?: readonly { readonly io: 'read' | 'write'; readonly file: string; readonly page: number }[];
  /** Time that a step takes, so that patience ends; by default time stands still until everybody waits. */
  readonly stepMs?: number;
}
