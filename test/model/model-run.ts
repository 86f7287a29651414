/**
 * A run of the model test: random operations on a store and on plain arrays, compared all the way.
 *
 * Everything that is random comes from one seed, so that `EMMENTAL_MODEL_SEED=… EMMENTAL_MODEL_OPS=… npx vitest run
 * test/model` replays a failure; the log of the last operations is part of the error.
 */
import { checkStore, createStore, openStore, type Store } from '#dist/src/index.js';
import { attachStore, type SyncFile, type SyncStore } from '#dist/src/worker.js';
import { seededRandom } from '../support/random.js';
import { FileModel } from './file-model.js';

export interface ModelOptions {
  image: string;
  seed: number;
  operations: number;
  blockBytes: number;
  scheme: string;
  cachePages: number;
  /** Bytes that no file grows beyond. */
  fileBytes: number;
  dataChecksums?: boolean;
}

interface Entry {
  name: string;
  file: SyncFile;
  model: FileModel;
}

const FILES = 4;
/** Of the operations. Each starts the threads of a store, which takes as long as two hundred others do. */
const REOPENED_SHARE = 1 / Number(process.env.EMMENTAL_MODEL_REOPEN ?? 3000);
const LOGGED = 30;
const DEVICE_FILES = 12;
/** Everything that is written is a piece of this: no zeros, and unlike at any other place. */
const CONTENT_STARTS = 1 << 16;
const CONTENT_RANDOM = seededRandom(1);
const CONTENT = Uint8Array.from({ length: CONTENT_STARTS + (1 << 20) }, () => 1 + Math.floor(CONTENT_RANDOM() * 255));

export class ModelRun {
  /** What was done, for the statistics of the run. */
  readonly counts = new Map<string, number>();
  private readonly random: () => number;
  private readonly log: string[] = [];
  private readonly zeros: Uint8Array;
  private readonly entries: Entry[] = [];
  private store!: Store;
  private sync!: SyncStore;
  private renames = 0;

  constructor(private readonly options: ModelOptions) {
    this.random = seededRandom(options.seed);
    this.zeros = new Uint8Array(options.fileBytes);
  }

  async run(): Promise<void> {
    const { image, blockBytes, fileBytes, operations, dataChecksums = false } = this.options;
    await createStore(image, {
      sizeBytes: DEVICE_FILES * fileBytes + 64 * 1024 * 1024,
      blockBytes,
      overwrite: true,
      dataChecksums,
    });
    await this.open();
    try {
      for (let step = 0; step < operations; step++) {
        const entry = this.entries[this.below(this.entries.length)];
        try {
          await this.step(entry);
        } catch (error) {
          throw this.failure(step, error);
        }
      }
      for (const entry of this.entries) this.compareWhole(entry);
    } finally {
      await this.close();
    }
    const report = await checkStore(image);
    if (!report.clean) throw this.failure(operations, new Error(JSON.stringify(report.errors, null, 1)));
  }

  private failure(step: number, cause: unknown): Error {
    const { seed, operations, blockBytes, scheme } = this.options;
    const last = this.log.slice(-LOGGED).join('\n  ');
    return new Error(
      `seed ${seed}, step ${step} of ${operations}, blocks of ${blockBytes}, scheme ${scheme}: ${(cause as Error).message}\n  ${last}`,
      { cause },
    );
  }

  private async open(): Promise<void> {
    const { image, blockBytes, scheme, cachePages, fileBytes } = this.options;
    this.store = await openStore(image, { cacheBytes: cachePages * blockBytes, scheme, threads: 2, verify: true });
    this.sync = attachStore(this.store.handle);
    if (this.entries.length === 0) {
      for (let i = 0; i < FILES; i++) {
        const name = `file-${i}`;
        this.entries.push({ name, file: this.sync.open(name, 'w+'), model: new FileModel(fileBytes) });
      }
    } else {
      for (const entry of this.entries) entry.file = this.sync.open(entry.name, 'r+');
    }
  }

  private async close(): Promise<void> {
    this.sync.close();
    await this.store.close();
  }

  private below(limit: number): number {
    return Math.floor(this.random() * limit);
  }

  /** A position at or near the places where things go wrong: block edges, the end. */
  private position(model: FileModel): number {
    const { blockBytes, fileBytes } = this.options;
    const kind = this.random();
    if (kind < 0.3) return this.below(fileBytes);
    if (kind < 0.5) return this.below(fileBytes / blockBytes) * blockBytes;
    if (kind < 0.65) return Math.max(0, this.below(fileBytes / blockBytes) * blockBytes + this.below(5) - 2);
    return Math.max(0, Math.min(fileBytes - 1, model.size + this.below(2 * blockBytes) - blockBytes));
  }

  private length(): number {
    const { blockBytes } = this.options;
    const kind = this.random();
    if (kind < 0.25) return 1 + this.below(64);
    if (kind < 0.6) return 1 + this.below(blockBytes * 2);
    if (kind < 0.75) return blockBytes * (1 + this.below(4));
    return 1 + this.below(blockBytes * 8);
  }

  private data(length: number): Uint8Array {
    const start = this.below(CONTENT_STARTS);
    return CONTENT.slice(start, start + length);
  }

  private note(name: string, entry: Entry, ...details: unknown[]): void {
    this.counts.set(name, (this.counts.get(name) ?? 0) + 1);
    this.log.push(`${name} ${entry.name} ${details.join(' ')} (size ${entry.model.size})`);
    if (this.log.length > 4 * LOGGED) this.log.splice(0, 2 * LOGGED);
  }

  private async step(entry: Entry): Promise<void> {
    const kind = this.random();
    if (kind < 0.3) this.read(entry);
    else if (kind < 0.58) this.write(entry);
    else if (kind < 0.64) this.truncate(entry);
    else if (kind < 0.71) this.punch(entry);
    else if (kind < 0.75) this.zeroRange(entry);
    else if (kind < 0.78) this.collapse(entry);
    else if (kind < 0.81) this.insert(entry);
    else if (kind < 0.84) this.fallocate(entry);
    else if (kind < 0.88) this.pinRead(entry);
    else if (kind < 0.91) this.pinWrite(entry);
    else if (kind < 0.94) this.advise(entry);
    else if (kind < 0.96) this.seek(entry);
    else if (kind < 0.975) this.names(entry);
    else if (kind < 0.98) this.compareWhole(entry);
    else if (kind < 1 - REOPENED_SHARE) this.syncOne(entry);
    else await this.reopen(entry);
    if (entry.file.stat().size !== entry.model.size) {
      throw new Error(`size is ${entry.file.stat().size}, not ${entry.model.size}`);
    }
  }

  private expectBytes(what: string, found: Uint8Array, expected: Uint8Array, position: number): void {
    if (Buffer.compare(found, expected) === 0) return;
    const at = found.findIndex((byte, i) => byte !== expected[i]);
    const where =
      at < 0
        ? `length ${found.length}, not ${expected.length}`
        : `byte ${position + at} is ${found[at]}, not ${expected[at]}`;
    throw new Error(`${what} at ${position}: ${where}`);
  }

  private read(entry: Entry): void {
    const position = this.position(entry.model);
    const buffer = new Uint8Array(this.length());
    this.note('read', entry, position, buffer.length);
    const { bytesRead } = entry.file.read(buffer, 0, buffer.length, position);
    this.expectBytes('read', buffer.subarray(0, bytesRead), entry.model.read(position, buffer.length), position);
  }

  private write(entry: Entry): void {
    const { fileBytes } = this.options;
    const position = this.position(entry.model);
    const data = this.data(Math.max(1, Math.min(this.length(), fileBytes - position)));
    this.note('write', entry, position, data.length);
    const { bytesWritten } = entry.file.write(data, 0, data.length, position);
    if (bytesWritten !== data.length) throw new Error(`${bytesWritten} of ${data.length} bytes written`);
    entry.model.write(position, data);
  }

  private truncate(entry: Entry): void {
    const size = this.random() < 0.1 ? 0 : this.position(entry.model);
    this.note('truncate', entry, size);
    entry.file.truncate(size);
    entry.model.truncate(size);
  }

  private punch(entry: Entry): void {
    const [position, length] = [this.position(entry.model), this.length()];
    this.note('punch', entry, position, length);
    entry.file.punchHole(position, length);
    entry.model.zero(position, length);
  }

  private zeroRange(entry: Entry): void {
    const position = this.position(entry.model);
    const length = Math.max(1, Math.min(this.length(), this.options.fileBytes - position));
    const keepSize = this.random() < 0.5;
    this.note('zero', entry, position, length, keepSize);
    entry.file.zeroRange(position, length, { keepSize });
    if (!keepSize) entry.model.grow(position + length);
    entry.model.zero(position, length);
  }

  private fallocate(entry: Entry): void {
    const position = this.position(entry.model);
    const length = Math.max(1, Math.min(this.length(), this.options.fileBytes - position));
    const keepSize = this.random() < 0.5;
    this.note('fallocate', entry, position, length, keepSize);
    entry.file.fallocate(position, length, { keepSize });
    if (!keepSize) entry.model.grow(position + length);
  }

  private collapse(entry: Entry): void {
    const { blockBytes } = this.options;
    const blocks = Math.floor(entry.model.size / blockBytes);
    const position = this.below(blocks + 1) * blockBytes;
    const length = blockBytes * (1 + this.below(4));
    this.note('collapse', entry, position, length);
    if (position + length >= entry.model.size) {
      this.expectCode('EINVAL', () => entry.file.collapseRange(position, length));
      return;
    }
    entry.file.collapseRange(position, length);
    entry.model.collapse(position, length);
  }

  private insert(entry: Entry): void {
    const { blockBytes, fileBytes } = this.options;
    const position = this.below(Math.floor(entry.model.size / blockBytes) + 1) * blockBytes;
    const length = blockBytes * (1 + this.below(4));
    if (entry.model.size + length > fileBytes) return;
    this.note('insert', entry, position, length);
    if (position >= entry.model.size) {
      this.expectCode('EINVAL', () => entry.file.insertRange(position, length));
      return;
    }
    entry.file.insertRange(position, length);
    entry.model.insert(position, length);
  }

  private expectCode(code: string, call: () => void): void {
    try {
      call();
    } catch (error) {
      if ((error as { code?: string }).code === code) return;
      throw error;
    }
    throw new Error(`${code} was not thrown`);
  }

  private pinRead(entry: Entry): void {
    const position = this.position(entry.model);
    this.note('pin', entry, position);
    if (position >= entry.model.size) {
      this.expectCode('ENXIO', () => entry.file.pin(position));
      return;
    }
    const page = entry.file.pin(position);
    try {
      const expected = new Uint8Array(this.options.blockBytes);
      expected.set(entry.model.read(page.position, expected.length));
      this.expectBytes('pin', page.bytes, expected, page.position);
      if (!page.current) throw new Error('the pinned page is not current');
      if (this.random() < 0.2) {
        entry.file.punchHole(page.position, expected.length);
        entry.model.zero(page.position, expected.length);
        if (page.current) throw new Error('the punched page is still current');
        this.expectBytes('punched pin', page.bytes, expected, page.position);
      }
    } finally {
      page.release();
    }
  }

  private pinWrite(entry: Entry): void {
    const position = this.position(entry.model);
    if (position >= entry.model.size) return;
    this.note('pin for writing', entry, position);
    const page = entry.file.pin(position, { write: true });
    const inside = Math.min(this.options.blockBytes, entry.model.size - page.position);
    const data = this.data(1 + this.below(inside));
    const at = this.below(inside - data.length + 1);
    page.bytes.set(data, at);
    page.release();
    entry.model.write(page.position + at, data);
  }

  private advise(entry: Entry): void {
    const advice = (['normal', 'sequential', 'random', 'willneed', 'dontneed'] as const)[this.below(5)];
    const [position, length] = [this.position(entry.model), this.length()];
    this.note('advise', entry, advice, position, length);
    entry.file.advise(advice, position, length);
  }

  private seek(entry: Entry): void {
    const position = this.position(entry.model);
    this.note('seek', entry, position);
    if (position >= entry.model.size) {
      this.expectCode('ENXIO', () => entry.file.nextHole(position));
      return;
    }
    const hole = entry.file.nextHole(position);
    if (hole < position || hole > entry.model.size) throw new Error(`next hole of ${position} is ${hole}`);
    let data: number;
    try {
      data = entry.file.nextData(position);
    } catch (error) {
      if ((error as { code?: string }).code !== 'ENXIO') throw error;
      data = entry.model.size;
    }
    // Whatever is called a hole must read as zeros.
    const skipped = entry.model.read(position, data - position);
    if (Buffer.compare(skipped, this.zeros.subarray(0, skipped.length)) !== 0)
      throw new Error(`data before ${data}, which nextData(${position}) skipped`);
  }

  private names(entry: Entry): void {
    const to = `name-${this.renames++ % 7}-${entry.name.slice(-1)}`;
    this.note('rename', entry, to);
    this.sync.rename(entry.name, to);
    if (this.sync.exists(entry.name) && entry.name !== to) throw new Error(`${entry.name} is still there`);
    entry.name = to;
    if (this.sync.stat(to).size !== entry.model.size) throw new Error('another file has the name');
    const listed = [...this.sync.list()].map(({ name }) => name);
    const expected = this.entries.map(({ name }) => name).sort();
    if (listed.join() !== expected.join()) throw new Error(`listed ${listed}, not ${expected}`);
  }

  private compareWhole(entry: Entry): void {
    this.note('compare', entry);
    const buffer = new Uint8Array(entry.model.size + 1);
    const { bytesRead } = entry.file.read(buffer, 0, buffer.length, 0);
    this.expectBytes('whole file', buffer.subarray(0, bytesRead), entry.model.bytes, 0);
  }

  private syncOne(entry: Entry): void {
    this.note('sync', entry);
    const kind = this.random();
    if (kind < 0.4) entry.file.sync();
    else if (kind < 0.8) entry.file.datasync();
    else this.sync.sync();
  }

  private async reopen(entry: Entry): Promise<void> {
    this.note('reopen', entry);
    await this.close();
    await this.open();
    for (const other of this.entries) this.compareWhole(other);
  }
}
