/** The server against programs that people use: each must find there what it put there. */
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'vitest';
import { itWith, run, succeed } from '../../support/programs.js';
import { MIB, makeFile, readFile, servedStore } from './served-store.js';

const served = servedStore();

/** A host file with data, a hole, data and a hole at the end. */
function sparseFile(name: string, size: number): string {
  const path = join(served.directory, name);
  writeFileSync(path, Buffer.concat([randomBytes(3 * MIB), Buffer.alloc(5 * MIB), randomBytes(2 * MIB + 512)]));
  truncateSync(path, size);
  return path;
}

itWith(['nbdinfo'], 'nbdinfo describes an export, and lists them all', async () => {
  await makeFile(served.store, 'info', 10 * MIB);
  await makeFile(served.store, 'in/fo 2', 512);
  const about = JSON.parse(await succeed('nbdinfo', ['--json', served.uri('info')]));
  expect(about).toMatchObject({ protocol: 'newstyle-fixed', TLS: false, structured: true });
  expect(about.exports[0]).toMatchObject({
    'export-name': 'info',
    'export-size': 10 * MIB,
    contexts: ['base:allocation'],
    is_read_only: false,
    can_cache: true,
    can_df: true,
    can_fast_zero: true,
    can_flush: true,
    can_fua: true,
    can_multi_conn: true,
    can_trim: true,
    can_zero: true,
    block_size_minimum: 1,
    block_size_preferred: 4096,
    block_size_maximum: 32 * MIB,
  });
  const list = JSON.parse(await succeed('nbdinfo', ['--list', '--json', served.uri('')]));
  const names = list.exports.map((entry: Record<string, unknown>) => entry['export-name']);
  expect(names).toEqual(expect.arrayContaining(['info', 'in/fo 2']));
  const absent = await run('nbdinfo', [served.uri('absent')]);
  expect(absent.code).toBe(1);
  expect(absent.stderr).toContain('No such file or directory');
});

itWith(['nbdinfo', 'nbdcopy'], 'nbdcopy copies both ways, and holes stay holes', async () => {
  const host = sparseFile('copy.raw', 16 * MIB);
  const back = join(served.directory, 'back.raw');
  await makeFile(served.store, 'copy', 16 * MIB);
  await succeed('nbdcopy', ['--flush', host, served.uri('copy')]);
  expect((await readFile(served.store, 'copy')).equals(readFileSync(host))).toBe(true);
  const map = JSON.parse(await succeed('nbdinfo', ['--map', '--json', served.uri('copy')]));
  expect(map).toEqual([
    { offset: 0, length: 3 * MIB, type: 0, description: 'data' },
    { offset: 3 * MIB, length: 5 * MIB, type: 3, description: 'hole,zero' },
    { offset: 8 * MIB, length: 2 * MIB + 4096, type: 0, description: 'data' },
    { offset: 10 * MIB + 4096, length: 6 * MIB - 4096, type: 3, description: 'hole,zero' },
  ]);
  await succeed('nbdcopy', [served.uri('copy'), back]);
  expect(readFileSync(back).equals(readFileSync(host))).toBe(true);
});

itWith(['qemu-io'], 'qemu-io writes, discards, writes zeroes and reads back', async () => {
  await makeFile(served.store, 'io', 8 * MIB);
  const commands = [
    'write -P 0x5a 0 4M',
    'write -f -P 0x11 4M 64k',
    'discard 1M 1M',
    'write -z 2M 512k',
    'write -z -u 3M 512k',
    'write -P 0x77 4095 3',
    'flush',
    'read -P 0 1M 1M',
    'read -P 0 2M 512k',
    'read -P 0 3M 512k',
    'read -P 0x5a 0 4095',
    'read -P 0x77 4095 3',
    'read -P 0x5a 4098 1044478',
    'read -P 0x11 4M 64k',
    'aio_write -P 0x21 5M 1M',
    'aio_read -P 0x5a 0 4095',
    'aio_flush',
    'read -P 0x21 5M 1M',
  ];
  const script = commands.flatMap((command) => ['-c', command]);
  const output = await succeed('qemu-io', ['-f', 'raw', '-d', 'unmap', ...script, served.uri('io')]);
  expect(output).not.toMatch(/fail|error|Pattern/i);
  const file = await served.store.open('io');
  // A discard makes a hole; zeros without leave to unmap keep their blocks.
  expect(await file.segments(MIB, 4 * MIB - MIB)).toEqual([
    { position: MIB, length: MIB, kind: 'hole' },
    { position: 2 * MIB, length: MIB / 2, kind: 'unwritten' },
    { position: 2.5 * MIB, length: MIB / 2, kind: 'data' },
    { position: 3 * MIB, length: MIB / 2, kind: 'hole' },
    { position: 3.5 * MIB, length: MIB / 2, kind: 'data' },
  ]);
  await file.close();
});

itWith(['qemu-img'], 'qemu-img converts from and to an export, and compares', async () => {
  const host = sparseFile('convert.raw', 16 * MIB);
  const qcow = join(served.directory, 'convert.qcow2');
  await makeFile(served.store, 'convert', 16 * MIB);
  await succeed('qemu-img', ['convert', '-f', 'raw', '-O', 'qcow2', host, qcow]);
  await succeed('qemu-img', ['convert', '-n', '-f', 'qcow2', '-O', 'raw', qcow, served.uri('convert')]);
  expect(await succeed('qemu-img', ['compare', '-f', 'qcow2', '-F', 'raw', qcow, served.uri('convert')])).toContain(
    'Images are identical',
  );
  const back = join(served.directory, 'converted.raw');
  await succeed('qemu-img', ['convert', '-f', 'raw', '-O', 'raw', served.uri('convert'), back]);
  expect(readFileSync(back).equals(readFileSync(host))).toBe(true);
  const other = sparseFile('other.raw', 16 * MIB);
  expect((await run('qemu-img', ['compare', '-f', 'raw', '-F', 'raw', other, served.uri('convert')])).code).toBe(1);
});

itWith(['fio'], 'fio writes at random and verifies every block', async () => {
  await makeFile(served.store, 'fio', 32 * MIB);
  const output = await succeed('fio', [
    ...['--name=verify', '--ioengine=nbd', `--uri=${served.uri('fio')}`, '--rw=randwrite', '--bsrange=512-64k'],
    ...['--size=32m', '--iodepth=16', '--verify=crc32c', '--verify_fatal=1', '--bs_unaligned=0'],
    ...['--randseed=7', '--fsync=200', `--aux-path=${served.directory}`, '--output-format=json'],
  ]);
  const [job] = JSON.parse(output.slice(output.indexOf('{'))).jobs;
  expect(job.error).toBe(0);
  expect(job.read.io_bytes).toBe(32 * MIB);
});

/** Why no file system can be mounted here; null where it can. */
function noMounts(): string | null {
  if (process.getuid?.() !== 0) return 'mounting needs root';
  for (const device of ['/dev/fuse', '/dev/loop-control']) {
    try {
      closeSync(openSync(device, 'r+'));
    } catch (error) {
      return (error as Error).message;
    }
  }
  return null;
}

itWith(
  ['nbdfuse', 'fusermount3', 'losetup', 'mkfs.ext4', 'mount', 'e2fsck', 'tar', 'diff'],
  'a host file system lives on an export: made, mounted, filled with a source tree, checked',
  async () => {
    await makeFile(served.store, 'ext4', 64 * MIB);
    const fuse = join(served.directory, 'fuse');
    const mountPoint = join(served.directory, 'mnt');
    const source = fileURLToPath(new URL('../../../', import.meta.url));
    mkdirSync(fuse);
    mkdirSync(mountPoint);
    const undo: (() => Promise<unknown>)[] = [];
    try {
      const nbdfuse = spawn('nbdfuse', [`${fuse}/disk`, served.uri('ext4')], { stdio: 'ignore' });
      const ended = new Promise((resolve) => nbdfuse.once('close', resolve));
      undo.push(async () => {
        await run('fusermount3', ['-u', fuse]);
        await ended;
      });
      await until(() => existsSync(`${fuse}/disk`));
      const loop = (await succeed('losetup', ['-f', '--show', `${fuse}/disk`])).trim();
      undo.push(() => run('losetup', ['-d', loop]));
      await succeed('mkfs.ext4', ['-q', loop]);
      await succeed('mount', [loop, mountPoint]);
      undo.push(() => run('umount', [mountPoint]));
      await succeed('sh', ['-c', `tar -C ${source} -cf - src test docs | tar -C ${mountPoint} -xf -`]);
      await succeed('umount', [mountPoint]);
      await succeed('e2fsck', ['-fn', loop]);
      await succeed('mount', [loop, mountPoint]);
      for (const folder of ['src', 'test', 'docs'])
        await succeed('diff', ['-r', source + folder, join(mountPoint, folder)]);
    } finally {
      for (const step of undo.reverse()) await step();
    }
    const image = join(served.directory, 'ext4.raw');
    await succeed('nbdcopy', [served.uri('ext4'), image]);
    await succeed('e2fsck', ['-fn', image]);
  },
  noMounts,
);

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setTimeout(resolve, 10));
}
