/**
 * Opens a store on a device as after a power cut, looks at everything in it, closes it and checks it.
 *
 * All through the engine: mounting recovers, files are listed and read through the cache, unmounting marks the store clean,
 * and the checker must find nothing. What was seen is kept as numbers of contents, so that one look serves every promise
 * that it is held against. One thread; the memory of one mount serves the next.
 */
import type { Device } from '../device/device.js';
import { read } from '../file/read.js';
import { readSuperblock, SUPERBLOCK_BYTES } from '../format/superblock.js';
import type { Driver } from '../routine/task.js';
import { Access } from '../store/arguments.js';
import { checkDevice } from '../store/check.js';
import { type MountPlan, mount, unmount } from '../store/mount.js';
import type { Session, StoreHandle } from '../store/session.js';
import type { SeenFile } from './crash-judge.js';
import type { BlockContents } from './power-cut-contents.js';

/** What a recovered store showed, or why it could not be opened, read, closed, or was found damaged afterwards. */
export interface Seen {
  files: Map<string, SeenFile>;
  error: string | null;
}

const FILES_MAX = 1000;
const NO_BYTES = new Uint8Array(0);

/** Time stands still but for what the runner says; nobody else is there to be woken. */
export class CrashClock implements Driver {
  nowMs = 1_800_000_000_000;

  now(): number {
    return this.nowMs;
  }

  random(): number {
    return 0.5;
  }

  wake(): void {}
}

/** A mount as small as it gets: what the machines use for workloads and for recoveries. */
export function smallPlan(options: Partial<MountPlan> = {}): MountPlan {
  return {
    path: 'image',
    cacheBytes: 256 * 4096,
    minCachePages: 64,
    inodesMin: 32,
    commitBytes: 160 * 4096,
    shape: { threads: 12, exclusions: 1024, openFiles: 4, requests: 1 },
    scheme: 'invalidate-lock',
    readOnly: false,
    // Of what small workloads free some is discarded by commits, and some by trimming.
    discardAtOnceBytes: 2 * 4096,
    dirtyRatio: 0.5,
    dirtyExpireMs: 30_000,
    policy: 0,
    verify: false,
    random: () => 0.5,
    ...options,
  };
}

export class CrashRecovery {
  private readonly reuse = new Map<number, StoreHandle>();

  constructor(
    private readonly contents: BlockContents,
    private readonly plan: MountPlan = smallPlan(),
    private readonly driver: Driver = new CrashClock(),
  ) {}

  /** Mounts the device, by hand. */
  mount(device: Device): Session {
    const memory = this.reuse.get(device.sizeBytes);
    const session = mount(device, null, { ...this.plan, memory }, this.driver);
    this.reuse.set(device.sizeBytes, session.handle);
    return session;
  }

  look(device: Device): Seen {
    const files = new Map<string, SeenFile>();
    let doing = 'opening';
    try {
      const session = this.mount(device);
      doing = 'reading';
      this.readAll(session, files);
      doing = 'closing';
      unmount(session);
    } catch (error) {
      return { files, error: `${doing} it: ${error}` };
    }
    const { clean, errors } = checkDevice(device);
    if (!clean) return { files, error: `check: ${errors.map(({ message }) => message).join('; ')}` };
    return { files, error: hasOrphans(device) ? 'closed with unfinished work on the orphan list' : null };
  }

  private readAll(session: Session, files: Map<string, SeenFile>): void {
    const { task, namespace } = session;
    for (const { name, size } of session.run('list', namespace.list(task, NO_BYTES, NO_BYTES, FILES_MAX))) {
      files.set(name, this.readFile(session, name, size));
    }
  }

  private readFile(session: Session, name: string, size: number): SeenFile {
    const { task, engine, namespace } = session;
    const { contents } = this;
    const slot = session.run('open', namespace.open(task, Buffer.from(name), Access.Read));
    const bytes = new Uint8Array(size);
    const n = session.run('read', read(task, engine, slot, null, bytes, 0, size, 0));
    if (n !== size) throw new Error(`'${name}' has ${size} bytes, and reading gives ${n}`);
    const blocks: number[] = [];
    for (let at = 0; at < size; at += contents.blockBytes) {
      blocks.push(contents.number(bytes.subarray(at, Math.min(at + contents.blockBytes, size))));
    }
    session.run('close', engine.inodes.release(task, slot));
    return { size, blocks };
  }
}

/** As the superblock says: opening finishes the work of a crash, so that a closed store has none. */
function hasOrphans(device: Device): boolean {
  const bytes = new Uint8Array(SUPERBLOCK_BYTES);
  device.read([bytes], 0);
  return readSuperblock(new DataView(bytes.buffer)).orphanHead !== 0;
}
