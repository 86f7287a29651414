// Plants bugs in a copy of the compiled engine, one at a time, and lets the power-cut machine look for them. Each must be
// found, and nothing may be found in the copy as it is. Prints who was found by what, and the score; exits with 1 unless all
// were. Options: --seed N, --images N (per bug and kind of workload, default 6000), --only TEXT,… (parts of bugs' names), --dry
// (only sees whether each can still be planted).
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { editedFiles, plant } from './edited-files.mjs';

const ROOT = new URL('..', import.meta.url).pathname;
const { values: options } = parseArgs({
  options: {
    seed: { type: 'string', default: '1' },
    images: { type: 'string', default: '6000' },
    only: { type: 'string', default: '' },
    dry: { type: 'boolean', default: false },
    // How the script calls itself, for one copy.
    look: { type: 'string' },
  },
});

/** Edits are [file, pattern, replacement]; each pattern must be there exactly once. */
const BUGS = [
  {
    name: 'commit record before its blocks',
    edits: [
      ['journal/log-writer.js', /if \(records === RECORD_SLOTS/, 'if (false'],
      [
        'journal/log-writer.js',
        /if \(!task\.tryWrite\(device, pieces, start\)\)\s*yield task\.write\(device, pieces, start\);/,
        `const bytes = pieces.reduce((sum, piece) => sum + piece.length, 0);
            yield task.write(device, [pieces.at(-1)], start + bytes - area.blockBytes);
            yield task.write(device, [pieces[0]], start);
            yield task.flush(device);
            yield task.write(device, pieces.slice(1, -1), start + area.blockBytes);`,
      ],
      ['journal/log-scan.js', /if \(verifying && !/, 'if (false && !'],
      ['journal/replay.js', /if \(imageChecksum\(/, 'if (false && imageChecksum('],
    ],
  },
  {
    name: 'missing flush of a commit',
    edits: [['journal/commit.js', /yield\* this\.flush\(task\);(\s*\/\/ Who sees)/, '$1']],
  },
  {
    name: 'missing flush between data and log',
    edits: [['journal/commit.js', /if \(this\.isOrdered\)/, 'if (false)']],
  },
  {
    name: 'missing flush of data without metadata',
    edits: [['journal/journal.js', /yield\* commit\.flush\(task\);/, 'return;']],
  },
  {
    name: 'order of data looked up after the next transaction began',
    edits: [
      ['journal/commit.js', /this\.isOrdered = words\[([^\]]+)\] === words\[[^\]]+\];/, 'this.orderedAt = $1;'],
      ['journal/commit.js', /if \(this\.isOrdered\)/, 'if (this.words[this.orderedAt] === (number | 0))'],
    ],
  },
  {
    name: 'data after the commit',
    edits: [
      ['pagecache/writeback.js', /else \{\s*const buffers = [^}]*blocks\.block[^}]*\}/, ''],
      [
        'pagecache/writeback.js',
        /yield\* operations\.completeWrite\(task, mapping, index, blocks, false\);/,
        `yield* operations.completeWrite(task, mapping, index, blocks, false);
    yield* operations.journal.commit(task);
    const late = cache.frames.gather(run.frames, from, end);
    if (!movesOnWrite) yield task.write(cache.device, late, blocks.block * cache.frames.blockBytes);`,
      ],
    ],
  },
  {
    name: 'quarantine off',
    edits: [['allocator/group-search.js', / \+ quarantine\.overlay\(group, scratch, start\)/, '']],
  },
  {
    name: 'no revocation of freed metadata',
    edits: [['journal/journal.js', /this\.revocations\.add\(task, block\);/, '']],
  },
  {
    name: 'recovery takes no notice of revocations',
    edits: [['journal/log-scan.js', /if \(revoked === undefined \|\| revoked < image\.sequence\)/, '']],
  },
  {
    name: 'discard before the transaction is durable',
    edits: [
      [
        'allocator/quarantine.js',
        /durableRanges\(task, group, durable\) \{/,
        `durableRanges(task, group, durable) {
        durable = (durable + 1) | 0;`,
      ],
    ],
  },
  {
    name: 'checkpoint moves the tail before a flush',
    edits: [['journal/checkpoint.js', /yield task\.flush\(device\);/, '']],
  },
  {
    name: 'recovery moves the head before a flush',
    edits: [['journal/recovery.js', /yield io\.flush\(device\);/, '']],
  },
  {
    name: 'recovery that cannot be repeated: the head first, then the blocks',
    edits: [
      [
        'journal/recovery.js',
        /yield\* replay\(io, device, area, images\);\s*if \(images\.length > 0\)\s*yield io\.flush\(device\);/,
        '',
      ],
      [
        'journal/recovery.js',
        /(tailPosition: scan\.end\.position,\s*writtenMs: now,\s*\}\);)/,
        `$1
    yield* replay(io, device, area, images);
    yield io.flush(device);`,
      ],
    ],
  },
  {
    name: 'images of the log not verified',
    edits: [
      ['journal/log-scan.js', /if \(verifying && !/, 'if (false && !'],
      ['journal/replay.js', /if \(imageChecksum\(/, 'if (false && imageChecksum('],
    ],
  },
  {
    name: 'orphan list off',
    edits: [['store/mount.js', /session\.run\('open', engine\.inodes\.finishOrphans\(.*\)\);/, '']],
  },
  {
    name: 'deleted file not on the orphan list',
    edits: [
      [
        'inode/orphan-list.js',
        /if \(!list\.hasWork\(slot\)\)\s*list\.link\(task, slot, view, record\);(\s*view\.setUint32\(record \+ 8)/,
        '$1',
      ],
      ['inode/orphan-list.js', /yield\* list\.unlink\(task, slot, view, record\);(\s*clearInodeRecord)/, '$1'],
    ],
  },
  {
    name: 'truncation leaves no record of its work',
    edits: [
      [
        'inode/extent-work.js',
        /change\(\);\s*yield\* orphans\.record\(task, slot, progress\.place, work\);/,
        'change();',
      ],
      ['inode/extent-work.js', /progress\.isRecorded = true;\s*yield\* between/, 'yield* between'],
    ],
  },
  {
    name: 'zeros behind a cut not written before the file grows',
    edits: [['file/truncate.js', /yield\* cache\.writeRange\(task, slot, first - 1, first, \{ wait: true \}\);/, '']],
  },
  {
    name: 'preallocated blocks shown as data',
    edits: [['file/extent-change.js', /(claimed\.start, run\.length, )true/, '$1false']],
  },
  {
    name: 'data with checksums written in place',
    edits: [
      [
        'pagecache/writeback.js',
        /if \(movesOnWrite\)\s*markMoving\(cache, run\.frames\[i\]\);\s*else\s*place/,
        'place',
      ],
    ],
  },
  {
    name: 'rename in two transactions',
    edits: [
      [
        'store/namespace.js',
        /yield\* this\.removeOrUndo\(task, from, to, oldIno\);/,
        `journal.end(task);
                yield* journal.commit(task);
                yield* journal.begin(task, 40);
                yield* this.removeOrUndo(task, from, to, oldIno);`,
      ],
    ],
  },
  {
    name: 'sync without the data',
    edits: [
      ['file/sync.js', /yield\* engine\.cache\.writeRange\(task, slot, 0, MAX_FILE_PAGES, \{ wait: true \}\)/, 'null'],
    ],
  },
];

const WORKLOADS = [
  ['sequences', (campaign, o) => campaign.cutSequences(2, o)],
  ['random', (campaign, o) => campaign.cutRandomWorkloads(1, 300, o)],
  ['scattered', (campaign, o) => campaign.cutScatteredFiles(150, o)],
  ['threads', (campaign, o) => campaign.cutRandomWorkloads(4, 40, o)],
  ['truncations', (campaign, o) => campaign.cutTruncations(3, 30, o)],
];

/** In a process of its own: the copy's machine looks at the copy's engine. */
async function look(copy) {
  const campaign = await import(join(copy, 'dist/src/explore/power-cut-campaign.js'));
  let images = 0;
  for (const [name, run] of WORKLOADS) {
    let found = null;
    try {
      const report = run(campaign, { seed: Number(options.seed), images: Number(options.images) });
      images += report.images;
      found = report.failure?.message ?? null;
    } catch (error) {
      found = `thrown while it ran: ${error}`;
    }
    if (found !== null) return { found, by: name, images };
  }
  return { found: null, images };
}

function lookInProcess(copy) {
  const child = spawnSync(
    process.execPath,
    [new URL(import.meta.url).pathname, '--look', copy, ...process.argv.slice(2)],
    {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  );
  if (child.status !== 0)
    return { found: `the process ended with ${child.status ?? child.signal}`, by: '-', images: 0 };
  return JSON.parse(child.stdout);
}

function dry() {
  for (const { edits } of BUGS) editedFiles(join(ROOT, 'dist/src'), edits);
  console.log(`${BUGS.length} bugs can be planted`);
}

function main() {
  const copy = mkdtempSync(join(tmpdir(), 'emmental-planted-'));
  let missed = 0;
  try {
    mkdirSync(join(copy, 'dist'));
    cpSync(join(ROOT, 'dist/src'), join(copy, 'dist/src'), { recursive: true });
    cpSync(join(ROOT, 'package.json'), join(copy, 'package.json'));
    symlinkSync(join(ROOT, 'node_modules'), join(copy, 'node_modules'));
    const bugs = BUGS.filter(({ name }) => options.only.split(',').some((part) => name.includes(part)));
    const clean = lookInProcess(copy);
    console.log(`as it is: ${clean.found === null ? `nothing found in ${clean.images} images` : clean.found}`);
    if (clean.found !== null) return 1;
    for (const { name, edits } of bugs) {
      const restore = plant(join(copy, 'dist/src'), edits);
      const { found, by, images } = lookInProcess(copy);
      restore();
      if (found === null) missed += 1;
      const what = found === null ? `MISSED in ${images} images` : `found by ${by} after ${images} images`;
      const line =
        found
          ?.split('\n')
          .filter((text) => text.trim() !== '')
          .slice(0, 2)
          .join(' | ') ?? '';
      console.log(`${name}: ${what}\n    ${line.slice(0, 200)}`);
    }
    console.log(`score: ${bugs.length - missed} of ${bugs.length} planted bugs found`);
  } finally {
    rmSync(copy, { recursive: true, force: true });
  }
  return missed === 0 ? 0 : 1;
}

if (options.dry) dry();
else if (options.look !== undefined) console.log(JSON.stringify(await look(options.look)));
else process.exitCode = main();
