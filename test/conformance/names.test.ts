/** Names: unlinking, renaming, listing in byte order. */
import { expect, it } from 'vitest';
import type { ListEntry, ListOptions } from '#dist/src/index.js';
import { expectBytes, pattern } from '../support/bytes.js';
import { expectCode } from '../support/expect-code.js';
import { type Context, conformance } from './conformance.js';

async function list(context: Context, options?: ListOptions): Promise<ListEntry[]> {
  const entries: ListEntry[] = [];
  for await (const entry of await context.store.list(options)) entries.push(entry);
  return entries;
}

async function names(context: Context, options?: ListOptions): Promise<string[]> {
  return (await list(context, options)).map(({ name }) => name);
}

async function touch(context: Context, name: string, content = ''): Promise<void> {
  const file = await context.store.open(name, 'w');
  await file.writeFile(content);
  await file.close();
}

const inBytes = (a: string, b: string): number => Buffer.compare(Buffer.from(a), Buffer.from(b));

conformance(
  'names',
  (context) => {
    it('unlinks', async () => {
      const name = context.fresh();
      await expectCode('ENOENT', () => context.store.unlink(name));
      await touch(context, name, 'x');
      const { files } = await context.store.statfs();
      await context.store.unlink(name);
      expect((await context.store.statfs()).files).toBe(files - 1);
      expect(await context.store.exists(name)).toBe(false);
      const error = await expectCode('ENOENT', () => context.store.unlink(name));
      expect(error).toMatchObject({ syscall: 'unlink', path: name });
      const missing = await expectCode('ENOENT', () => context.store.stat(name));
      expect(missing).toMatchObject({ syscall: 'stat', path: name });
    });

    it('keeps an unlinked file until its last close', async () => {
      const { blockBytes } = context;
      await context.withFile(async () => {}); // the inode table has its blocks
      const free = await context.settledFree();
      const name = context.fresh();
      const one = await context.store.open(name, 'w+');
      const two = await context.store.open(name, 'r+');
      const bytes = pattern(20 * blockBytes);
      await one.write(bytes, 0, bytes.length, 0);
      await one.sync();
      await context.store.unlink(name);
      expect(await context.store.exists(name)).toBe(false);
      await touch(context, name, 'another');
      const found = Buffer.alloc(bytes.length);
      await two.read(found, 0, found.length, 0);
      expectBytes(found, bytes);
      await two.write(Buffer.from('more'), 0, 4, 20 * blockBytes);
      await one.close();
      expect((await two.stat()).size).toBe(20 * blockBytes + 4);
      await two.read(found, 0, found.length, 0);
      expectBytes(found, bytes);
      expect((await context.content(name)).toString()).toBe('another');
      expect(await context.settledFree()).toBeLessThanOrEqual(free - 21);
      await two.close();
      await context.store.unlink(name);
      expect(await context.settledFree()).toBe(free);
    });

    it('gives the blocks of an unlinked file back', async () => {
      const { blockBytes } = context;
      await context.withFile(async () => {});
      const free = await context.settledFree();
      for (let i = 0; i < 3; i++) {
        const name = context.fresh();
        await touch(context, name, 'x'.repeat(50 * blockBytes));
        expect(await context.settledFree()).toBeLessThanOrEqual(free - 50);
        await context.store.unlink(name);
        expect(await context.settledFree()).toBe(free);
      }
    });

    it('renames, also what is open', async () => {
      const [from, to] = [context.fresh('from'), context.fresh('to')];
      await touch(context, from, 'content');
      const file = await context.store.open(from, 'r+');
      const { ino, ctimeMs } = await file.stat();
      await new Promise((resolve) => setTimeout(resolve, 10));
      await context.store.rename(from, to);
      expect(await context.store.exists(from)).toBe(false);
      expect((await context.store.stat(to)).ino).toBe(ino);
      expect((await file.stat()).ctimeMs).toBeGreaterThan(ctimeMs);
      await file.write(Buffer.from('C'), 0, 1, 0);
      expect((await context.content(to)).toString()).toBe('Content');
      await file.close();
      const error = await expectCode('ENOENT', () => context.store.rename(from, to));
      expect(error).toMatchObject({ syscall: 'rename', path: from });
      expect((await context.content(to)).toString()).toBe('Content');
    });

    it('renames over what is there, and frees it', async () => {
      const { blockBytes } = context;
      const [from, to] = [context.fresh('from'), context.fresh('to')];
      await touch(context, from, 'new');
      const before = await context.settledFree();
      await touch(context, to, 'o'.repeat(30 * blockBytes));
      const old = await context.store.open(to);
      const { files } = await context.store.statfs();
      await context.store.rename(from, to);
      expect((await context.store.statfs()).files).toBe(files - 1);
      expect((await context.content(to)).toString()).toBe('new');
      expect((await old.stat()).size).toBe(30 * blockBytes);
      const byte = Buffer.alloc(1);
      await old.read(byte, 0, 1, 29 * blockBytes);
      expect(byte.toString()).toBe('o');
      await old.close();
      expect(await context.settledFree()).toBe(before);
    });

    it('renames to itself: nothing happens', async () => {
      const name = context.fresh();
      await touch(context, name, 'same');
      const before = await context.store.stat(name);
      await context.store.rename(name, name);
      expect(await context.store.stat(name)).toEqual(before);
      expect((await context.content(name)).toString()).toBe('same');
    });

    it('lists in byte order, with figures', async () => {
      const prefix = `${context.fresh('list')}/`;
      const some = [
        'b',
        'B',
        'a',
        'aa',
        'a/b',
        'z',
        'é',
        'Ω',
        '文',
        '🐟',
        '\uffee',
        'a\u0301',
        '~',
        '!',
        ' ',
        '10',
        '9',
      ];
      for (const name of some) await touch(context, prefix + name, name);
      const expected = some.map((name) => prefix + name).sort(inBytes);
      const entries = await list(context, { prefix });
      expect(entries.map(({ name }) => name)).toEqual(expected);
      for (const entry of entries) {
        const { ino, size, allocatedBytes, mtimeMs } = await context.store.stat(entry.name);
        expect(entry).toEqual({ name: entry.name, ino, size, allocatedBytes, mtimeMs });
        expect(size).toBe(Buffer.byteLength(entry.name.slice(prefix.length)));
      }
      // Sorted as UTF-16 the fish would come before the last of the first plane.
      expect(expected.indexOf(`${prefix}🐟`)).toBeGreaterThan(expected.indexOf(`${prefix}\uffee`));
      for (const after of [...expected, `${prefix}`, `${prefix}aaa`, `${prefix}\u{10ffff}`]) {
        const rest = expected.filter((name) => inBytes(name, after) > 0);
        expect(await names(context, { prefix, after })).toEqual(rest);
      }
      expect(await names(context, { prefix, limit: 3 })).toEqual(expected.slice(0, 3));
      expect(await names(context, { prefix, after: expected[4], limit: 2 })).toEqual(expected.slice(5, 7));
      expect(await names(context, { prefix, limit: 0 })).toEqual([]);
      expect(await names(context, { prefix: `${prefix}a` })).toEqual(
        expected.filter((n) => n.startsWith(`${prefix}a`)),
      );
      expect(await names(context, { prefix: `${prefix}none` })).toEqual([]);
      expect(await names(context, { prefix: 'x'.repeat(300) })).toEqual([]);
      expect(await names(context, { prefix, after: 'y'.repeat(300) })).toEqual([]);
      const all = await names(context);
      expect(all).toEqual([...all].sort(inBytes));
      expect(all).toEqual(expect.arrayContaining(expected));
      for (const name of expected) await context.store.unlink(name);
      expect(await names(context, { prefix })).toEqual([]);
    });

    it('lists thousands, and survives changes on the way', async () => {
      const prefix = `${context.fresh('many')}/`;
      // More than one request of `list` fetches.
      const count = 1100;
      const expected = Array.from(
        { length: count },
        (_, i) => `${prefix}${String(i).padStart(6, '0')}-${'n'.repeat(i % 90)}`,
      );
      for (const name of expected) await (await context.store.open(name, 'w')).close();
      expect(await names(context, { prefix })).toEqual(expected);
      const seen: string[] = [];
      for await (const { name } of await context.store.list({ prefix })) {
        seen.push(name);
        if (seen.length % 3 === 0) await context.store.unlink(name);
      }
      expect(seen).toEqual(expected);
      const rest = expected.filter((_, i) => (i + 1) % 3 !== 0);
      expect(await names(context, { prefix })).toEqual(rest);
      for (const name of rest) await context.store.unlink(name);
      expect(await names(context, { prefix })).toEqual([]);
    });

    it('tells its space', async () => {
      const { blockBytes } = context;
      const before = await context.store.statfs();
      expect(before).toMatchObject({ blockBytes, blocks: (32 * 1024 * 1024) / blockBytes });
      expect(before.blocksFree).toBeGreaterThan(0);
      expect(before.blocksFree).toBeLessThan(before.blocks);
      const free = await context.settledFree();
      await context.withFile(async (file, name) => {
        const { files } = await context.store.statfs();
        await file.write(pattern(12 * blockBytes), 0, 12 * blockBytes, 0);
        const promised = await context.store.statfs();
        // Promised now, allocated later: what is left for others is the same.
        expect(promised.blocksFree - promised.blocksReserved).toBeLessThanOrEqual(free - 12);
        expect(await context.settledFree()).toBe(free - 12);
        await file.punchHole(0, 12 * blockBytes);
        expect(await context.settledFree()).toBe(free);
        await context.store.unlink(name);
        expect((await context.store.statfs()).files).toBe(files - 1);
      });
      expect(await context.settledFree()).toBe(free);
    });
  },
  { isBesideLocks: true },
);
