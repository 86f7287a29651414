// Sabotages of src/inode and src/allocator: blocks that are found, mapped, freed and given out a little wrong.

export const BLOCKS = [
  {
    name: 'quarantine-not-looked-at',
    what: 'the search for free blocks does not see the quarantined ones',
    edits: [
      [
        'src/allocator/group-search.ts',
        'claims.overlay(task, group, scratch, start) + quarantine.overlay(group, scratch, start);',
        'claims.overlay(task, group, scratch, start);',
      ],
    ],
    explore: ['reuse-early'],
  },
  {
    name: 'freed-block-free-at-once',
    what: 'freed blocks are not quarantined at all',
    edits: [
      [
        'src/allocator/allocator.ts',
        'this.quarantine.add(task, group, start, length, this.journal.running);',
        'Atomics.add(task.words, Header.BlocksFree, length);',
      ],
    ],
    explore: ['reuse-early'],
  },
  {
    name: 'released-before-durable',
    what: 'blocks leave the quarantine with whatever commit comes first',
    edits: [
      [
        'src/allocator/quarantine.ts',
        'if (!reached(durable, words[at + Exclusion.Transaction])) {',
        'if (!reached(durable, durable)) {',
      ],
    ],
    explore: ['reuse-other-commit'],
  },
  {
    name: 'claims-not-looked-at',
    what: 'the search does not see blocks that others have claimed',
    edits: [
      [
        'src/allocator/group-search.ts',
        'claims.overlay(task, group, scratch, start) + quarantine.overlay(group, scratch, start);',
        'quarantine.overlay(group, scratch, start);',
      ],
    ],
    explore: ['two-allocations'],
  },
  {
    name: 'failed-claim-kept',
    what: 'blocks that were claimed for a write which failed stay claimed',
    edits: [
      ['src/inode/file-mapping.ts', '        this.allocator.unclaim(task, run.block + from, run.length - from);\n', ''],
    ],
    explore: ['failing-writeback-delayed'],
  },
  {
    name: 'kept-promise-stays',
    what: 'a promise that was kept is not taken back',
    edits: [
      ['src/allocator/claims.ts', '      Atomics.sub(records.words, Header.BlocksReserved, reservedPages);\n', ''],
    ],
    explore: ['delayed-punch'],
  },
  {
    name: 'punch-frees-a-neighbour',
    what: 'a punch in the middle of an extent frees the blocks of its beginning',
    edits: [
      [
        'src/inode/extent-remove.ts',
        'yield* tree.allocator.free(task, block + (first - page), end - first);',
        'yield* tree.allocator.free(task, block, end - first);',
      ],
    ],
    explore: ['punch-read'],
  },
  {
    name: 'written-page-unwritten',
    what: 'a page written to preallocated blocks goes on reading as zeros',
    edits: [
      [
        'src/inode/file-mapping.ts',
        '    if (run.kind === RunKind.Unwritten) yield* this.extents.convert(task, slot, index, run.length);\n',
        '',
      ],
    ],
    explore: ['zero-write'],
  },
  {
    name: 'preallocated-blocks-kept',
    what: 'writeback maps its blocks over those that a preallocation put there meanwhile',
    edits: [
      [
        'src/inode/file-mapping.ts',
        '    if (found.kind === RunKind.Unwritten) yield* extents.remove(task, slot, page, page + found.length);\n',
        '',
      ],
    ],
    explore: ['delayed-allocate'],
  },
  {
    name: 'mapped-without-lock',
    what: 'a fill looks its blocks up without the lock of the extent map',
    edits: [
      [
        'src/inode/file-mapping.ts',
        '    if (task.yieldsAtLocks || !tryAcquireShared(task, lock)) yield* acquireShared(task, lock);\n' +
          '    try {\n' +
          '      if (!this.extents.tryLookup(task, slot, index, run, max)) {\n' +
          '        yield* this.extents.lookup(task, slot, index, run, max);\n' +
          '      }\n' +
          '    } finally {\n' +
          '      releaseShared(task, lock);\n' +
          '    }',
        '    if (lock > 0 && !this.extents.tryLookup(task, slot, index, run, max)) {\n' +
          '      yield* this.extents.lookup(task, slot, index, run, max);\n' +
          '    }',
      ],
    ],
    explore: ['punch-read'],
  },
];
