// Sabotages of src/sync and src/locking: locks that let in whom they must not, or forget to wake.

export const LOCKS = [
  {
    name: 'second-lock-forgotten',
    what: 'an operation that needs both locks of the inode takes the first alone',
    edits: [['src/locking/guard.ts', 'if (lower === 0) return mask;', 'if (lower === 0 || upper !== 0) return upper;']],
    explore: ['punch-read'],
  },
  {
    name: 'first-lock-kept',
    what: 'an operation gives the invalidate lock back and keeps i_rwsem',
    edits: [
      ['src/locking/guard.ts', '    if (upper !== 0) release(this.iRwsem, task, record + Inode.IRwsem, upper);\n', ''],
    ],
    explore: ['punch-read'],
  },
  {
    name: 'writer-wakes-nobody',
    what: 'the writer of an rwsem leaves without handing over',
    edits: [
      [
        'src/sync/rwsem.ts',
        '  if ((old & (RwsemState.Waiters | RwsemState.Kicked)) === RwsemState.Waiters) handOver(task, at);\n',
        '',
      ],
    ],
    explore: ['punch-read'],
  },
  {
    name: 'reader-wakes-nobody',
    what: 'so does the last reader',
    edits: [['src/sync/rwsem.ts', '    if ((old & RwsemState.Kicked) === 0) handOver(task, at);\n', '']],
    explore: ['punch-read'],
  },
  {
    name: 'queue-unannounced',
    what: 'who queues for an rwsem does not say so in its word',
    edits: [
      [
        'src/sync/rwsem.ts',
        'const next = enters ? state + step : state | RwsemState.Waiters;',
        'const next = enters ? state + step : state;',
      ],
    ],
    explore: ['punch-read'],
  },
  {
    name: 'kick-stays',
    what: 'a writer that was kicked in vain leaves the mark that says so',
    edits: [['src/sync/rwsem.ts', 'next = state & ~RwsemState.Kicked;', 'next = state;']],
    explore: ['two-punches-read'],
  },
  {
    name: 'handoff-never-asked',
    what: 'a writer at the head of the queue lets others go first for ever',
    edits: [['src/sync/rwsem.ts', '    } else if (late) {\n      next |= RwsemState.Handoff;\n    }', '    }']],
    explore: ['passed-write'],
    tests: ['test/sync/rwsem.test.ts'],
  },
  {
    name: 'readers-pass-writers',
    what: 'readers enter although a writer queues',
    edits: [
      [
        'src/sync/rwsem-policy.ts',
        'return RwsemState.Writer | RwsemState.Waiters | RwsemState.Handoff;',
        'return RwsemState.Writer;',
      ],
    ],
    explore: ['passed-punch'],
  },
  {
    name: 'grant-wakes-nobody',
    what: 'a thread that is granted a lock is not woken',
    edits: [
      [
        'src/sync/wait-queue.ts',
        'Atomics.store(task.words, granted, Node.Granted);\n  task.wakes.push(granted);',
        'Atomics.store(task.words, granted, Node.Granted);',
      ],
    ],
    explore: ['punch-read'],
  },
  {
    name: 'mutex-wakes-nobody',
    what: 'a mutex is given back and who waits for it sleeps on',
    edits: [['src/sync/mutex.ts', '    task.driver.wake(at + Mutex.State, 1);\n', '']],
    tests: ['test/sync/mutex.test.ts'],
  },
  {
    name: 'ranges-overlap-by-more',
    what: 'ranges that share one page do not exclude each other',
    edits: [
      [
        'src/sync/range-lock.ts',
        'return unsigned[a + Range.First] < unsigned[b + Range.End] &&',
        'return unsigned[a + Range.First] + 1 < unsigned[b + Range.End] &&',
      ],
    ],
    explore: ['punch-read under range-lock'],
  },
  {
    name: 'range-wakes-nobody',
    what: 'a range is given back and who waits for it sleeps on',
    edits: [['src/sync/range-lock.ts', '    task.wakes.push(other + Range.State);\n', '']],
    explore: ['punch-read under range-lock'],
  },
  {
    name: 'two-states-at-once',
    what: 'fillers enter a two-state lock beside an invalidator',
    edits: [['src/sync/two-state.ts', '(step > 0 ? state >= 0 : state <= 0)', '(step > 0 || state <= 0)']],
    explore: ['punch-read under two-state'],
  },
  {
    name: 'two-state-passes-waiters',
    what: 'its waiters are passed by their own side',
    edits: [['src/sync/two-state.ts', 'return (state & WAITERS) === 0 && (step', 'return (step']],
    explore: ['passed-punch under two-state', 'starved-punch under two-state'],
    tests: ['test/sync/two-state.test.ts'],
  },
  {
    name: 'revocation-waits-for-nobody',
    what: 'a writer revokes the bias and does not wait for the readers inside',
    edits: [
      ['src/sync/reader-biased.ts', '      while (Atomics.load(words, slot) === at) yield task.wait(slot, at);\n', ''],
    ],
    explore: ['punch-read under reader-biased'],
  },
  {
    name: 'biased-reader-looks-once',
    what: 'a biased reader does not look whether the bias went while it published itself',
    edits: [
      [
        'src/sync/reader-biased.ts',
        'if (Atomics.load(task.words, at + Rwsem.BiasOff) === 0) return true;',
        'if (Atomics.load(task.words, at + Rwsem.BiasOff) !== -1) return true;',
      ],
    ],
    tests: ['test/sync/reader-biased.test.ts'],
  },
  {
    name: 'version-not-raised',
    what: 'the end of a write leaves the versions as they were before it',
    edits: [
      [
        'src/sync/versions.ts',
        'addToAll(task, key, first, end, VERSION_ONE - 1);',
        'addToAll(task, key, first, end, -1);',
      ],
    ],
    explore: ['miss-write under optimistic'],
  },
  {
    name: 'version-of-first-pages',
    what: 'of a long write only the first pages count as changed',
    edits: [
      [
        'src/sync/versions.ts',
        'const last = start + spanOf(first, end, versionMask);\n  for (let i = start; i <= last; i++) Atomics.add',
        'const last = end > 0 ? start : start + 1;\n  for (let i = start; i <= last; i++) Atomics.add',
      ],
    ],
    tests: ['test/sync/versions.test.ts'],
  },
  {
    name: 'fence-forgotten',
    what: 'a thread that died with a lock is forgotten like one that held nothing',
    edits: [
      ['src/sync/threads.ts', 'if (held) fence(arena, thread, driver);\n    else forget', 'if (!held || held) forget'],
    ],
    explore: ['death-punch'],
  },
  {
    name: 'size-read-in-halves',
    what: 'the size is read without its sequence',
    edits: [
      [
        'src/inode/inode.ts',
        'if (Atomics.load(words, at + Inode.SizeSeq) === before) return',
        'if (before >= 0) return',
      ],
    ],
    tests: ['test/inode/size.test.ts'],
  },
];
