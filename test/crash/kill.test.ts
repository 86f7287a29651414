/**
 * A real kill: a process with several threads writes and syncs, announcing every operation over a pipe, and is ended with
 * SIGKILL at some moment. Then the store is opened here, everything in it is held against what was announced, and it is
 * checked. The next round goes on with the same store.
 *
 * EMMENTAL_KILL_ROUNDS is how many rounds, EMMENTAL_KILL_SEED what the threads do. When the kill comes is the machine's.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { copyFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { openHostDevice } from '#dist/src/device/host-device.js';
import { judge, type SeenFile } from '#dist/src/explore/crash-judge.js';
import { CrashModel, type RecordedOperation } from '#dist/src/explore/crash-model.js';
import { CrashRandom } from '#dist/src/explore/crash-random.js';
import { smallPlan } from '#dist/src/explore/crash-recovery.js';
import { randomOperations } from '#dist/src/explore/crash-sequences.js';
import { BlockContents } from '#dist/src/explore/power-cut-contents.js';
import { checkStore, createStore } from '#dist/src/index.js';
import { mount, unmount } from '#dist/src/store/mount.js';
import { SyncStore } from '#dist/src/store/sync-store.js';
import { bundledThread } from '../support/bundled-thread.js';
import { temporaryDirectory } from '../support/temporary.js';
import { firstFileOf, isBackground, prefixOf, seedOf, seenFiles } from './kill-shared.mjs';

const ROUNDS = Number(process.env.EMMENTAL_KILL_ROUNDS ?? 25);
const SEED = Number(process.env.EMMENTAL_KILL_SEED ?? Math.floor(Math.random() * 2 ** 31));
const THREADS = 2;
const SIZE_BYTES = 8 * 2 ** 20;
/** From the moment on at which all threads have begun. */
const LIFE_MS_MAX = 150;

interface Announced {
  thread: number;
  number: number;
  isEnd: boolean;
}

/** Lets the process live for a while after the first announcement of each thread; returns all that it announced. */
async function killed(path: string, round: number): Promise<Announced[]> {
  const args = [path, SEED, THREADS, round].map(String);
  const script = fileURLToPath(bundledThread('kill-child'));
  const child: ChildProcess = spawn(process.execPath, [script, ...args], {
    stdio: ['ignore', 'inherit', 'pipe', 'pipe'],
  });
  let text = '';
  let complaint = '';
  const pipe = child.stdio[3] as Readable;
  child.stderr!.on('data', (bytes: Buffer) => {
    complaint += bytes;
  });
  await new Promise<void>((resolve, reject) => {
    let isDoomed = false;
    pipe.on('data', (bytes: Buffer) => {
      text += bytes;
      if (isDoomed || !hasAllThreads(text)) return;
      isDoomed = true;
      setTimeout(() => child.kill('SIGKILL'), Math.random() * LIFE_MS_MAX);
    });
    child.once('error', reject);
    // After the pipe's end as well: what was announced before the kill is still in it.
    child.once('close', resolve);
  });
  if (child.signalCode !== 'SIGKILL') throw new Error(`the process ended by itself: ${complaint}`);
  return text
    .split('\n')
    .slice(0, -1)
    .map((line) => {
      const [kind, thread, number] = line.split(' ');
      return { isEnd: kind === 'e', thread: Number(thread), number: Number(number) };
    });
}

function hasAllThreads(text: string): boolean {
  return Array.from({ length: THREADS }, (_, thread) => `b ${thread} 0\n`).every((line) => text.includes(line));
}

/** What a thread did, with the places of its announcements as moments. */
function stepsOf(model: CrashModel, announced: Announced[], thread: number, round: number): void {
  const mine = announced
    .map((line, moment) => ({ ...line, moment: moment + 1 }))
    .filter((line) => line.thread === thread);
  const source = randomOperations(new CrashRandom(seedOf(SEED, round, thread)), prefixOf(thread));
  for (const { isEnd, moment, number } of mine) {
    if (isEnd) continue;
    let operation = source.next().value!;
    while (isBackground(operation) || !model.isPossible(operation)) operation = source.next().value!;
    const end = mine.find((line) => line.isEnd && line.number === number)?.moment ?? Number.POSITIVE_INFINITY;
    const step: RecordedOperation = { operation, begin: moment, end };
    model.replay([step]);
  }
}

describe('a process that is killed', () => {
  const directory = temporaryDirectory(true);
  it(
    `leaves a store that holds all that it announced, ${ROUNDS} times`,
    async () => {
      const path = join(directory, 'kill.img');
      await createStore(path, { sizeBytes: SIZE_BYTES });
      const contents = new BlockContents(4096);
      let files = new Map<string, SeenFile>();
      let operations = 0;
      for (let round = 0; round < ROUNDS; round++) {
        const before = files;
        const announced = await killed(path, round);
        copyFileSync(path, `${path}.killed`);
        const models = Array.from({ length: THREADS }, (_, thread) => {
          const own = new Map([...before].filter(([name]) => name.startsWith(prefixOf(thread))));
          const model = CrashModel.resume(contents, own, firstFileOf(round, thread));
          stepsOf(model, announced, thread, round);
          return model;
        });
        files = look(path, contents);
        const moment = Number.POSITIVE_INFINITY;
        const wrong = judge(files, models, { from: moment, until: moment, isTorn: false });
        const { errors } = await checkStore(path);
        if (wrong !== null || errors.length > 0) {
          const kept = join(tmpdir(), `emmental-kill-${SEED}-${round}.img`);
          copyFileSync(`${path}.killed`, kept);
          const damage = errors.map(({ message }) => message).join('; ');
          expect.fail(`seed ${SEED}, round ${round}: ${wrong ?? ''} ${damage}\nimage: ${kept}`);
        }
        operations += announced.length / 2;
      }
      console.log(`kills, seed ${SEED}: ${ROUNDS} rounds, ${Math.floor(operations)} operations, every promise kept`);
      expect(operations).toBeGreaterThan(ROUNDS);
    },
    60_000 + ROUNDS * 5000,
  );
});

/** As `openStore` opens it, without the threads of the service. */
function look(path: string, contents: BlockContents): Map<string, SeenFile> {
  const device = openHostDevice(path);
  try {
    const session = mount(device, null, smallPlan({ path, cacheBytes: 2 * 2 ** 20 }));
    const files = seenFiles(new SyncStore(session), contents, '');
    unmount(session);
    return files;
  } finally {
    device.close();
  }
}
