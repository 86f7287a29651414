/**
 * The death of an attached thread: an error in everybody who waits for it, within a second, and never a hang; nothing at all
 * when it held nothing. Afterwards the store is closed, refused, repaired and opened again with what was synced.
 */
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { openHostDevice } from '#dist/src/device/host-device.js';
import { smallPlan } from '#dist/src/explore/crash-recovery.js';
import { checkStore, createStore, openStore, type Store } from '#dist/src/index.js';
import type { PointName } from '#dist/src/routine/points.js';
import { mount, unmount } from '#dist/src/store/mount.js';
import { SyncStore as MountedStore } from '#dist/src/store/sync-store.js';
import { Arena } from '#dist/src/sync/arena.js';
import { arrivedAt, holdPoint } from '#dist/src/sync/gates.js';
import { StoreState } from '#dist/src/sync/layout.js';
import { canDetectDeath } from '#dist/src/sync/threads.js';
import { attachStore, type SyncStore } from '#dist/src/worker.js';
import { expectBytes, pattern } from '../support/bytes.js';
import { expectCode } from '../support/expect-code.js';
import { lockReport } from '../support/lock-report.js';
import { RemoteThread, type Scope } from '../support/remote-thread.js';
import { temporaryDirectory } from '../support/temporary.js';
import { isTestedInFull, testedSchemes } from '../support/tested-schemes.js';

const BLOCK = 4096;
const SIZE = 64 * BLOCK;
/** Until everybody knows. */
const NOTICE_MS = 1000;
const KEPT = pattern(SIZE, 5);

const directory = temporaryDirectory(true);
let images = 0;

/** A store with a file that is safely on the device, another one to play with, and a thread to be killed. */
class Scene {
  private constructor(
    readonly image: string,
    readonly store: Store,
    readonly arena: Arena,
    readonly victim: RemoteThread,
    readonly waiter: RemoteThread,
  ) {}

  static async set(scheme: string): Promise<Scene> {
    images += 1;
    const image = join(directory, `${images}.img`);
    await createStore(image, { sizeBytes: 16 * 1024 * 1024 });
    const store = await openStore(image, { scheme, cacheBytes: 512 * BLOCK, threads: 2, verify: true });
    for (const name of ['kept', 'played']) {
      const file = await store.open(name, 'w');
      await file.writeFile(KEPT);
      await file.sync();
      await file.advise('dontneed');
      await file.close();
    }
    const threads = await Promise.all([RemoteThread.start(store.handle), RemoteThread.start(store.handle)]);
    for (const thread of threads) {
      await thread.run(({ store, keep }) => {
        keep.file = store.open('played', 'r+');
        keep.file.advise('random');
      });
    }
    const arena = new Arena(store.handle.arena, store.handle.layout);
    return new Scene(image, store, arena, threads[0], threads[1]);
  }

  /** The victim does its job until it stands at the point. */
  async stopVictim(point: PointName, job: (scope: Scope) => void): Promise<void> {
    holdPoint(this.arena, point);
    void this.victim.run(job).catch(() => {});
    await until(
      () => arrivedAt(this.arena, point) > 0,
      () => `the victim at ${point}\n  ${lockReport(this.arena)}`,
    );
  }

  /** A recovered store has what was synced, and is as good as any. */
  async closeAndRecover(): Promise<void> {
    await this.waiter.close();
    await this.store.close();
    const report = await checkStore(this.image);
    expect(report).toMatchObject({ clean: true, errors: [] });
    this.use();
    expect(await checkStore(this.image)).toMatchObject({ clean: true, errors: [] });
  }

  /** Opens the store as `openStore` does, without the threads of the service. */
  private use(): void {
    const device = openHostDevice(this.image);
    try {
      const session = mount(device, null, smallPlan({ path: this.image, cacheBytes: 512 * BLOCK, verify: true }));
      const kept = new MountedStore(session).open('kept', 'r+');
      expectBytes(kept.readFile() as Buffer, KEPT);
      kept.write(Buffer.from('x'), 0, 1, SIZE);
      kept.close();
      unmount(session);
    } finally {
      device.close();
    }
  }

  async closeClean(): Promise<void> {
    await this.waiter.close();
    await this.store.close();
    expect(await checkStore(this.image)).toMatchObject({ clean: true, errors: [] });
  }
}

async function until(condition: () => boolean, what: () => string, timeoutMs = 10_000): Promise<void> {
  const end = Date.now() + timeoutMs;
  while (!condition()) {
    if (Date.now() > end) throw new Error(`in vain: ${what()}`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

/** EMMENTAL_DEATH=all tries every place to die in; by default every other one. */
const EVERY = process.env['EMMENTAL_DEATH'] === 'all' ? 1 : 2;
const ROUNDS = EVERY === 1 ? 10 : 2;

/** Where a thread may be when it dies holding something, and what brings it there. */
const HOLDING: [PointName, (scope: Scope) => void][] = [
  ['write:locked', ({ keep }) => keep.file.write(new Uint8Array(10_000), 0, 10_000, 100)],
  ['write:page', ({ keep }) => keep.file.write(new Uint8Array(10_000), 0, 10_000, 100)],
  ['fill:locked', ({ keep }) => keep.file.read(new Uint8Array(10), 0, 10, 0)],
  ['fill:mapped', ({ keep }) => keep.file.pin(0)],
  ['fill:read', ({ keep }) => keep.file.advise('willneed')],
  ['punch:dropped', ({ keep }) => keep.file.punchHole(0, 8 * 4096)],
  ['punch:removed', ({ keep }) => keep.file.punchHole(0, 8 * 4096)],
  ['truncate:sized', ({ keep }) => keep.file.truncate(1)],
  ['truncate:dropped', ({ keep }) => keep.file.truncate(1)],
  ['shift:flushed', ({ keep }) => keep.file.collapseRange(0, 4096)],
  ['writeback:locked', ({ keep }) => void (keep.file.write(new Uint8Array(10), 0, 10, 0), keep.file.sync())],
  ['writeback:mapped', ({ keep }) => void (keep.file.write(new Uint8Array(10), 0, 10, 1 << 20), keep.file.sync())],
  ['writeback:written', ({ keep }) => void (keep.file.write(new Uint8Array(10), 0, 10, 1 << 20), keep.file.sync())],
  ['journal:stopped', ({ store }) => void (store.open('new', 'w'), store.sync())],
  ['journal:snapshot', ({ store }) => void (store.open('new', 'w'), store.sync())],
  ['journal:written', ({ store }) => void (store.open('new', 'w'), store.sync())],
];

/** Needs the file's locks, its first pages, the journal and the commit; goes on until it fails. */
function need({ store, keep }: Scope): void {
  for (let i = 0; ; i++) {
    keep.file.write(new Uint8Array(100), 0, 100, 50);
    store.open(`another-${i % 10}`, 'w').close();
    store.sync();
  }
}

describe.skipIf(!canDetectDeath())('a thread that dies holding something', () => {
  it.each(HOLDING.filter((_, i) => i % EVERY === 0))(
    'at %s ends every wait within a second',
    { timeout: 60_000 },
    async (point, job) => {
      const scene = await Scene.set('invalidate-lock');
      await scene.stopVictim(point, job);
      const needing = scene.waiter.run(need);
      await new Promise((resolve) => setTimeout(resolve, 20));
      const killedAtMs = performance.timeOrigin + performance.now();
      await scene.victim.kill();
      const error = await needing.then(
        () => undefined,
        (reason) => reason,
      );
      expect(error?.code, error?.stack).toMatch(/^(EOWNERDEAD|ENOTRECOVERABLE)$/);
      expect(error.atMs - killedAtMs).toBeLessThan(NOTICE_MS);
      expect(scene.arena.state).toBe(StoreState.Fenced);
      await scene.closeAndRecover();
    },
  );
});

describe.skipIf(!canDetectDeath()).each(testedSchemes.filter(isTestedInFull).map(({ name }) => name))(
  'a thread that dies under %s',
  (scheme) => {
    it('holding i_rwsem: EOWNERDEAD for who waits, ENOTRECOVERABLE for who comes', async () => {
      const scene = await Scene.set(scheme);
      const { store } = scene;
      const sync = attachStore(store.handle);
      const [mine, own] = [await store.open('played', 'r+'), sync.open('kept', 'r+')];
      const buffer = Buffer.alloc(64);
      own.read(buffer, 0, 64, 0);
      const page = own.pin(0);
      const written = sync.open('kept', 'r+').pin(BLOCK, { write: true });
      await scene.stopVictim('write:locked', ({ keep }) => keep.file.write(new Uint8Array(1), 0, 1, 0));
      const waits: Promise<unknown>[] = [
        mine.write(buffer, 0, 64, 0),
        mine.punchHole(0, BLOCK),
        scene.waiter.run(({ keep }) => keep.file.truncate(0)),
      ];
      // More than requests can be under way.
      for (let i = 0; i < 200; i++) waits.push(mine.write(buffer, 0, 64, i * BLOCK));
      for (const wait of waits) wait.catch(() => {});
      await new Promise((resolve) => setTimeout(resolve, 50));
      const killedAtMs = performance.now();
      await scene.victim.kill();
      const found = await Promise.allSettled(waits);
      expect(performance.now() - killedAtMs).toBeLessThan(NOTICE_MS);
      for (const one of found) {
        expect(one).toMatchObject({ status: 'rejected', reason: { code: 'EOWNERDEAD', errno: -130 } });
        expect((one as PromiseRejectedResult).reason.message).toContain('i_rwsem');
      }
      await expectEveryCallToFail(store, mine);
      await expectEverySyncCallToFail(sync, own, buffer);
      expect(page.bytes.length).toBe(BLOCK);
      page.release();
      await expectCode('ENOTRECOVERABLE', () => written.release());
      await mine.close().catch(() => {});
      own.close();
      sync.close();
      await expectCode('ENOTRECOVERABLE', () => attachStore(store.handle));
      await scene.closeAndRecover();
    });

    it('holding pins and open files only: they are given back', async () => {
      const scene = await Scene.set(scheme);
      const { store, victim } = scene;
      await store.sync();
      const before = await store.statfs();
      await victim.run(({ store, keep }) => {
        keep.page = keep.file.pin(0);
        keep.other = keep.file.pin(4096, { write: true });
        const doomed = store.open('doomed', 'w+');
        doomed.write(new Uint8Array(40 * 4096), 0, 40 * 4096, 0);
        doomed.sync();
        keep.doomed = doomed;
        keep.doomedPage = doomed.pin(0);
        store.unlink('doomed');
        store.sync();
      });
      expect(store.stats().pages.pinned).toBe(3);
      expect((await store.statfs()).blocksFree).toBeLessThanOrEqual(before.blocksFree - 40);
      await victim.kill();
      await until(
        () => store.stats().pages.pinned === 0,
        () => `${store.stats().pages.pinned} pages are pinned`,
      );
      let free = 0;
      for (let i = 0; i < 100 && free !== before.blocksFree; i++) {
        await store.sync();
        free = (await store.statfs()).blocksFree;
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
      expect(free).toBe(before.blocksFree);
      expect(scene.arena.state).toBe(StoreState.Open);
      // Everything goes on.
      await scene.waiter.run(({ keep }) => keep.file.punchHole(0, 16 * 4096));
      const file = await store.open('played', 'r+');
      await file.writeFile(KEPT);
      await file.sync();
      await file.close();
      await scene.closeClean();
    });

    it('between two calls, and in their midst: a hang never, an error at most', { timeout: 120_000 }, async () => {
      let fenced = 0;
      for (let round = 0; round < ROUNDS; round++) {
        const scene = await Scene.set(scheme);
        void scene.victim.run(busyLoop).catch(() => {});
        await new Promise((resolve) => setTimeout(resolve, 20 + Math.random() * 60));
        await scene.victim.kill();
        const error = await scene.waiter.run(someCalls).then(
          () => undefined,
          (reason) => reason,
        );
        if (scene.arena.state === StoreState.Fenced) {
          fenced += 1;
          if (error !== undefined) expect(error.code, error.stack).toMatch(/^(EOWNERDEAD|ENOTRECOVERABLE)$/);
          await scene.closeAndRecover();
        } else {
          expect(error, error?.stack).toBeUndefined();
          await scene.closeClean();
        }
      }
      expect(fenced).toBeLessThanOrEqual(ROUNDS);
    });
  },
);

function busyLoop({ store, keep }: Scope): void {
  const bytes = new Uint8Array(50_000);
  for (let i = 0; ; i++) {
    const at = (i * 7919) % 200_000;
    keep.file.write(bytes, 0, 1 + ((i * 31) % 50_000), at);
    keep.file.read(bytes, 0, 30_000, (at * 3) % 200_000);
    if (i % 3 === 0) keep.file.punchHole(at, 20_000);
    if (i % 7 === 0) keep.file.sync();
    if (i % 11 === 0) keep.file.truncate(100_000);
    if (i % 5 === 0) store.open(`some-${i % 20}`, 'w').close();
    if (i % 13 === 0 && store.exists(`some-${(i + 5) % 20}`)) store.unlink(`some-${(i + 5) % 20}`);
  }
}

function someCalls({ store, keep }: Scope): void {
  const end = Date.now() + 700;
  for (let i = 0; Date.now() < end; i++) {
    keep.file.write(new Uint8Array(5000), 0, 5000, (i * 5000) % 200_000);
    keep.file.read(new Uint8Array(5000), 0, 5000, (i * 7000) % 200_000);
    store.open(`mine-${i % 5}`, 'w').close();
    if (i % 10 === 0) store.sync();
  }
}

async function expectEveryCallToFail(store: Store, file: Awaited<ReturnType<Store['open']>>): Promise<void> {
  const buffer = Buffer.alloc(8);
  const calls: (() => unknown)[] = [
    () => store.open('kept'),
    () => store.stat('kept'),
    () => store.exists('kept'),
    () => store.unlink('kept'),
    () => store.rename('kept', 'x'),
    () => store.list(),
    () => store.statfs(),
    () => store.sync(),
    () => store.run(new URL('./none.mjs', import.meta.url)),
    () => file.read(buffer, 0, 8, 0),
    () => file.write(buffer, 0, 8, 0),
    () => file.readFile(),
    () => file.truncate(0),
    () => file.stat(),
    () => file.sync(),
    () => file.punchHole(0, 1),
    () => file.extents(),
  ];
  for (const call of calls) await expectCode('ENOTRECOVERABLE', call);
}

async function expectEverySyncCallToFail(
  store: SyncStore,
  file: ReturnType<SyncStore['open']>,
  buffer: Buffer,
): Promise<void> {
  const calls: (() => unknown)[] = [
    () => store.open('kept'),
    () => store.stat('kept'),
    () => store.exists('kept'),
    () => store.unlink('kept'),
    () => store.rename('kept', 'x'),
    () => store.list(),
    () => store.statfs(),
    () => store.sync(),
    () => file.read(buffer, 0, 64, 0), // was a hit
    () => file.write(buffer, 0, 64, 0),
    () => file.pin(0),
    () => file.truncate(0),
    () => file.stat(),
    () => file.sync(),
    () => file.datasync(),
    () => file.fallocate(0, 1),
    () => file.nextData(0),
    () => file.advise('willneed'),
  ];
  for (const call of calls) await expectCode('ENOTRECOVERABLE', call);
}
