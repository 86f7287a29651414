/**
 * Every read, write and flush of a fixed workload fails in turn, and every one of a recovery: with EIO, with ENOSPC, after a
 * part of its bytes. The caller is told, the session goes on showing what it held, the store stays readable, nothing is
 * called durable after a write or a flush that failed; and reopened it holds all that was promised, also where the device
 * lost everything since its last good flush.
 */
import { describe, expect, it } from 'vitest';
import { MemoryDevice } from '#dist/src/device/memory-device.js';
import type { StoreError } from '#dist/src/errors.js';
import { Findings } from '#dist/src/store/check/findings.js';
import { loadImage } from '#dist/src/store/check/superblock-check.js';
import { checkDevice } from '#dist/src/store/check.js';
import type { StoreHandle } from '#dist/src/store/session.js';
import { failureOf } from '../support/expect-code.js';
import { type InMemory, type InMemoryOptions, inMemory } from '../support/in-memory.js';
import { type Fault, FaultyDevice, type Step } from './faulty-device.js';
import type { Ledger } from './ledger.js';
import { readStore, Workload } from './workload.js';

/** 'all': each operation of the device fails, one after the other; else one in so many. */
const STRIDE = process.env['EMMENTAL_FAULTS'] ?? '5';
const START = Math.floor(Math.random() * 1000);
const FAULTS: Fault[] = ['EIO', 'ENOSPC', 'short'];
const BLOCK = 4096;
const SECTOR = 512;
const BLOCKS = 512;
const FRAMES = 64;

let memory: StoreHandle | undefined;

/** One after the other in the same memory, since making it takes longer than the rest. */
function open(device: MemoryDevice, options: InMemoryOptions = {}): InMemory {
  const mounted = inMemory(device, { frames: FRAMES, verify: false, ...(memory && { memory }), ...options });
  memory = mounted.session.handle;
  return mounted;
}

function workloadOn({ store, session }: InMemory): Workload {
  const { journal } = session.engine;
  return new Workload(
    store,
    BLOCK,
    () => journal.failed,
    () => session.run('checkpoint', journal.checkpoint(session.task)),
  );
}

/** What the device holds now, as a new session finds it. */
function judge(ledger: Ledger, device: MemoryDevice, unitBytes = BLOCK): void {
  const copy = device.clone();
  expect(checkDevice(copy).errors).toEqual([]);
  const mounted = open(copy);
  ledger.judge(readStore(mounted.store), unitBytes);
  expect(mounted.finish().errors).toEqual([]);
}

function isLasting({ failed }: FaultyDevice): boolean {
  return failed !== null && failed.kind !== 'read';
}

function countOf(steps: readonly Step[]): string {
  const counts = new Map<string, number>();
  for (const { kind, part } of steps) {
    const what = kind === 'flush' ? kind : `${kind} of ${part}`;
    counts.set(what, (counts.get(what) ?? 0) + 1);
  }
  return [...counts].map(([what, count]) => `${count} ${what}`).join(', ');
}

for (const dataChecksums of [false, true]) {
  describe(`a store with${dataChecksums ? '' : 'out'} data checksums`, () => {
    const formatted = new MemoryDevice(BLOCKS * BLOCK);
    open(formatted, { format: { dataChecksums } }).unmount();
    const places = loadImage(formatted, new Findings())!.superblock;
    const faulty = (image: MemoryDevice, failing: number, fault: Fault): FaultyDevice =>
      new FaultyDevice(image, places, failing, fault);

    /** Runs with each chosen operation failing, in each way. */
    function each(what: string, steps: readonly Step[], run: (failing: number, fault: Fault) => void): void {
      const stride = STRIDE === 'all' ? 1 : Number(STRIDE);
      let runs = 0;
      for (const [i, fault] of FAULTS.entries()) {
        for (let failing = (START + i) % stride; failing < steps.length; failing += stride) {
          try {
            run(failing, fault);
          } catch (error) {
            const { kind, part } = steps[failing];
            const where = `operation ${failing} of ${steps.length}, a ${kind} of ${part}, ${fault}`;
            throw new Error(`${where}: ${(error as Error).message}`, { cause: error });
          }
          runs += 1;
        }
      }
      console.log(`${what}${dataChecksums ? ', data checksums' : ''}: ${runs} faults; ${countOf(steps)}`);
    }

    /** The workload, to its end or as far as it gets; `sessions` sees it before it is closed. */
    function runOver(device: FaultyDevice): { workload: Workload | null; closed: StoreError | null } {
      let workload: Workload | null = null;
      const closed = failureOf(() => {
        const mounted = open(device.device);
        workload = workloadOn(mounted);
        workload.run();
        workload.verify();
        if (isLasting(device)) workload.verifyNoPromise();
        mounted.unmount();
        workload.ledger.promiseAll();
      });
      return { workload, closed };
    }

    const whole = faulty(formatted, -1, 'EIO');
    const good = runOver(whole);

    it('meets no error where there is none', () => {
      const { workload, closed } = good;
      expect(closed).toBeNull();
      expect(workload!.errors).toEqual([]);
      judge(workload!.ledger, whole.device);
      const seen = new Set(whole.steps.map(({ kind, part }) => `${kind} ${part}`));
      for (const what of [
        'read superblock',
        'write superblock',
        'read journal',
        'write journal',
        'read rest',
        'write rest',
      ])
        expect(seen).toContain(what);
    });

    it('tells of every fault, and keeps what it promised', { timeout: 600_000 }, () => {
      each('faults in a workload', whole.steps, (failing, fault) => {
        const device = faulty(formatted, failing, fault);
        const { workload, closed } = runOver(device);
        expect(device.failed).not.toBeNull();
        if (isLasting(device)) expect(closed).not.toBeNull();
        if (workload === null) {
          const mounted = open(device.device.clone());
          expect(mounted.store.statfs().files).toBe(0);
          expect(mounted.finish().errors).toEqual([]);
          return;
        }
        // A write cut short leaves a block of two versions, but where the data have checksums and go elsewhere.
        judge(workload.ledger, device.device, fault === 'short' && !dataChecksums ? SECTOR : BLOCK);
        if (closed !== null) judge(workload.ledger, device.flushed);
      });
    });

    it('recovers, and where that fails recovers later', { timeout: 600_000 }, () => {
      // As the power went at the end of the workload.
      const before = faulty(formatted, -1, 'EIO');
      const workload = workloadOn(open(before.device));
      workload.run();
      const { ledger } = workload;
      const crashed = before.device.clone();
      const recovery = faulty(crashed, -1, 'EIO');
      open(recovery.device).unmount();
      judge(ledger, recovery.device);
      expect(recovery.steps.filter(({ part }) => part === 'journal').length).toBeGreaterThan(3);

      each('faults in a recovery', recovery.steps, (failing, fault) => {
        const device = faulty(crashed, failing, fault);
        const failure = failureOf(() => {
          const mounted = open(device.device);
          ledger.judge(readStore(mounted.store), BLOCK);
          mounted.unmount();
        });
        if (isLasting(device)) expect(failure).not.toBeNull();
        judge(ledger, device.device);
        judge(ledger, device.flushed);
      });

      const reading = faulty(crashed, -1, 'EIO');
      ledger.judge(readStore(open(reading.device, { readOnly: true }).store), BLOCK);
      expect(reading.steps.every(({ kind }) => kind === 'read')).toBe(true);
      each('faults in a recovery for reading only', reading.steps, (failing, fault) => {
        const device = faulty(crashed, failing, fault);
        // An error, or all that was promised.
        failureOf(() => {
          ledger.judge(readStore(open(device.device, { readOnly: true }).store), BLOCK);
        });
        expect(device.failed).not.toBeNull();
        expect(device.steps.every(({ kind }) => kind === 'read')).toBe(true);
      });
    });
  });
}
