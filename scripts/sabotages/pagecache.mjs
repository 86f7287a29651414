// Sabotages of src/pagecache: pages that are found, filled, dropped, evicted and written back a little wrong.

export const PAGECACHE = [
  {
    name: 'insert-without-look',
    what: 'a page is inserted without a look whether it is there by now',
    edits: [
      ['src/pagecache/lookup.ts', 'const present = this.walk(hash, mapping, index);', 'const present = NONE as Frame;'],
    ],
    explore: ['full-fills'],
    tests: ['test/pagecache/races.test.ts'],
  },
  {
    name: 'pin-without-recheck',
    what: 'a lookup does not identify the page again once it has pinned it',
    edits: [
      [
        'src/pagecache/lookup.ts',
        'if ((old & PageFlag.Frozen) === 0 && words[at + Page.Mapping] === tag && words[at + Page.Index] === key) {\n' +
          '          return frame as Frame;\n' +
          '        }\n' +
          '        this.unpin(',
        'if ((old & PageFlag.Frozen) === 0) {\n' +
          '          return frame as Frame;\n' +
          '        }\n' +
          '        this.unpin(',
      ],
    ],
    tests: ['test/pagecache/races.test.ts'],
  },
  {
    name: 'frozen-page-pinned',
    what: 'a lookup under the lock hands out a page that is being evicted',
    edits: [
      [
        'src/pagecache/lookup.ts',
        'if ((Atomics.add(words, at + Page.State, PIN_ONE) & PageFlag.Frozen) === 0) return',
        'if (Atomics.add(words, at + Page.State, PIN_ONE) !== 1) return',
      ],
    ],
    explore: ['punch-reclaim', 'shorten-reclaim'],
  },
  {
    name: 'filled-before-read',
    what: 'a fill marks its pages up to date before the device was read',
    edits: [
      [
        'src/pagecache/fill.ts',
        '  try {\n    yield* load(cache, task, mapping, indices[done], run, frames, done, end);\n  } catch (error) {\n    if (end',
        '  const loading = load(cache, task, mapping, indices[done], run, frames, done, end);\n' +
          '  try {\n  } catch (error) {\n    if (end',
      ],
      ['src/pagecache/fill.ts', '  batch.done = end;\n', '  yield* loading;\n  batch.done = end;\n'],
    ],
    explore: ['two-fills'],
  },
  {
    name: 'detached-page-filled',
    what: 'a fill does not look whether the page that it locked was dropped meanwhile',
    edits: [
      [
        'src/pagecache/fill.ts',
        'else if (isUptodate(cache, frame) || isDetached(cache, frame)) {',
        'else if (isUptodate(cache, frame)) {',
      ],
    ],
    tests: ['test/pagecache/races.test.ts'],
  },
  {
    name: 'failed-fill-stays',
    what: 'the pages of a fill that failed stay in the cache',
    edits: [
      [
        'src/pagecache/fill.ts',
        '    if (batch.created[i] === 1) detach(cache, task, mapping, frame, batch.indices[i]);\n',
        '',
      ],
    ],
    tests: ['test/pagecache/fill.test.ts'],
  },
  {
    name: 'drop-skips-writeback',
    what: 'dropping a page does not wait for its writeback',
    edits: [['src/pagecache/drop.ts', '      yield* locks.waitWriteback(task, frame);\n', '']],
    explore: ['punch-writeback'],
  },
  {
    name: 'drop-keeps-promise',
    what: 'the block that was promised to a dropped page stays promised',
    edits: [['src/pagecache/drop.ts', 'return (old & PageFlag.Reserved) !== 0 ? 1 : 0;', 'return 0;']],
    explore: ['delayed-punch'],
  },
  {
    name: 'dirty-page-evicted',
    what: 'reclaim takes dirty pages too',
    edits: [
      [
        'src/pagecache/page.ts',
        'PageFlag.Locked | PageFlag.Dirty | PageFlag.Writeback | PageFlag.Frozen',
        'PageFlag.Locked | PageFlag.Writeback | PageFlag.Frozen',
      ],
    ],
    explore: ['dirty-reclaim'],
  },
  {
    name: 'pinned-page-evicted',
    what: 'reclaim takes pinned pages too',
    edits: [
      ['src/pagecache/reclaim.ts', 'if ((state & BUSY) !== 0 || state >= PIN_ONE) {', 'if ((state & BUSY) !== 0) {'],
    ],
    explore: ['read-reclaim', 'punch-reclaim'],
  },
  {
    name: 'evicted-page-stays-listed',
    what: 'an evicted page stays in the hash table while its frame becomes another one',
    edits: [
      [
        'src/pagecache/reclaim.ts',
        'this.lookup.remove(task, victims[i] as Frame, mapping, words[page + Page.Index]);',
        'if (mapping < 0) this.lookup.remove(task, victims[i] as Frame, mapping, words[page + Page.Index]);',
      ],
    ],
    explore: ['read-reclaim'],
  },
  {
    name: 'redirtied-page-clean',
    what: 'the end of writeback calls a page clean that was written to meanwhile',
    edits: [
      [
        'src/pagecache/mapping.ts',
        'const old = Atomics.and(words, page + Page.State, ~(PageFlag.Writeback | PageFlag.Waiters));',
        'const old = Atomics.and(words, page + Page.State, ~(PageFlag.Writeback | PageFlag.Waiters | (failed ? 0 : PageFlag.Dirty)));',
      ],
    ],
    explore: ['write-writeback'],
  },
  {
    name: 'failed-page-clean',
    what: 'pages that could not be written are called clean',
    edits: [
      [
        'src/pagecache/writeback.ts',
        'release(cache, task, mapping, run, run.total, true);\n    Atomics.add(',
        'release(cache, task, mapping, run, run.total, false);\n    Atomics.add(',
      ],
    ],
    explore: ['failing-writeback-drop'],
  },
  {
    name: 'sync-passes-writeback-over',
    what: 'who writes back to have it on the device does not wait for what others are writing',
    edits: [['src/pagecache/writeback.ts', '      if (wait) yield* locks.waitWriteback(task, frame);\n', '']],
    tests: ['test/pagecache/writeback.test.ts'],
  },
  {
    name: 'unlock-wakes-nobody',
    what: 'a page is unlocked and its waiters sleep on',
    edits: [['src/pagecache/page-lock.ts', '    if ((old & PageFlag.Waiters) !== 0) this.wake(task, frame);\n', '']],
    explore: ['miss-write'],
  },
  {
    name: 'fill-wakes-nobody',
    what: 'a fill ends and who waits for its pages sleeps on',
    edits: [
      ['src/pagecache/page-lock.ts', 'PageFlag.Waiters);\n      this.wake(task, frame);\n', 'PageFlag.Waiters);\n'],
    ],
    explore: ['two-fills'],
  },
  {
    name: 'page-waiter-unannounced',
    what: 'a thread sleeps for a page without saying so in its word',
    edits: [
      [
        'src/pagecache/page-lock.ts',
        'if (Atomics.compareExchange(this.words, at, old, old | PageFlag.Waiters) === old) return true;',
        'return true;',
      ],
    ],
    explore: ['two-fills'],
  },
];
