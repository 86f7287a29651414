/**
 * The cases that the web platform's own tests have for the lock modes of sync access handles
 * (fs/FileSystemFileHandle-sync-access-handle-lock-modes, and what concerns access handles alone of -writable-lock), one by
 * one, on files of a store; then the same locks between threads.
 */
import { Worker } from 'node:worker_threads';
import { describe, expect, it } from 'vitest';
import { type AccessHandleMode, accessHandle } from '#dist/src/access-handle.js';
import { bytesOf, expectRefusal, handleWorld } from './handle-world.js';

const MODES: AccessHandleMode[] = ['readwrite', 'read-only', 'readwrite-unsafe'];
const NO_MODIFICATION = 'NoModificationAllowedError';

const world = handleWorld();

/** Whether handles of the two modes may be open on one file. */
function areFriends(one: AccessHandleMode, other: AccessHandleMode): boolean {
  return one === other && one !== 'readwrite';
}

it('opens in readwrite mode by default', () => {
  expect(world.fresh().mode).toBe('readwrite');
});

it('is alone on its file by default', () => {
  const name = world.freshFile();
  const first = world.open(name);
  expectRefusal(NO_MODIFICATION, () => world.open(name));
  first.close();
  world.open(name).close();
});

it('does not interfere with handles on another file', () => {
  const [foo, bar] = [world.open(world.freshFile()), world.freshFile()];
  const first = world.open(bar);
  expectRefusal(NO_MODIFICATION, () => world.open(bar));
  first.close();
  world.open(bar).close();
  foo.close();
});

describe.each(MODES)('an access handle in %s mode', (mode) => {
  it(`has a mode property equal to ${mode}`, () => {
    expect(world.fresh(mode).mode).toBe(mode);
  });

  it(`takes a lock that is ${mode === 'readwrite' ? 'exclusive' : 'shared'}`, () => {
    const name = world.freshFile();
    const first = world.open(name, mode);
    if (mode === 'readwrite') expectRefusal(NO_MODIFICATION, () => world.open(name, mode));
    else world.open(name, mode).close();
    first.close();
  });

  it(`is ${mode === 'read-only' ? 'not writable' : 'writable'}`, () => {
    const handle = world.fresh(mode);
    const changes = [
      () => handle.write(bytesOf('Hello Storage Foundation'), { at: 0 }),
      () => handle.truncate(0),
      () => handle.flush(),
    ];
    for (const change of changes) {
      if (mode === 'read-only') expectRefusal(NO_MODIFICATION, change);
      else change();
    }
  });

  describe.each(MODES)('and another in %s mode', (other) => {
    it('may be open on different files', () => {
      const [foo, bar] = [world.fresh(mode), world.fresh(other)];
      foo.close();
      bar.close();
    });

    if (areFriends(mode, other)) return;

    it('may not be open on the same file', () => {
      const name = world.freshFile();
      const first = world.open(name, mode);
      expectRefusal(NO_MODIFICATION, () => world.open(name, other));
      first.close();
    });

    it('may be open one after the other', () => {
      const name = world.freshFile();
      const handles = [world.open(name, mode)];
      if (mode !== 'readwrite') handles.push(world.open(name, mode));
      for (const handle of handles) {
        expectRefusal(NO_MODIFICATION, () => world.open(name, other));
        handle.close();
      }
      world.open(name, other).close();
    });
  });
});

it('refuses a second handle on the same open file, and any on a closed one', () => {
  const file = world.store.open(world.freshFile(), 'r+');
  const handle = accessHandle(file, { mode: 'readwrite-unsafe' });
  expectRefusal(NO_MODIFICATION, () => accessHandle(file, { mode: 'readwrite-unsafe' }));
  handle.close();
  const closed = world.store.open(world.freshFile(), 'r+');
  closed.close();
  expectRefusal('InvalidStateError', () => accessHandle(closed));
});

describe('between threads', () => {
  const CODE = `
    const { parentPort, workerData } = require('node:worker_threads');
    const load = (name) => import(workerData.source + name);
    (async () => {
      const { attachStore } = await load('worker.js');
      const { accessHandle } = await load('access-handle.js');
      const store = attachStore(workerData.handle);
      const handle = accessHandle(store.open(workerData.name, 'r+'), { mode: workerData.mode });
      parentPort.postMessage('open');
      parentPort.on('message', () => {
        handle.close();
        store.close();
        parentPort.close();
      });
    })();`;

  /** A thread that has a handle; it closes it at a message, and dies with it when it is terminated. */
  async function holder(name: string, mode: AccessHandleMode): Promise<Worker> {
    const source = new URL('../../../dist/src/entry/', import.meta.url).href;
    const worker = new Worker(CODE, { eval: true, workerData: { handle: world.handle, source, name, mode } });
    await new Promise((resolve, reject) => {
      worker.once('message', resolve);
      worker.once('error', reject);
    });
    return worker;
  }

  it.each(MODES)('a handle in %s mode excludes what it excludes, until it is closed', async (mode) => {
    const name = world.freshFile();
    const worker = await holder(name, mode);
    for (const other of MODES) {
      if (areFriends(mode, other)) world.open(name, other).close();
      else expectRefusal(NO_MODIFICATION, () => world.open(name, other));
    }
    worker.postMessage('close');
    await new Promise((resolve) => worker.once('exit', resolve));
    for (const other of MODES) world.open(name, other).close();
  });

  it.each(MODES)('a handle in %s mode goes with its thread', async (mode) => {
    const name = world.freshFile();
    const worker = await holder(name, mode);
    expectRefusal(NO_MODIFICATION, () => world.open(name, 'readwrite'));
    await worker.terminate();
    // Threads that died are looked for once in a while only.
    await expect.poll(() => world.open(name, 'readwrite').close(), { timeout: 10_000, interval: 20 }).toBeUndefined();
  });
});
