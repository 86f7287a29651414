// Sabotages of src/journal: a log that is written over, commits that miss somebody's changes, sleepers that nobody wakes.

export const JOURNAL = [
  {
    name: 'log-written-over',
    what: 'a commit does not look whether the log has room',
    edits: [['src/journal/commit.ts', '    while (log.free < length) yield* this.checkpoint.run(task);\n', '']],
    explore: ['full-punches'],
  },
  {
    name: 'checkpoints-at-once',
    what: 'two threads empty the log at the same time',
    edits: [
      ['src/journal/checkpoint.ts', '    yield* lockMutex(task, this.lock);\n', ''],
      ['src/journal/checkpoint.ts', '      unlockMutex(task, this.lock);\n', ''],
      ['src/journal/checkpoint.ts', 'import { initMutex, lockMutex, unlockMutex }', 'import { initMutex }'],
      ['src/journal/checkpoint.ts', 'private readonly lock: number;', 'readonly lock: number;'],
    ],
    explore: ['full-background'],
  },
  {
    name: 'snapshot-beside-handles',
    what: 'a commit does not wait for the handles that are open',
    edits: [
      [
        'src/journal/commit.ts',
        '        if (open === 0) break;\n        yield task.wait(at + Word.Handles, open);\n',
        '        if (open >= 0) break;\n',
      ],
    ],
    explore: ['full-punches', 'full-background'],
  },
  {
    name: 'starters-not-woken',
    what: 'who waits to begin a handle is not told that the snapshot is over',
    edits: [['src/journal/commit.ts', '      task.driver.wake(at + Word.Stopped, EVERYBODY);\n', '']],
    explore: ['full-punches'],
  },
  {
    name: 'committer-not-woken',
    what: 'the last handle does not wake the commit that waits for it',
    edits: [['src/journal/journal.ts', '    if (wakeCommitter) task.driver.wake(at + Word.Handles, 1);\n', '']],
    explore: ['full-punches'],
  },
  {
    name: 'sharers-not-woken',
    what: 'who shares a flush is not told that it is over',
    edits: [['src/journal/journal.ts', '        commit.announce(task);\n', '']],
    explore: ['full-punches'],
  },
];
