/**
 * The control arena's layout: which word is what, who writes it, and what publishes it.
 *
 * One `SharedArrayBuffer`, seen as 32-bit words (atomics) and 64-bit floats (bytes, times). Regions follow each other in
 * the order of `layoutOf`; all start on a 64-byte line. Words are zero at first, and zero means "none" everywhere.
 *
 *   header │ gates │ threads │ ranges │ versions │ statistics │ lock times │ page wait queues │ global locks │ journal
 *          │ logged frames │ revoked blocks │ inode hash │ inodes │ groups │ exclusions │ pins │ open files │ readahead │ requests
 *          │ page buckets │ page descriptors │ ghosts
 *
 * Each region's enum below names its words. "Publishes" is the atomic operation after which other threads may rely on
 * the rest of the record.
 */
import { assert } from '../assert.js';

export const WORD_BYTES = 4;
const LINE_WORDS = 16;

/** Words of the header. Constant after the store is opened, unless said otherwise. */
export const enum Header {
  Magic,
  /** StoreState; written by the opening thread, and by whoever fences. Publishes the end of opening. */
  State,
  /** Thread slot + 1 of the thread whose death fenced the store. Written before State becomes Fenced. */
  DeadThread,
  BlockBytes,
  Frames,
  Threads,
  /** Flags of HeaderFlag. */
  Flags,
  /** Rwsem policy: index in RWSEM_POLICIES. */
  RwsemPolicy,
  /** Blocks of the device. */
  Blocks,
  /** Free blocks, quarantined ones excluded; Atomics.add by the allocator. Unsigned. */
  BlocksFree,
  /** Blocks promised to delayed allocation; Atomics.add by the allocator. Unsigned. */
  BlocksReserved,
  /** Blocks freed but not reusable yet; Atomics.add by the allocator. Unsigned. */
  BlocksQuarantined,
  /** Files in the name tree; Atomics.add by names/inode table inside a transaction. Unsigned. */
  Files,
  /** Page frames on the free list; under the reclaim lock. */
  FramesFree,
  /** Pages of files that are dirty or under writeback; Atomics.add by the page cache. */
  PagesDirty,
  /** Dirty pages of the metadata mapping; Atomics.add by the page cache. */
  MetadataDirty,
  /** Incremented whenever frames become free or clean; allocators of frames wait here. */
  FramesWait,
  /** Incremented whenever writeback makes progress; throttled writers wait here. */
  WritebackWait,
  /** Incremented to wake the background writeback thread. */
  WritebackWork,
  /** Incremented to wake the service threads. */
  ServiceWork,
  /** Incremented at each completed service request; the opening thread waits here asynchronously. */
  ServiceDone,
  /** 1 while the service threads are to end. */
  ServiceStop,
  /** Head of the reclaim free list (frame). Under the reclaim lock. */
  FreeHead,
  /** S3-FIFO queues: heads are the newest, tails the oldest; under the reclaim lock. */
  SmallHead,
  SmallTail,
  SmallCount,
  MainHead,
  MainTail,
  MainCount,
  /** Insertions into the ghost table so far; under the reclaim lock. */
  GhostClock,
  /** Free list of exclusion records: its head, + 1, and its length. Under the exclusions lock. */
  ExclusionFree,
  ExclusionCount,
  /** User pins held now; Atomics.add. */
  Pins,
  /** Hash bucket hint where the inode eviction clock stands; under the inode hash lock. */
  InodeClock,
  /** Groups whose bitmap has been initialised on the device; under the allocator's growth lock. */
  GroupsInitialised,
  /** First inode of the on-disk free list. Under the inode table lock. */
  InodeFreeHead,
  /** Inodes that the inode table has room for (its high-water mark). Under the inode table lock. */
  InodeHighWater,
  /** Random seed of the store's hash functions and tests. */
  Seed,
  /** First inode of the orphan list. Under the inode table lock. */
  OrphanHead,
  /** Readahead queue: entries ever put and ever taken. Under the leaf mutex GlobalLock.Requests. */
  ReadaheadPut,
  ReadaheadTaken,
  /** Exclusion records that hold claims. Under the exclusions lock. */
  ExclusionClaims,
  /** Incremented when a claim's record comes free while there was none for claims; claimers sleep on it. */
  ExclusionWait,
  /** List of groups with quarantined blocks (Group.QuarantineNext): its first group + 2. Under the exclusions lock. */
  QuarantineGroups,
  /** When somebody last looked for dead threads, in whole milliseconds, wrapping; compare-exchange by who looks next. */
  ReapedAt,
  /** Detached frames whose last pin is gone: a stack linked by Page.QueueNext. Pushed by compare-exchange, taken whole. */
  DetachedHead,
  /** Highest frame that was ever handed out; those above it are untouched. Under the reclaim lock. */
  FramesUsed,
  /** Mapping at which the next round of writeback starts; Atomics.add. */
  WritebackClock,
  /** Error (positive errno) of the last writeback, 0 when it succeeded. A hint: throttled writers give up on it. */
  WritebackError,
  /** Block whose damage writeback met last: what an EUCLEAN of a later sync names. Unsigned. */
  DamagedBlock,
  /** 1 while somebody waits for page frames and cannot write back himself; taken by the background thread. */
  FramesWanted,
  /** 1 where somebody had quarantined blocks to release while another held the Checkpoint mutex. */
  QuarantineMissed,
  /** Above the highest record of open files that was ever claimed; only grows, by compare-exchange. */
  OpenFilesUsed,
  /** Freed runs of fewer blocks are not discarded as soon as they are durable, but by trimming (allocator/trim.ts). */
  DiscardLater,
  /** Ring of runs to be trimmed: place of the oldest, and how many there are. Under the exclusions lock. */
  TrimHead,
  TrimCount,
  Words = 64,
}

export const HEADER_MAGIC = 0x454d4d41; // 'EMMA'

export const enum StoreState {
  Opening,
  Open,
  Closing,
  Closed,
  /** A thread died holding a lock: waiters get EOWNERDEAD, later calls ENOTRECOVERABLE. */
  Fenced,
}

export const enum HeaderFlag {
  Verify = 1,
  ReadOnly = 2,
  /** Schedule points may be held: the blocking driver looks at the gates. */
  Gates = 4,
}

/** A gate of a schedule point (sync/gates.ts). */
export const enum Gate {
  /** 0 open, 1 held: arriving threads stop. */
  Held,
  /** Threads that have arrived while it was held. */
  Arrived,
  Words,
}

/** One thread's record in the registry. Written by its own thread but for the words that say otherwise. */
export const enum Thread {
  /** ThreadState; written by attach (compare-exchange), reap, detach. */
  State,
  /** The host's thread id, and the low word of its start time; together they tell a living thread from a reused id. */
  Tid,
  Start,
  /** How often this slot was taken. */
  Generation,
  /** The word that this thread sleeps on, or 0: a fence wakes it. */
  WaitingOn,
  /** Wait-queue node of a lock: futex word (see rwsem.ts), next waiter's slot + 1, mode. Protected by that lock's queue lock. */
  NodeGranted,
  NodeNext,
  NodeMode,
  NodeLock,
  /** Leaf mutexes held or being taken (sync/leaf.ts). */
  LeafDepth,
  /** Pages that this thread has locked, has under writeback, or is taking out of the cache; frames on their way in. */
  PageLocks,
  /** Open transaction handles. */
  Handles,
  /** Frame that the hit path has pinned or is about to pin, or 0. */
  HitPin,
  /** Number of entries in the held-lock stack below. */
  HeldDepth,
  /** 1 while inside an operation that may use the device; a closing store waits for it (store/session.ts). */
  Busy,
  /** When the wait-queue node was queued, in whole milliseconds of the driver's clock, wrapping. Under the lock's queue lock. */
  NodeSince,
  /** Locks held or being taken: pairs of (lock word offset, mode), HELD_MAX of them. */
  Held = 16,
  /**
   * Reader-biased locks that this thread holds shared without having touched them: offsets, or 0; BIASED_READS_MAX of them. In a line
   * of their own. Publishes the hold; who revokes the bias reads them, and sleeps on them.
   */
  BiasedReads = 80,
  /** Turns of this thread at locks whose reader bias is off. */
  BiasTurn = 84,
  /** In-core inode slot + 1 for whose file this thread reads a queued window ahead, or 0. Who removes the file sleeps on it. */
  ReadsAhead = 85,
  Words = 96,
}

export const HELD_MAX = 32;
export const BIASED_READS_MAX = 4;

export const enum ThreadState {
  Free,
  Attaching,
  Attached,
  Dying,
}

/** A reader-writer semaphore (sync/rwsem.ts). */
export const enum Rwsem {
  /** Holders, and flags on the queue (rwsem.ts). */
  State,
  /** Thread slot + 1 of the writer. */
  Owner,
  /** Incremented at each exclusive acquisition. */
  Generation,
  /** Thread slots + 1, linked by Thread.NodeNext; under QueueLock. */
  WaitHead,
  WaitTail,
  /** Leaf mutex of the queue. */
  QueueLock,
  /** LockRank of the lock; constant. At this place in every type of lock that an inode may have. */
  Rank,
  /** Of a reader-biased lock: 0 while readers need not touch it, else until when (sync/reader-biased.ts). */
  BiasOff,
  Words,
}

/** A two-state lock (sync/two-state.ts); the rest as in Rwsem. */
export const enum TwoState {
  /** Who is inside, as a signed count, above one bit that says that somebody waits. */
  State,
  /** Turns handed over; under QueueLock. */
  Turns,
}

/** A range lock (sync/range-lock.ts); Rank as in Rwsem. */
export const enum RangeLock {
  /** Offset of the only holder's record; or RANGES_LISTED; or 0. */
  Sole,
  /** Records of holders and waiters in the order of their arrival, linked by Range.Next; under QueueLock. */
  Head = 3,
  Tail,
  /** Leaf mutex of the list. */
  QueueLock,
}

/** RangeLock.Sole: the holders are on the list. */
export const RANGES_LISTED = -1;

/**
 * A range of pages that a thread holds, or waits for. RANGES_MAX for each thread. Written by its own thread before it is
 * published (in RangeLock.Sole, or on the list), but for the words that say otherwise.
 */
export const enum Range {
  /** RangeState; a waiter sleeps on it. Set to Held by who grants. */
  State,
  /** Offset of the lock, or 0: the record is free. */
  Lock,
  First,
  End,
  Mode,
  /** Earlier records of the list that conflict; under QueueLock. */
  Blockers,
  Next,
  Previous,
  Words,
}

/** Ranges that one thread holds at once. */
export const RANGES_MAX = 4;

/** A range that faults wait on (sync/published-range.ts), in the place of an Rwsem. */
export const enum PublishedRange {
  /** Odd while a range is published; waiters sleep on it. */
  Sequence,
  /** Pages [First, End). Written while the sequence is even, by who holds i_rwsem exclusive. Unsigned. */
  First,
  End,
  /** LockRank; constant. */
  Rank = 6,
}

/** A mutex that may sleep (sync/mutex.ts). */
export const enum Mutex {
  /** 0 free, 1 held, 2 held and waited for. */
  State,
  Owner,
  Rank,
  Spare,
  Words,
}

/** Locks there is one of. Offsets from Layout.locks. */
export const enum GlobalLock {
  /** Rwsem of the name tree. */
  Names = 0,
  /** Mutex of the on-disk inode table. */
  InodeTable = 8,
  /** Mutex of the commit in progress. */
  Commit = 12,
  /** Mutex of the superblock's growth fields (initialised groups). */
  Growth = 16,
  /** Mutex of whoever writes logged blocks in place, or discards and releases quarantined ones: never both at once. */
  Checkpoint = 20,
  /** Leaf mutexes. */
  Reclaim = 32,
  InodeHash = 48,
  Exclusions = 64,
  JournalState = 80,
  Requests = 128,
  /** Leaf mutexes of hash buckets: BUCKET_LOCKS of them. */
  Buckets = 144,
  /** Mutexes of allocation groups (Mutex.Words each): GROUP_LOCKS of them. */
  Groups = 144 + 256,
  Words = 144 + 256 + 64 * 4,
}

export const BUCKET_LOCKS = 256;
export const GROUP_LOCKS = 64;
export const VERSIONS_MAX = 4096;
export const PAGE_WAIT_QUEUES = 256;

/** The running transaction (journal/). Under the JournalState leaf mutex unless said otherwise. */
export const enum Journal {
  /** Number of the running transaction, low word, never 0. Changes only while no handle is open. */
  Running,
  /** Number of the last durable one, low word. Written by the committer, under the Commit mutex. */
  Durable,
  /** Handles open in the running transaction. The committer sleeps on it. */
  Handles,
  /** 1 while a commit holds new handles back; starters sleep on it. */
  Stopped,
  /** Blocks that open handles may still dirty. */
  Credits,
  /** Error that stopped the journal for good (a StoreError's errno, positive), or 0. */
  Error,
  /** Transaction that somebody wants committed in the background. Atomics.exchange. */
  Wanted,
  /** Last transaction in which a block was dirtied; Atomics.store inside a handle. */
  Dirtied,
  /** Device flushes begun and ended by commits, as sequence numbers. Written under the Commit mutex. */
  FlushBegun,
  FlushEnded,
  /** Incremented at each step of a commit that others may wait for, and after each release of the Commit mutex. */
  Progress,
  /** High word of the running transaction's number. Under the Commit mutex. */
  RunningHigh,
  /** 1 when the superblock's copy in the last block is to be refreshed by the next commit. Under the Commit mutex or in a handle. */
  CopyWanted,
  /** Frame of the superblock, pinned while the store is open. Constant. */
  SuperblockFrame,
  /** The running transaction's number where it must not become durable before all data written so far are; else older. */
  Ordered,
  /** Blocks that the running transaction revokes: entries of the region `revokedBlocks`. */
  Revoked,
  /** 1 once the log's words below are set, by the first commit. */
  LogReady,
  /** Where the next log transaction goes, and its number (low and high word). Under the Commit mutex. */
  LogPosition,
  LogSequence,
  LogSequenceHigh,
  /** Number of the last log transaction that is durable, low word. Written under the Commit mutex. */
  LogDurable,
  /** Blocks of the log in use: Atomics.add under the Commit mutex, Atomics.sub under the Checkpoint mutex. */
  LogUsed,
  /** The oldest log transaction that recovery needs: position and number; generation of the head that says so. Checkpoint mutex. */
  TailPosition,
  TailSequence,
  TailSequenceHigh,
  HeadGeneration,
  HeadGenerationHigh,
  /** Frames whose newest committed content lies in the log alone: those with a word in `loggedFrames`. Atomics.add. */
  LoggedFrames,
  /** Callers of `commit`, ever; a gathering committer sleeps on it. Atomics.add. The rest: see journal/gathering.ts. */
  Callers,
  /** Callers at the last snapshot, and how many had called since the one before it. */
  CallersShared,
  CallersExpected,
  /** 1 while a committer sleeps on Callers. */
  Gathers,
  /** How long commits take, on average. */
  CommitMicroseconds,
  /** Position behind the last durable log transaction, of even and of odd numbers: written before LogDurable names it. */
  LogEndEven,
  LogEndOdd,
  /** Metadata pages that transactions have forgotten, ever (Atomics.add in a handle), and by those that are durable. */
  Forgotten,
  ForgottenDurably,
  Words = 48,
}

/** What lies at a position of the log, where that is an image (journal/log-images.ts). Under the Commit mutex. */
export const enum LogImageWord {
  /** The page whose content it is, -1 for the superblock's copy; 0: nothing was noted here yet. Publishes the others. */
  Frame,
  /** Low word of the log transaction's number. */
  Sequence,
  /** As in the descriptor. */
  Checksum,
  Flags,
  Words,
}

/** Blocks that one transaction may revoke, at the most. */
export const REVOKED_MAX = 4096;

/** An in-core inode and its mapping. Slot 0 is the metadata mapping. */
export const enum Inode {
  /** Inode number; 0 in a free slot. Under the InodeHash lock. */
  Ino,
  /** Flags of InodeFlag; Atomics.or/and. */
  Flags,
  /** Open files of all threads, and transient users; Atomics.add under the InodeHash lock when it rises from 0. */
  Refs,
  HashNext,
  /** Sequence of the size words: odd while they change. Written holding i_rwsem exclusive. Publishes the size. */
  SizeSeq,
  SizeHigh,
  SizeLow,
  /** Leaf mutex of the record's attributes, while they are copied to its block. */
  RecordLock,
  /** Orphan list: slot of the inode before this one, 0 for the first; under the inode table lock. */
  OrphanPrevious,
  /** Cached pages, and those of them that are dirty or under writeback; under ListLock. */
  Pages,
  PagesDirty,
  /** Lists of the mapping's pages (Page.ListNext); those dirty or under writeback, oldest first; under ListLock. */
  CleanHead,
  DirtyHead,
  DirtyTail,
  ListLock,
  /** Incremented at each writeback error, and the error (positive errno). */
  ErrorSequence,
  Error,
  /** Incremented at each change of the extent map. Under the extent-map lock exclusive. */
  MapSequence,
  /** Block of the inode table that holds the inode's record, and the record's byte offset in it. Constant while in core. */
  RecordBlock,
  RecordOffset,
  Links,
  /** Allocated blocks, tree blocks excluded; under the extent-map lock exclusive. Unsigned. */
  Blocks,
  /** Random start of this inode's allocation; a block number. */
  Goal,
  Generation,
  /** Doubles at even word offsets; written holding i_rwsem exclusive, or the mapping's only user. */
  Mtime = 24,
  Ctime = 26,
  Birthtime = 28,
  /** Size on the device in bytes, a double. Written under the extent-map lock exclusive. */
  DiskSize = 30,
  /** Locks. */
  IRwsem = 32,
  InvalidateLock = 40,
  MapLock = 48,
  /** For lock types of other schemes. */
  SchemeWords = 56,
  /** The size once more, as a double, for hits: see sizeForHit in inode/inode.ts. Written where SizeSeq is odd. */
  HitSize = 62,
  Words = 64,
}

export const enum InodeFlag {
  /** The record on the device is older than these words. */
  Dirty = 1,
  /** No name is left: blocks are freed at the last close. */
  Deleted = 2,
  /** Being read from or written to the device by its finder; others wait on Flags. */
  Busy = 4,
  /** Somebody waits on Flags. */
  Waited = 8,
  /** Used since the eviction clock passed. */
  Referenced = 16,
  /** The first of WORKS bits: a place for unfinished work in the inode's record is taken (inode/orphan-list.ts). */
  Work = 32,
  /** The first of WORKS bits: this session has recorded work at that place, or taken it over; under the inode table lock. */
  Recorded = 256,
}

/** An allocation group. Under its group lock (mutex GlobalLock.Groups + group % GROUP_LOCKS) unless said otherwise. */
export const enum Group {
  /** Clear bits of the bitmap + 1, or 0 where it has not been read since opening. */
  FreePlusOne,
  /** Upper bound of the longest run that can be claimed + 1, or 0 where unknown. Under the Exclusions lock. */
  LongestPlusOne,
  /** Incremented whenever excluded blocks become free again; a search's result is dropped when it changed. Exclusions lock. */
  Epoch,
  /** First exclusion record of claims, from 1. Under the Exclusions lock. */
  Claims,
  /** First exclusion record of quarantined runs, from 1. Changes under the group lock. */
  Quarantine,
  /** Next group on the list of those with quarantined runs, + 2; 1 at its end, 0 off it. Under the Exclusions lock. */
  QuarantineNext,
  Words = 8,
}

/** Blocks that the bitmap calls free but nobody may allocate. Under the lock of its chain, or the Exclusions lock when free. */
export const enum Exclusion {
  Start,
  Length,
  /** Transaction that freed them; unused in a claim. */
  Transaction,
  /** Next record of the chain or of the free list, from 1. */
  Next,
  Words,
}

export const TRIM_RUNS = 1024;

/** Blocks that were released undiscarded (allocator/trim.ts). Under the Exclusions lock. */
export const enum TrimRun {
  Start,
  Length,
  Words,
}

/** A user's pin (file/pin.ts). */
export const enum Pin {
  /** Thread slot + 1, or 0: free. Compare-exchange claims it. */
  Thread,
  /** Frame, once pinned. */
  Frame,
  Words,
}

/** A request to the service threads (store/service.ts). */
export const enum Request {
  /** RequestState; compare-exchange. Publishes the rest, and the request's bytes in the transfer buffer. */
  State,
  Operation,
  /** 1 when the answer is an error: its ErrorData as JSON in the transfer buffer. */
  Failed,
  /** Bytes of the request, then of the answer, in the transfer buffer. */
  Bytes,
  /** Thread slot + 1 that runs it, and that thread's generation. */
  Runner,
  RunnerGeneration,
  /** 10 doubles: arguments, then results. */
  Numbers = 8,
  Words = 32,
}

export const enum RequestState {
  Free,
  Filling,
  Ready,
  Running,
  Done,
}

/** An open file of a thread, so that a dead thread's references can be given back (store/open-files.ts). */
export const enum OpenFile {
  /** Thread slot + 1, or 0: free. Compare-exchange claims it. */
  Thread,
  /** In-core inode slot + 1, once referenced. */
  Slot,
  /** Access bits of the open call. */
  Access,
  /** Thread.Generation of the thread, so that its slot's next owner is told from it. */
  ThreadGeneration,
  /** What this open file has been told of writeback's errors: Inode.ErrorSequence. */
  ErrorSequence,
  /** Incremented at each open: tells a record's next file from this one. */
  Generation,
  /** Advisory locks that this open file holds or tries to take: see store/file-locks.ts. Written by its thread alone. */
  Locks,
  /** Readahead state, shared by the threads that serve the file: see pagecache/readahead.ts. */
  Readahead = 8,
  Words = 16,
}

/** A window that a reader wants read ahead (store/readahead-queue.ts). Under the leaf mutex GlobalLock.Requests. */
export const enum ReadaheadEntry {
  /** In-core inode slot, and the inode that it held: the entry has no reference on it. */
  Slot,
  Ino,
  Generation,
  First,
  Count,
  /** Page that gets the marker, or the window's end for none. */
  Marker,
  Words,
}

export const READAHEAD_ENTRIES = 64;

/**
 * A page descriptor: 48 bytes a frame. Transitions in pagecache/page.ts. The first four words are what a hit reads, and lie in
 * one line of 64 bytes.
 */
export const enum Page {
  /** PageFlag bits, and the pin count above them. */
  State,
  /** Mapping: slot + 1; 0 when in none. Written by the inserter before the page is published in its bucket. */
  Mapping,
  Index,
  /**
   * Low bits (OWNER_MASK): thread slot + 1 of the page lock's holder, who alone writes them. Above: how often the frame was
   * given to a page, wrapping; raised by the inserter before it writes anything else of the page, while the frame is frozen.
   */
  Owner,
  /** Next frame in the bucket's chain. Under the bucket's lock; read without. */
  HashNext,
  /** Device block that holds the content, NO_BLOCK if none, UNWRITTEN_BLOCK over an unwritten extent, or MOVING_BLOCK. */
  Block,
  /** Links of the mapping's clean or dirty list; under the mapping's ListLock. */
  ListPrev,
  ListNext,
  /** Links of the reclaim queue, or the free list; under the reclaim lock. */
  QueuePrev,
  QueueNext,
  /** Not 0 on the mapping's dirty list: the second (of the driver's clock, see mapping.ts) it became dirty. Under ListLock. */
  DirtiedAt,
  /** Which reclaim queue: QueueName (pagecache/queues.ts); under the reclaim lock. */
  Queue,
  Words,
}

export const OWNER_MASK = 0xfff;
export const INSERTION_ONE = OWNER_MASK + 1;

export const NO_BLOCK = 0;
export const UNWRITTEN_BLOCK = 0xffff_ffff;
/** The device holds the content, and the next write goes to another block. No file's data can lie in block 1. */
export const MOVING_BLOCK = 1;

/** Statistics: doubles, one row per thread, each written by its own thread alone (stats.ts names the columns). */
export const STATISTICS_COLUMNS = 96;

/**
 * Histograms of how long locks were waited for and held (sync/lock-times.ts): for each thread, two for each lock rank. There only
 * in a store that was opened with `lockTimes`. Each written by its own thread alone.
 */
export const LOCK_TIME_BUCKETS = 256;
export const LOCK_TIME_RANKS = 12;
export const LOCK_TIME_WORDS = LOCK_TIME_RANKS * 2 * LOCK_TIME_BUCKETS;

export interface ArenaShape {
  /** Page frames of the cache. */
  frames: number;
  /** In-core inodes, slot 0 included. */
  inodes: number;
  groups: number;
  threads: number;
  exclusions: number;
  pins: number;
  openFiles: number;
  requests: number;
  /** Whether waits for locks and holds of them are timed. */
  timesLocks?: boolean;
  /** Positions of the log whose images are noted; by default none, and checkpoints read the log. */
  logBlocks?: number;
}

/** Word offsets of the regions, and what an index needs to be masked with. */
export interface Layout extends ArenaShape {
  gates: number;
  threadRecords: number;
  /** RANGES_MAX ranges for each thread. */
  ranges: number;
  /** Version words of ranges of pages (sync/versions.ts). */
  versions: number;
  versionMask: number;
  /** Offset in doubles. */
  statistics: number;
  lockTimes: number;
  pageWaits: number;
  locks: number;
  journal: number;
  /** Word of frame f: low word of the last log transaction with its content, until that is in place; else 0. Exchange. */
  loggedFrames: number;
  /** What lies at each position of the log. */
  logImages: number;
  /** Blocks revoked by the running transaction, REVOKED_MAX words. Under the JournalState leaf mutex. */
  revokedBlocks: number;
  inodeBuckets: number;
  inodeBucketMask: number;
  inodeRecords: number;
  groupRecords: number;
  exclusionRecords: number;
  /** TRIM_RUNS runs, a ring. */
  trimRuns: number;
  pinRecords: number;
  openFileRecords: number;
  readaheadRecords: number;
  requestRecords: number;
  pageBuckets: number;
  pageBucketMask: number;
  /** Record of frame f: pageRecords + f * Page.Words (frame 0's is never used). */
  pageRecords: number;
  ghosts: number;
  words: number;
}

function powerOfTwoAtLeast(value: number): number {
  let power = 1;
  while (power < value) power *= 2;
  return power;
}

export function layoutOf(shape: ArenaShape, gates: number): Layout {
  assert(shape.threads < OWNER_MASK, 'more threads than Page.Owner can name');
  let next = 0;
  const region = (words: number): number => {
    const at = next;
    next = Math.ceil((next + words) / LINE_WORDS) * LINE_WORDS;
    return at;
  };
  region(Header.Words);
  const gatesAt = region(gates * Gate.Words);
  const threadRecords = region(shape.threads * Thread.Words);
  const ranges = region(shape.threads * RANGES_MAX * Range.Words);
  // In a small cache a word a page at most, so that a page still takes no more than 64 bytes.
  const versionCount = Math.min(VERSIONS_MAX, powerOfTwoAtLeast(shape.frames / 2 + 1));
  const versions = region(versionCount);
  const statistics = region(shape.threads * STATISTICS_COLUMNS * 2) / 2;
  const lockTimes = region(shape.timesLocks === true ? shape.threads * LOCK_TIME_WORDS : 0);
  const pageWaits = region(PAGE_WAIT_QUEUES);
  const locks = region(GlobalLock.Words);
  const journal = region(Journal.Words);
  const loggedFrames = region(shape.frames + 1);
  const logImages = region((shape.logBlocks ?? 0) * LogImageWord.Words);
  const revokedBlocks = region(REVOKED_MAX);
  const inodeBucketCount = powerOfTwoAtLeast(shape.inodes);
  const inodeBuckets = region(inodeBucketCount);
  const inodeRecords = region(shape.inodes * Inode.Words);
  const groupRecords = region(shape.groups * Group.Words);
  const exclusionRecords = region(shape.exclusions * Exclusion.Words);
  const trimRuns = region(TRIM_RUNS * TrimRun.Words);
  const pinRecords = region(shape.pins * Pin.Words);
  const openFileRecords = region(shape.openFiles * OpenFile.Words);
  const readaheadRecords = region(READAHEAD_ENTRIES * ReadaheadEntry.Words);
  const requestRecords = region(shape.requests * Request.Words);
  // Between two thirds and four thirds of a page a bucket; with descriptor, ghost entry and logged frame 59 to 62 bytes a page.
  const pageBucketCount = powerOfTwoAtLeast(Math.ceil((shape.frames * 3) / 4));
  const pageBuckets = region(pageBucketCount);
  const pageRecords = region((shape.frames + 1) * Page.Words);
  const ghosts = region(shape.frames);
  return {
    ...shape,
    gates: gatesAt,
    threadRecords,
    ranges,
    versions,
    versionMask: versionCount - 1,
    statistics,
    lockTimes,
    pageWaits,
    locks,
    journal,
    loggedFrames,
    logImages,
    revokedBlocks,
    inodeBuckets,
    inodeBucketMask: inodeBucketCount - 1,
    inodeRecords,
    groupRecords,
    exclusionRecords,
    trimRuns,
    pinRecords,
    openFileRecords,
    readaheadRecords,
    requestRecords,
    pageBuckets,
    pageBucketMask: pageBucketCount - 1,
    pageRecords,
    ghosts,
    words: next,
  };
}
