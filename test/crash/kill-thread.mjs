/**
 * One thread of the process that the kill test ends: performs random operations on its own files, and writes a line to the
 * pipe before each (`b` thread number) and after each (`e` thread number). What it does follows from the seed and from what
 * the store holds, so that the parent can work it out again. Announcing may block, and then the kill comes all the same.
 */
import { writeSync } from 'node:fs';
import { workerData } from 'node:worker_threads';
import { CrashModel } from '../../dist/src/explore/crash-model.js';
import { CrashRandom } from '../../dist/src/explore/crash-random.js';
import { randomOperations } from '../../dist/src/explore/crash-sequences.js';
import { BlockContents } from '../../dist/src/explore/power-cut-contents.js';
import { attachStore } from '../../dist/src/worker.js';
import { firstFileOf, isBackground, prefixOf, seedOf, seenFiles } from './kill-shared.mjs';

const { handle, seed, index, round } = workerData;
const PIPE = 3;
const store = attachStore(handle);
const contents = new BlockContents(4096);
const prefix = prefixOf(index);
const model = CrashModel.resume(contents, seenFiles(store, contents, prefix), firstFileOf(round, index));

function announce(line) {
  const bytes = Buffer.from(line);
  for (let done = 0; done < bytes.length; ) {
    try {
      done += writeSync(PIPE, bytes, done);
    } catch (error) {
      if (error.code !== 'EAGAIN') throw error;
    }
  }
}

function perform({ kind, name, to, position, length }, bytes) {
  if (kind === 'syncAll') return store.sync();
  if (kind === 'unlink') return store.unlink(name);
  if (kind === 'rename') return store.rename(name, to);
  const file = store.open(name, kind === 'create' ? 'wx+' : 'r+');
  try {
    switch (kind) {
      case 'create':
        return;
      case 'write':
        return file.write(bytes, 0, bytes.length, position);
      case 'append':
        return file.write(bytes, 0, bytes.length, model.sizeBefore);
      case 'truncate':
        return file.truncate(position);
      case 'punch':
        return file.punchHole(position, length);
      case 'zero':
        return file.zeroRange(position, length);
      case 'fallocate':
        return file.fallocate(position, length);
      case 'collapse':
        return file.collapseRange(position, length);
      case 'insert':
        return file.insertRange(position, length);
      case 'sync':
        return file.sync();
      case 'datasync':
        return file.datasync();
    }
  } finally {
    file.close();
  }
}

let number = 0;
for (const operation of randomOperations(new CrashRandom(seedOf(seed, round, index)), prefix)) {
  if (isBackground(operation) || !model.isPossible(operation)) continue;
  announce(`b ${index} ${number}\n`);
  perform(operation, model.begin(operation, 0));
  announce(`e ${index} ${number++}\n`);
}
