/** Opening files: flags, names, what each flag allows, and what a closed file says. */
import { expect, it } from 'vitest';
import { expectBytes, pattern } from '../support/bytes.js';
import { expectCode } from '../support/expect-code.js';
import { conformance } from './conformance.js';

conformance('open', (context) => {
  it('refuses what is not there', async () => {
    for (const flags of ['r', 'r+']) {
      const error = await expectCode('ENOENT', () => context.store.open('missing', flags));
      expect(error).toMatchObject({ syscall: 'open', path: 'missing', errno: -2 });
      expect(error.message).toContain("'missing'");
    }
    expect(await context.store.exists('missing')).toBe(false);
  });

  it('creates, truncates, excludes and appends as the flags say', async () => {
    const name = context.fresh();
    for (const flags of ['w', 'w+', 'a', 'a+']) {
      const file = await context.store.open(`${name}-${flags}`, flags);
      await file.write(Buffer.from('one'));
      await file.close();
      const again = await context.store.open(`${name}-${flags}`, flags);
      expect((await again.stat()).size).toBe(flags.startsWith('w') ? 0 : 3);
      await again.write(Buffer.from('two'));
      await again.close();
      expect((await context.content(`${name}-${flags}`)).toString()).toBe(flags.startsWith('w') ? 'two' : 'onetwo');
    }
    for (const flags of ['wx', 'wx+']) {
      const file = await context.store.open(`${name}-${flags}`, flags);
      await file.write(Buffer.from('mine'));
      await file.close();
      const error = await expectCode('EEXIST', () => context.store.open(`${name}-${flags}`, flags));
      expect(error).toMatchObject({ syscall: 'open', path: `${name}-${flags}` });
      expect((await context.content(`${name}-${flags}`)).toString()).toBe('mine');
    }
  });

  it('reads only what is open for reading, and writes only what is open for writing', async () => {
    const name = context.fresh();
    await (await context.store.open(name, 'w')).close();
    const buffer = Buffer.alloc(8);
    for (const flags of ['w', 'a']) {
      const file = await context.store.open(name, flags);
      await expectCode('EBADF', () => file.read(buffer, 0, 8, 0));
      await expectCode('EBADF', () => file.readv([buffer], 0));
      await expectCode('EBADF', () => file.readFile());
      await file.close();
    }
    const file = await context.store.open(name);
    const error = await expectCode('EBADF', () => file.write(buffer, 0, 8, 0));
    expect(error).toMatchObject({ syscall: 'write', path: name });
    await expectCode('EBADF', () => file.writev([buffer], 0));
    await expectCode('EBADF', () => file.writeFile('x'));
    await expectCode('EBADF', () => file.appendFile('x'));
    await expectCode('EBADF', () => file.truncate(0));
    await expectCode('EBADF', () => file.fallocate(0, 1));
    await expectCode('EBADF', () => file.punchHole(0, 1));
    await expectCode('EBADF', () => file.zeroRange(0, 1));
    await expectCode('EBADF', () => file.collapseRange(0, context.blockBytes));
    await expectCode('EBADF', () => file.insertRange(0, context.blockBytes));
    expect((await file.stat()).size).toBe(0);
    await file.sync();
    await file.datasync();
    await file.close();
  });

  it('refuses flags that it does not know', async () => {
    for (const flags of ['', 'q', 'rw', 'r ', 'x', 'w++']) {
      const error = await expectCode('EINVAL', () => context.store.open('flags', flags));
      expect(error.message).toContain('flags');
    }
    for (const flags of [null, 7, {}, true]) {
      await expectCode('ERR_INVALID_ARG_TYPE', () => context.store.open('flags', flags as unknown as string));
    }
    expect(await context.store.exists('flags')).toBe(false);
  });

  it('takes names of 1 to 255 bytes of UTF-8', async () => {
    for (const name of [
      'x',
      'n'.repeat(255),
      'ä'.repeat(127),
      '日本語/файл/🐟',
      ' ',
      '.',
      '..',
      '/',
      'a\nb',
      'logs/2026/11',
    ]) {
      const file = await context.store.open(name, 'wx');
      await file.writeFile(name);
      await file.close();
      expect((await context.content(name)).toString()).toBe(name);
      await context.store.unlink(name);
      expect(await context.store.exists(name)).toBe(false);
    }
  });

  it('refuses names that cannot be', async () => {
    const cases: [string, string][] = [
      ['', 'ENOENT'],
      ['n'.repeat(256), 'ENAMETOOLONG'],
      ['ä'.repeat(128), 'ENAMETOOLONG'],
      ['a\0b', 'EINVAL'],
      ['\ud800', 'EINVAL'],
    ];
    for (const [name, code] of cases) {
      await expectCode(code, () => context.store.open(name, 'w'));
      await expectCode(code, () => context.store.open(name));
      await expectCode(code, () => context.store.stat(name));
      await expectCode(code, () => context.store.unlink(name));
      await expectCode(code, () => context.store.rename(name, 'other'));
    }
    const name = context.fresh();
    await (await context.store.open(name, 'w')).close();
    for (const [to, code] of cases) await expectCode(code, () => context.store.rename(name, to));
    expect(await context.store.exists(name)).toBe(true);
    for (const wrong of [undefined, null, 7, {}, Buffer.from('x')]) {
      const bad = wrong as unknown as string;
      await expectCode('ERR_INVALID_ARG_TYPE', () => context.store.open(bad));
      await expectCode('ERR_INVALID_ARG_TYPE', () => context.store.stat(bad));
      await expectCode('ERR_INVALID_ARG_TYPE', () => context.store.exists(bad));
      await expectCode('ERR_INVALID_ARG_TYPE', () => context.store.unlink(bad));
      await expectCode('ERR_INVALID_ARG_TYPE', () => context.store.rename(bad, 'x'));
      await expectCode('ERR_INVALID_ARG_TYPE', () => context.store.rename('x', bad));
    }
  });

  it('shows one file through any number of handles', async () => {
    const name = context.fresh();
    const one = await context.store.open(name, 'w+');
    const two = await context.store.open(name, 'r+');
    const bytes = pattern(3 * context.blockBytes + 17);
    await one.write(bytes, 0, bytes.length, 5);
    const found = Buffer.alloc(bytes.length);
    expect((await two.read(found, 0, found.length, 5)).bytesRead).toBe(bytes.length);
    expectBytes(found, bytes);
    expect((await two.stat()).ino).toBe((await one.stat()).ino);
    await two.truncate(1);
    expect((await one.stat()).size).toBe(1);
    // Opening with 'w' empties it under the others.
    await (await context.store.open(name, 'w')).close();
    expect((await one.read(found, 0, 1, 0)).bytesRead).toBe(0);
    await one.close();
    await two.close();
  });

  it('refuses everything on a closed file', async () => {
    const name = context.fresh();
    const file = await context.store.open(name, 'w+');
    await file.writeFile('x');
    await file.close();
    const buffer = Buffer.alloc(4);
    const calls: (() => unknown)[] = [
      () => file.read(buffer, 0, 4, 0),
      () => file.read(buffer, 0, 4, null),
      () => file.write(buffer, 0, 4, 0),
      () => file.readv([buffer]),
      () => file.writev([buffer]),
      () => file.readFile(),
      () => file.writeFile('x'),
      () => file.appendFile('x'),
      () => file.truncate(),
      () => file.stat(),
      () => file.sync(),
      () => file.datasync(),
      () => file.fallocate(0, 1),
      () => file.punchHole(0, 1),
      () => file.zeroRange(0, 1),
      () => file.collapseRange(0, context.blockBytes),
      () => file.insertRange(0, context.blockBytes),
      () => file.advise('normal'),
      () => file.nextData(0),
      () => file.nextHole(0),
      () => file.extents(),
    ];
    for (const call of calls) {
      const error = await expectCode('EBADF', call);
      expect(error.path, `${call}`).toBe(name);
    }
    await file.close();
    expect((await context.content(name)).toString()).toBe('x');
  });

  it('reports the error of a file by its name', async () => {
    await context.withFile(async (file, name) => {
      const error = await expectCode('ENXIO', () => file.nextData(0));
      expect(error).toMatchObject({ path: name, syscall: 'nextData', errno: -6 });
      expect(error.message).toContain(`'${name}'`);
    });
  });
});
