// Sabotages of src/file: operations that forget a lock, a second look, or what an edge asks for. See scripts/sabotages.mjs.

export const FILE = [
  {
    name: 'read-fills-unlocked',
    what: 'a read that misses fills without the lock',
    edits: [
      [
        'src/file/read.ts',
        'const taken = yield* guard.enter(task, slot, Operation.ReadMiss, index, index + total, held);',
        'const taken = 0;',
      ],
    ],
    explore: ['punch-read'],
  },
  {
    name: 'read-locks-one-page',
    what: 'a read that fills several pages holds the range of the first',
    edits: [['src/file/read.ts', 'Operation.ReadMiss, index, index + total,', 'Operation.ReadMiss, index, index + 1,']],
    explore: ['punch-wide under range-lock'],
  },
  {
    name: 'read-locks-twice',
    what: 'a miss inside a read that holds i_rwsem takes it again',
    edits: [['src/file/read.ts', 'index, index + total, held);', 'index, index + total);']],
    explore: ['punch-read under i-rwsem'],
  },
  {
    name: 'busy-page-stays-pinned',
    what: 'who waited for a page that another thread fills forgets to unpin it',
    edits: [['src/file/read.ts', '    cache.unpin(blocker);\n', '']],
    explore: ['two-fills'],
  },
  {
    name: 'slow-read-not-validated',
    what: 'an optimistic read takes what it copied for good without looking at the version again',
    edits: [['src/file/read.ts', 'if (guard.versionOf(slot, first, end) === version) done = n;', 'done = n;']],
    explore: ['miss-write under optimistic'],
  },
  {
    name: 'hit-not-validated',
    what: 'the same for hits',
    edits: [
      ['src/file/hot-path.ts', 'if (guard.versionOf(slot, first, end) === version) return done;', 'return done;'],
    ],
    tests: ['test/schemes/atomicity.test.ts'],
  },
  {
    name: 'hit-looks-once',
    what: 'a hit without a pin does not look whether its frame became another page meanwhile',
    edits: [
      [
        'src/file/page-copier.ts',
        'if (((this.unsigned[page + Page.Owner] ^ owner) & ~OWNER_MASK) !== 0) {',
        'if (this.unsigned[page + Page.Owner] < 0 && owner > OWNER_MASK) {',
      ],
    ],
    tests: ['test/file/races.test.ts', 'test/pagecache/races.test.ts', 'test/file/hot-path.test.ts'],
  },
  {
    name: 'readahead-unlocked',
    what: 'readahead fills without the lock',
    edits: [
      [
        'src/file/advise.ts',
        'const taken = yield* guard.enter(task, slot, operation, page, Math.min(page + chunk, end));',
        'const isAhead = operation === Operation.Readahead;\n' +
          'const taken = isAhead ? 0 : yield* guard.enter(task, slot, operation, page, Math.min(page + chunk, end));',
      ],
    ],
    explore: ['punch-readahead'],
  },
  {
    name: 'willneed-unlocked',
    what: 'WILLNEED fills without the lock',
    edits: [
      [
        'src/file/advise.ts',
        'const taken = yield* guard.enter(task, slot, operation, page, Math.min(page + chunk, end));',
        'const isAhead = operation === Operation.Readahead;\n' +
          'const taken = isAhead ? yield* guard.enter(task, slot, operation, page, Math.min(page + chunk, end)) : 0;',
      ],
    ],
    explore: ['punch-willneed'],
  },
  {
    name: 'fault-fills-unlocked',
    what: 'a fault that misses fills without the lock',
    edits: [
      ['src/file/pin.ts', 'taken = yield* guard.enter(task, slot, Operation.Fault, index, index + 1);', 'taken = 0;'],
    ],
    explore: ['punch-fault'],
  },
  {
    name: 'mkwrite-without-recheck',
    what: 'mkwrite does not look whether the page was dropped before it got its lock',
    edits: [
      [
        'src/file/pin.ts',
        'if (engine.cache.isDetached(frame)) return false;\n        if (positionBytes >= ',
        'if (positionBytes >= ',
      ],
    ],
    explore: ['punch-mkwrite'],
  },
  {
    name: 'release-without-recheck',
    what: 'nor does the release of the pin',
    edits: [['src/file/pin.ts', '    if (cache.isDetached(frame)) return;\n', '']],
    explore: ['punch-mkwrite'],
  },
  {
    name: 'mkwrite-unlocked',
    what: 'mkwrite and the release take the page lock alone',
    edits: [
      [
        'src/file/pin.ts',
        'const taken = yield* guard.enter(task, slot, Operation.Mkwrite, index, index + 1);',
        'const taken = 0;',
      ],
    ],
    explore: ['collapse-mkwrite'],
    tests: ['test/file/races.test.ts'],
  },
  {
    name: 'punch-unlocks-early',
    what: 'a punch gives the invalidate lock back before the blocks are freed',
    edits: [
      [
        'src/file/punch.ts',
        'const taken = yield* guard.enter(task, slot, Operation.Punch,',
        'let taken = yield* guard.enter(task, slot, Operation.Punch,',
      ],
      [
        'src/file/punch.ts',
        'const work = { kind: WorkKind.Remove, first, end, resume: 0 };',
        'guard.leave(task, slot, taken & 0xf0);\n' +
          'taken &= 0x0f;\n' +
          'const work = { kind: WorkKind.Remove, first, end, resume: 0 };',
      ],
    ],
    explore: ['punch-fault'],
  },
  {
    name: 'punch-frees-first',
    what: 'a punch frees the blocks before it drops the pages',
    edits: [
      [
        'src/file/punch.ts',
        'if (first < end) yield* probeExtents(task, engine, slot, first, end);',
        'if (first < end) yield* engine.inodes.work.perform(task, slot, { kind: WorkKind.Remove, first, end, resume: 0 });',
      ],
    ],
    explore: ['reuse-fault', 'punch-writeback', 'reuse-writeback'],
  },
  {
    name: 'punch-pushes-no-size',
    what: 'the size that waited for a dropped page never reaches the device',
    edits: [['src/file/punch.ts', '    yield* pushSize(task, engine, slot);\n', '']],
    tests: ['test/file/punch.test.ts', 'test/crash'],
  },
  {
    name: 'edge-not-zeroed',
    what: 'the page of which a part is punched keeps its bytes',
    edits: [['src/file/edge.ts', '      engine.frames.bytes(frame).set(engine.zeros.subarray(from, to), from);\n', '']],
    explore: ['edge-read'],
  },
  {
    name: 'edge-not-dirtied',
    what: 'its zeros stay in the cache',
    edits: [
      [
        'src/file/edge.ts',
        'from);\n      cache.markDirty(task, slot, frame);\n    } finally {',
        'from);\n    } finally {',
      ],
    ],
    explore: ['edge-read'],
  },
  {
    name: 'size-after-drop',
    what: 'a truncation sets the size after it has dropped the pages',
    edits: [
      [
        'src/file/truncate.ts',
        '() => setSizes(task, slot, sizeBytes),',
        '() => {\nsetDiskSize(task, slot, sizeBytes);\ntouchModified(task, slot);\n},',
      ],
      [
        'src/file/truncate.ts',
        "yield task.point('truncate:dropped');",
        "yield task.point('truncate:dropped');\nsetSize(task, slot, sizeBytes);",
      ],
    ],
    explore: ['shorten-read', 'cut-read', 'regrow-read', 'shorten-fault', 'shorten-mkwrite', 'cut-mkwrite'],
    tests: ['test/file/truncate.test.ts', 'test/file/races.test.ts'],
  },
  {
    name: 'truncate-as-a-write',
    what: 'a truncation takes no more than a write does',
    edits: [
      ['src/file/truncate.ts', 'slot, Operation.Truncate, sizeBytes);', 'slot, Operation.Write, sizeBytes);'],
      ['src/file/truncate.ts', '  engine.guard.assertInvalidating(task, slot, Operation.Truncate, first);\n', ''],
    ],
    explore: ['regrow-read'],
  },
  {
    name: 'collapse-as-a-write',
    what: 'neither does a collapse',
    edits: [
      ['src/file/shift.ts', 'Operation.Shift, positionBytes);', 'Operation.Write, positionBytes);'],
      ['src/file/shift.ts', '  engine.guard.assertInvalidating(task, slot, Operation.Shift, first);\n', ''],
    ],
    explore: ['collapse-read'],
  },
  {
    name: 'insert-as-a-write',
    what: 'nor an insertion',
    edits: [
      [
        'src/file/shift.ts',
        'Operation.Shift, positionBytes, lengthBytes);',
        'Operation.Write, positionBytes, lengthBytes);',
      ],
      ['src/file/shift.ts', '  engine.guard.assertInvalidating(task, slot, Operation.Shift, first);\n', ''],
    ],
    explore: ['insert-read'],
  },
  {
    name: 'shift-writes-nothing-back',
    what: 'dirty pages that a collapse moves are dropped unwritten',
    edits: [['src/file/shift.ts', '  yield* writeBack(task, engine, slot, moved, MAX_FILE_PAGES);\n', '']],
    explore: ['collapse-writeback'],
  },
  {
    name: 'write-grows-first',
    what: 'a write makes the file longer before it has its page',
    edits: [
      [
        'src/file/write.ts',
        'const frame = yield* this.lockedPage(index, coversPage);',
        'if (at + n > size) setSize(task, slot, at + n);\nconst frame = yield* this.lockedPage(index, coversPage);',
      ],
    ],
    explore: ['failing-write-extend'],
  },
  {
    name: 'new-tail-not-zeroed',
    what: 'a write of part of a new page leaves what the frame held before behind it',
    edits: [['src/file/write.ts', '    if (n < blockBytes) target.set(zeros.subarray(n), n);\n', '']],
    explore: ['recycled-append'],
  },
  {
    name: 'writer-trusts-old-map',
    what: 'a write of several pages does not look whether the extent map has changed since it looked there',
    edits: [['src/file/write.ts', ' && this.mapSequence() === this.runSequence;', ';']],
    explore: ['delayed-allocate', 'reuse-write'],
    tests: ['test/file/read-write.test.ts', 'test/file/model.test.ts'],
    survives:
      'writeback asks the extent map itself for every page that has no block of its own, and while a write holds i_rwsem blocks only come',
  },
  {
    name: 'growth-not-looked-at-again',
    what: 'an extending write keeps a range that does not reach an end which has moved',
    edits: [
      [
        'src/file/enter.ts',
        'if (endBytes <= now || (grows && first <= pageOf(now, blockBytes))) return taken;',
        'if (now >= 0) return taken;',
      ],
    ],
    explore: ['shorten-two-writes under range-lock'],
  },
  {
    name: 'preallocation-keeps-promises',
    what: 'a preallocation does not give back the promises that it did not need',
    edits: [['src/file/allocate.ts', '    if (promised > 0) allocator.unreserve(task, promised);\n', '']],
    explore: ['delayed-allocate'],
  },
  {
    name: 'preallocation-looks-once',
    what: 'a preallocation maps what was a hole before without looking again',
    edits: [['src/file/extent-change.ts', '    if (run.kind !== RunKind.Hole) return 0;\n', '']],
    explore: ['delayed-allocate'],
  },
];
