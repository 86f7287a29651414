/**
 * Runs one suite under every safe scheme, with two block sizes among them, lock order and page states checked, and verifies
 * the store's every structure at the end. Through both faces of the interface under the schemes that are compared, and
 * through the synchronous one under the others, whose difference lies below the faces.
 */
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect } from 'vitest';
import { checkStore, createStore, type OpenOptions, openStore, type Store } from '#dist/src/index.js';
import { attachStore, type SyncStore } from '#dist/src/worker.js';
import { temporaryDirectory } from '../support/temporary.js';
import { isTestedInFull, testedSchemes } from '../support/tested-schemes.js';
import { type FaceName, type FileFace, type StoreFace, syncFace } from './face.js';

export interface Options {
  /** Default 32 MiB. */
  sizeBytes?: number;
  open?: OpenOptions;
  faces?: FaceName[];
  /** It comes to no lock of a scheme: under those that are tested in full only. */
  isBesideLocks?: boolean;
}

const DEFAULT_SIZE_BYTES = 32 * 1024 * 1024;
const CACHE_PAGES = 512;
const FACES: FaceName[] = ['asynchronous', 'synchronous'];
const BLOCK_BYTES = [4096, 16_384];
/** The run whose stores have data checksums. */
const WITH_CHECKSUMS = 3;

/** One open store, as the face under test shows it. */
export class Context {
  owner!: Store;
  store!: StoreFace;
  private attached: SyncStore | undefined;
  private names = 0;

  constructor(
    readonly image: string,
    readonly scheme: string,
    readonly face: FaceName,
    readonly blockBytes: number,
    private readonly options: Options,
    readonly dataChecksums: boolean,
  ) {}

  async create(): Promise<void> {
    const { image, blockBytes, options } = this;
    const sizeBytes = options.sizeBytes ?? DEFAULT_SIZE_BYTES;
    await createStore(image, { sizeBytes, blockBytes, overwrite: true, dataChecksums: this.dataChecksums });
  }

  async open(options: OpenOptions = {}): Promise<void> {
    const { scheme, blockBytes } = this;
    const cacheBytes = CACHE_PAGES * blockBytes;
    const all = { cacheBytes, scheme, threads: 2, verify: true, ...this.options.open, ...options };
    this.owner = await openStore(this.image, all);
    if (this.face === 'synchronous') this.attached = attachStore(this.owner.handle);
    this.store = this.attached === undefined ? this.owner : syncFace(this.attached);
  }

  async close(): Promise<void> {
    this.attached?.close();
    this.attached = undefined;
    await this.owner.close();
  }

  async reopen(options: OpenOptions = {}): Promise<void> {
    await this.close();
    await this.open(options);
  }

  /** A name that no test has used. */
  fresh(prefix = 'file'): string {
    return `${prefix}-${this.names++}`;
  }

  /** Runs `body` with a new open file, which is closed at its end. */
  async withFile(body: (file: FileFace, name: string) => Promise<void>, flags = 'w+'): Promise<void> {
    const name = this.fresh();
    const file = await this.store.open(name, flags);
    try {
      await body(file, name);
    } finally {
      await file.close();
    }
  }

  /** The whole content of a file. */
  async content(name: string): Promise<Buffer> {
    const file = await this.store.open(name);
    try {
      return (await file.readFile()) as Buffer;
    } finally {
      await file.close();
    }
  }

  /** Free blocks once nothing is promised or quarantined any more. */
  async settledFree(): Promise<number> {
    await this.store.sync();
    const { blocksFree, blocksReserved } = await this.store.statfs();
    expect(blocksReserved).toBe(0);
    return blocksFree;
  }
}

export function conformance(title: string, suite: (context: Context) => void, options: Options = {}): void {
  const directory = temporaryDirectory(true);
  let run = 0;
  for (const scheme of testedSchemes) {
    for (const face of options.faces ?? FACES) {
      if ((face === 'asynchronous' || options.isBesideLocks === true) && !isTestedInFull(scheme)) continue;
      const number = run++;
      // Every scheme and every face meets both sizes: 4, 16, 16, 4 KiB.
      const blockBytes = BLOCK_BYTES[(number ^ (number >> 1)) & 1];
      const dataChecksums = number === WITH_CHECKSUMS;
      const kind = `blocks of ${blockBytes}${dataChecksums ? ', data checksums' : ''}`;
      describe(`${title}: ${scheme.name}, ${face}, ${kind}`, () => {
        const image = join(directory, `${number}.img`);
        const context = new Context(image, scheme.name, face, blockBytes, options, dataChecksums);
        beforeAll(async () => {
          await context.create();
          await context.open();
        });
        afterAll(async () => {
          await context.close();
          expect(await checkStore(context.image)).toMatchObject({ clean: true, errors: [] });
        });
        suite(context);
      });
    }
  }
}
