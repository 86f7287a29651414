/** The words of a picture, for readers who have not seen the code: points, failures, operations and locks. */
import type { PointName } from '../routine/points.js';
import type { ScenarioOperation } from './scenario.js';
import type { TraceEvent } from './trace.js';
import type { FailureKind } from './verdict.js';

const POINT_WORDS: Readonly<Record<PointName, string>> = {
  'fill:locked': 'has put an empty, locked page into the cache, and will look up its blocks',
  'fill:mapped': 'has looked up which device blocks hold the page, and will read them',
  'fill:read': 'has the bytes from the device, and will declare the page valid',
  'punch:dropped': 'has dropped the pages from the cache; the file still owns the blocks',
  'punch:removed': 'has taken the blocks away from the file',
  'truncate:sized': 'has made the new size visible; the pages are still cached',
  'truncate:dropped': 'has dropped the pages from the cache; the file still owns the blocks',
  'write:locked': 'has the lock for writing, and will come to the first page',
  'write:page': 'has locked a page, and will put the new bytes there',
  'writeback:locked': 'has marked pages as being written back, and will look up their blocks',
  'writeback:mapped': 'has looked up the blocks for writeback, and will write',
  'writeback:written': 'has written the data; the metadata are still to come',
  'readahead:planned': 'has chosen pages to read ahead',
  'reclaim:frozen': 'has chosen a cached page to give up',
  'shift:flushed': 'has written back and dropped the range; its blocks are not moved yet',
  'journal:stopped': 'starts a commit, and holds new changes back',
  'journal:snapshot': 'has copied the transaction, and will write it to the log',
  'journal:written': 'has written the transaction to the log, and will flush it',
  'lock:wanted': 'is about to take',
  'read:filled': 'has filled the page, let go of its lock, and will look the page up again',
  'read:page': 'comes to the next page of its range, and will look it up in the cache',
  'checkpoint:scanned': 'knows what the log holds, and will write it in place',
  'checkpoint:written': 'has written the blocks in place, and will flush',
};

const FAILURE_WORDS: Readonly<Record<FailureKind, string>> = {
  writeback:
    'Bytes were about to be written to a block that does not belong to their file. They would have destroyed whatever is there.',
  foreign: "Somebody was shown another file's bytes.",
  lost: 'Data were lost that a completed write had stored, and that nobody had removed.',
  stale:
    'Somebody sees data that had been removed before: the removal was reported as done, and yet the old bytes are there.',
  deadlock: 'The threads wait for each other in a circle. None of them can ever go on.',
  torn: 'A read that should see all of a write or nothing of it saw a part.',
  'lost-wakeup': 'A thread sleeps for something that has already come. Nobody woke it, and it would sleep forever.',
  starvation: 'Others took a lock again and again while a thread that stood in the queue did not get it.',
  'left-held':
    'A thread has ended and left something behind: a lock, a page, or a reservation that nobody will give back.',
  livelock: 'The threads keep going without ever getting done.',
  check: 'What is stored is damaged, or its counters are wrong.',
  assertion: 'The engine found one of its own rules broken.',
  error: 'An operation failed that must succeed.',
};

export function failureInWords(kind: FailureKind): string {
  return FAILURE_WORDS[kind];
}

/** What the thread has come to, without its name: `sleeps until i_rwsem of victim is free`. */
export function eventInWords(event: TraceEvent): string {
  const { action, effect, point, target, waitsFor } = event;
  if (action === 'die') return 'dies here; what it holds stays held';
  if (waitsFor !== null) return `sleeps, since it wants ${waitsFor}`;
  if (effect === 'end') return 'has done all it had to do';
  if (effect === 'pause') return 'is between two operations';
  if (point === 'lock:wanted') return `is about to take ${target ?? "the scheme's lock for filling the cache"}`;
  if (effect === 'point') return POINT_WORDS[point as PointName];
  if (effect === 'wait') return 'goes on at once, since what it wanted to wait for has come';
  const transfer = `${effect === 'flush' ? 'flush its cache' : effect}${target === null ? '' : ` ${target}`}`;
  return action === 'transfer' ? `has had the device ${transfer}` : `asks the device to ${transfer}`;
}

export function operationInWords(operation: ScenarioOperation): string {
  const { kind, file } = operation;
  if (kind === 'truncate') return `sets the size of ${file} to ${plural(operation.to, 'page')}`;
  if (kind === 'fault') return `looks at page ${operation.at} of ${file} through a memory mapping`;
  if (kind === 'writeback') return `writes changed pages of ${file} back to the device`;
  if (kind === 'sync') return `makes ${file} durable`;
  if (kind === 'commit') return 'commits, after which freed blocks may be used again';
  if (kind === 'checkpoint') return 'writes what the journal holds to its place, and empties its log';
  const range = rangeInWords(operation.at, operation.length);
  const through =
    'faulting' in operation && operation.faulting !== undefined
      ? `, with memory that is a mapping of page ${operation.faulting.at} of ${operation.faulting.file}`
      : '';
  return `${VERBS[kind]} ${range} of ${file}${through}`;
}

const VERBS = {
  read: 'reads',
  readahead: 'reads ahead',
  willneed: 'asks to have in the cache (WILLNEED)',
  dontneed: 'gives up from the cache (DONTNEED)',
  mkwrite: 'writes, through a memory mapping, to',
  write: 'writes to',
  punch: 'punches a hole over',
  zero: 'zeroes',
  collapse: 'cuts out',
  insert: 'inserts room at',
  allocate: 'allocates',
} as const;

function rangeInWords(at: number, length: number): string {
  if (!Number.isInteger(at) || !Number.isInteger(length)) return `a part of page ${Math.floor(at)}`;
  return length === 1 ? `page ${at}` : `pages ${at} to ${at + length - 1}`;
}

export function plural(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}
