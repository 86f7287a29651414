/** What is there after the store was closed and opened again, or was never closed. */
import { copyFileSync, readFileSync, rmSync } from 'node:fs';
import { expect, it } from 'vitest';
import { checkStore, openStore } from '#dist/src/index.js';
import { expectBytes, isZero, pattern } from '../support/bytes.js';
import { conformance } from './conformance.js';

conformance(
  'durability',
  (context) => {
    it('keeps files, sizes, holes and times over a reopening', async () => {
      const block = context.blockBytes;
      const expected = new Map<string, { bytes: Buffer; stat: object }>();
      const finish = ['none', 'sync', 'datasync', 'store'];
      for (const how of finish) {
        const name = context.fresh(how);
        const file = await context.store.open(name, 'w+');
        await file.write(pattern(5 * block + 33, how.length), 0, 5 * block + 33, 3 * block + 7);
        await file.punchHole(4 * block, 2 * block);
        await file.fallocate(20 * block, block);
        await file.truncate(20 * block + 5);
        if (how === 'sync') await file.sync();
        else if (how === 'datasync') await file.datasync();
        else if (how === 'store') await context.store.sync();
        await file.sync();
        expected.set(name, { bytes: await context.content(name), stat: await file.stat() });
        await file.close();
      }
      const gone = context.fresh();
      await (await context.store.open(gone, 'w')).close();
      await context.store.unlink(gone);
      const { blocksFree, files } = await context.store.statfs();
      await context.reopen();
      expect(await context.store.statfs()).toMatchObject({ files });
      expect((await context.store.statfs()).blocksFree).toBeGreaterThanOrEqual(blocksFree);
      expect(await context.store.exists(gone)).toBe(false);
      for (const [name, { bytes, stat }] of expected) {
        expectBytes(await context.content(name), bytes, name);
        expect(await context.store.stat(name)).toEqual(stat);
        const file = await context.store.open(name);
        expect(await file.nextData(0)).toBe(3 * block);
        expect(await file.nextHole(3 * block)).toBe(4 * block);
        await file.close();
      }
    });

    it('keeps what was written without any sync', async () => {
      const name = context.fresh();
      const bytes = pattern(40 * context.blockBytes + 1);
      const file = await context.store.open(name, 'w');
      await file.writeFile(bytes);
      await context.reopen();
      expectBytes(await context.content(name), bytes);
      expect(await context.settledFree()).toBeGreaterThan(0);
    });

    it('forgets unlinked files that were open when it closed', async () => {
      await context.withFile(async () => {});
      const free = await context.settledFree();
      const name = context.fresh();
      const file = await context.store.open(name, 'w');
      await file.writeFile(pattern(64 * context.blockBytes));
      await context.store.unlink(name);
      await context.reopen();
      expect(await context.settledFree()).toBe(free);
      expect((await checkAfterClose()).clean).toBe(true);
    });

    async function checkAfterClose() {
      await context.close();
      const report = await checkStore(context.image);
      await context.open();
      return report;
    }

    it('recovers a store that was not closed, with everything that was synced', async () => {
      const block = context.blockBytes;
      const bytes = pattern(30 * block + 9);
      const [name, dense] = [context.fresh(), context.fresh()];
      const file = await context.store.open(name, 'w');
      for (let i = 0; i < 30; i += 2) await file.write(bytes, i * block, block, i * block);
      await file.sync();
      await file.close();
      const other = await context.store.open(dense, 'w');
      await other.writeFile(bytes);
      await context.store.sync();
      // What the device holds now, as after a power cut.
      const copy = `${context.image}.cut`;
      copyFileSync(context.image, copy);
      await other.close();
      try {
        const before = readFileSync(copy);
        const readOnly = await openStore(copy, { readOnly: true, threads: 2, verify: true });
        expectBytes((await (await readOnly.open(dense)).readFile()) as Buffer, bytes);
        await readOnly.close();
        const report = await checkStore(copy);
        expect(report).toMatchObject({ clean: true, errors: [] });
        expect(report.replayed).toBeGreaterThan(0);
        expect(readFileSync(copy).equals(before), 'the device is untouched').toBe(true);
        const store = await openStore(copy, { threads: 2, verify: true });
        expectBytes((await (await store.open(dense)).readFile()) as Buffer, bytes);
        const sparse = (await (await store.open(name)).readFile()) as Buffer;
        for (let i = 0; i < 29; i++) {
          const found = sparse.subarray(i * block, (i + 1) * block);
          if (i % 2 === 0) expectBytes(found, bytes.subarray(i * block, (i + 1) * block), `block ${i}`);
          else expect(isZero(found)).toBe(true);
        }
        await store.close();
        expect((await checkStore(copy)).clean).toBe(true);
      } finally {
        rmSync(copy, { force: true });
      }
    });
  },
  { isBesideLocks: true },
);
