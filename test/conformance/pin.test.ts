/** Pins: windows on pages, through punches, truncations, shifts and writeback. */
import { expect, it } from 'vitest';
import { attachStore, type PinnedPage, type SyncFile, type SyncStore } from '#dist/src/worker.js';
import { expectBytes, isZero, pattern } from '../support/bytes.js';
import { expectCode } from '../support/expect-code.js';
import { conformance } from './conformance.js';

conformance(
  'pins',
  (context) => {
    const block = context.blockBytes;

    /** A file of some blocks of pattern, dropped from the cache or not, with the store it is open in. */
    function withFile(
      blocks: number,
      cold: boolean,
      body: (file: SyncFile, model: Buffer, store: SyncStore) => void,
    ): void {
      const store = attachStore(context.owner.handle);
      const name = context.fresh();
      const file = store.open(name, 'w+');
      const model = pattern(blocks * block, blocks + Number(cold));
      file.write(model, 0, model.length, 0);
      if (cold) {
        file.sync();
        file.advise('dontneed');
      }
      body(file, model, store);
      store.close();
      expect(context.owner.stats().pages.pinned).toBe(0);
    }

    const pageOf = (model: Buffer, page: number): Buffer => model.subarray(page * block, (page + 1) * block);

    it('show a page, filled on a miss', () => {
      for (const cold of [false, true]) {
        withFile(4, cold, (file, model) => {
          const { misses } = context.owner.stats();
          for (const position of [0, 1, block - 1, block, 3 * block + 5]) {
            const page = file.pin(position);
            expect(page.position).toBe(Math.floor(position / block) * block);
            expect(page.bytes).toBeInstanceOf(Uint8Array);
            expect(page.current).toBe(true);
            expectBytes(page.bytes, pageOf(model, page.position / block));
            page.release();
            expect(page.current).toBe(false);
            page.release();
          }
          const bigint = file.pin(BigInt(block));
          expect(bigint.position).toBe(block);
          bigint[Symbol.dispose]();
          expect(context.owner.stats().misses).toBeGreaterThanOrEqual(misses);
        });
      }
    });

    it('are refused past the end and where they make no sense', async () => {
      const store = attachStore(context.owner.handle);
      const name = context.fresh();
      const file = store.open(name, 'w+');
      file.write(Buffer.alloc(100, 1), 0, 100, 0);
      for (const position of [100, block, 2 ** 50]) {
        const error = await expectCode('ENXIO', () => file.pin(position));
        expect(error).toMatchObject({ path: name, syscall: 'pin' });
      }
      await expectCode('ERR_OUT_OF_RANGE', () => file.pin(-1));
      await expectCode('ERR_OUT_OF_RANGE', () => file.pin(0.5));
      await expectCode('ERR_INVALID_ARG_TYPE', () => file.pin('0' as unknown as number));
      await expectCode('ERR_INVALID_ARG_TYPE', () => file.pin(undefined as unknown as number));
      const reader = store.open(name);
      await expectCode('EBADF', () => reader.pin(0, { write: true }));
      file.close();
      await expectCode('EBADF', () => file.pin(0));
      const writer = store.open(name, 'a');
      await expectCode('EBADF', () => writer.pin(0));
      store.close();
    });

    it('show zeros in holes, unwritten extents and behind the end', () => {
      withFile(2, true, (file) => {
        file.truncate(6 * block);
        file.fallocate(4 * block, block);
        for (const position of [2 * block, 4 * block, 5 * block]) {
          const page = file.pin(position);
          expect(isZero(page.bytes)).toBe(true);
          page.release();
        }
        file.truncate(block + 10);
        const page = file.pin(block);
        expect(isZero(page.bytes.subarray(10))).toBe(true);
        page.release();
      });
    });

    it('see what is written meanwhile, and stay', () => {
      withFile(3, false, (file) => {
        const page = file.pin(block);
        file.write(Buffer.from('written'), 0, 7, block + 100);
        expect(Buffer.from(page.bytes.subarray(100, 107)).toString()).toBe('written');
        file.sync();
        file.advise('dontneed');
        file.punchHole(0, block);
        file.truncate(2 * block);
        expect(page.current).toBe(true);
        expect(Buffer.from(page.bytes.subarray(100, 107)).toString()).toBe('written');
        page.release();
      });
    });

    it('keep detached content when their page goes', () => {
      const changes: [string, (file: SyncFile) => void][] = [
        ['punch', (file) => file.punchHole(block, block)],
        ['zero', (file) => file.zeroRange(block, block)],
        ['truncate', (file) => file.truncate(block)],
        ['collapse', (file) => file.collapseRange(block, block)],
        ['insert', (file) => file.insertRange(block, block)],
        ['empty', (file) => file.truncate(0)],
      ];
      for (const [what, change] of changes) {
        for (const cold of [false, true]) {
          withFile(4, cold, (file, model, store) => {
            const pages = [file.pin(block), file.pin(block + 7)];
            const before = pageOf(model, 1);
            change(file);
            for (const page of pages) {
              expect(page.current, what).toBe(false);
              expectBytes(page.bytes, before, what);
            }
            // The block goes to another file, and the frame stays whose it was.
            store.sync();
            const other = store.open(context.fresh('other'), 'w');
            other.write(pattern(64 * block, 77), 0, 64 * block, 0);
            other.sync();
            for (const page of pages) expectBytes(page.bytes, before, what);
            for (const page of pages) page.release();
            if (file.stat().size > block) {
              const fresh = file.pin(block);
              expect(fresh.current).toBe(true);
              fresh.release();
            }
            other.truncate(0);
          });
        }
      }
    });

    it('write through the page', () => {
      for (const cold of [false, true]) {
        withFile(4, cold, (file, model, store) => {
          const { mtimeMs } = file.stat();
          const page = file.pin(2 * block, { write: true });
          expectBytes(page.bytes, pageOf(model, 2));
          page.bytes.set(Buffer.from('by hand'), 50);
          page.release();
          model.write('by hand', 2 * block + 50);
          const found = Buffer.alloc(model.length);
          file.read(found, 0, found.length, 0);
          expectBytes(found, model);
          expect(file.stat().mtimeMs).toBeGreaterThanOrEqual(mtimeMs);
          file.sync();
          file.advise('dontneed');
          store.open(file.name).read(found, 0, found.length, 0);
          expectBytes(found, model, 'read again');
          expect(file.stat().size).toBe(model.length);
        });
      }
    });

    it('write into holes, and what was synced before the release is synced again', () => {
      withFile(1, true, (file) => {
        file.truncate(4 * block);
        const page = file.pin(3 * block, { write: true });
        page.bytes.fill(1, 0, 10);
        file.sync(); // writes what is there so far
        page.bytes.fill(2, 10, 20);
        page.release();
        file.sync();
        file.advise('dontneed');
        const found = Buffer.alloc(20);
        file.read(found, 0, 20, 3 * block);
        expectBytes(found, Buffer.concat([Buffer.alloc(10, 1), Buffer.alloc(10, 2)]));
        expect(file.stat().allocatedBytes).toBe(2 * block);
      });
    });

    it('lose what is written behind the end, or into a page that is gone', () => {
      withFile(2, false, (file) => {
        file.truncate(block + 100);
        const page = file.pin(block, { write: true });
        page.bytes.fill(7);
        page.release();
        expect(file.stat().size).toBe(block + 100);
        file.truncate(2 * block);
        const found = Buffer.alloc(block);
        file.read(found, 0, block, block);
        expectBytes(found.subarray(0, 100), Buffer.alloc(100, 7));
        expect(isZero(found.subarray(100))).toBe(true);

        const gone = file.pin(block, { write: true });
        file.punchHole(block, block);
        gone.bytes.fill(9);
        gone.release();
        file.read(found, 0, block, block);
        expect(isZero(found)).toBe(true);
      });
    });

    it('are counted, limited, and given back when their thread detaches', async () => {
      const store = attachStore(context.owner.handle);
      const file = store.open(context.fresh(), 'w+');
      file.truncate(512 * block);
      const pages: PinnedPage[] = [];
      const pinAll = (): void => {
        for (let i = 0; i < 512; i++) pages.push(file.pin(i * block));
      };
      await expectCode('ENOMEM', pinAll);
      expect(pages.length).toBeGreaterThan(50);
      expect(context.owner.stats().pages.pinned).toBe(pages.length);
      // The cache still serves others.
      const other = store.open(context.fresh(), 'w+');
      const bytes = pattern(400 * block);
      for (let at = 0; at < bytes.length; at += 10 * block) other.write(bytes, at, 10 * block, at);
      const found = Buffer.alloc(bytes.length);
      other.read(found, 0, found.length, 0);
      expectBytes(found, bytes);
      other.truncate(0);
      for (const page of pages.splice(0, 10)) page.release();
      file.pin(0).release();
      for (const page of pages) page.release();
      expect(context.owner.stats().pages.pinned).toBe(0);
      const left = file.pin(0);
      store.close();
      expect(left.bytes.length).toBe(block);
      left.release();
      expect(context.owner.stats().pages.pinned).toBe(0);
    });
  },
  { faces: ['synchronous'] },
);
