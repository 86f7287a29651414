/** One open store a device: between processes, within one, and after the death of the holder. */
import { linkSync, readdirSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { openHostDevice } from '#dist/src/device/host-device.js';
import { hostExtensions } from '#dist/src/device/host-extensions.js';
import { Claimant, tryOpen } from '../support/claimant.js';
import { temporaryDirectory } from '../support/temporary.js';

const directory = temporaryDirectory();
let files = 0;

function newFile(): string {
  files += 1;
  const path = join(directory, `claim-${files}.img`);
  writeFileSync(path, '');
  truncateSync(path, 1024 * 1024);
  return path;
}

const mechanisms = [
  { native: true, claimedBy: 'file lock' },
  { native: false, claimedBy: 'claim directory' },
];

describe.each(mechanisms)('the claim by $claimedBy', ({ native, claimedBy }) => {
  const skip = native && hostExtensions() === null;

  it.skipIf(skip)('keeps other processes out until it is released', async () => {
    const path = newFile();
    const holder = await Claimant.start(path, { native });
    expect(holder.answer).toMatchObject({ claimedBy, sizeBytes: 1024 * 1024 });
    const other = await tryOpen(path, { native });
    expect(other.code).toBe('EBUSY');
    expect(other.message).toContain(path);
    expect((await tryOpen(path, { native, readOnly: true })).code).toBe('EBUSY');
    await holder.close();
    expect((await tryOpen(path, { native })).code).toBeUndefined();
  });

  it.skipIf(skip)('is taken for reading alone just the same', async () => {
    const path = newFile();
    const holder = await Claimant.start(path, { native, readOnly: true });
    expect(holder.answer.code).toBeUndefined();
    expect((await tryOpen(path, { native })).code).toBe('EBUSY');
    expect((await tryOpen(path, { native, readOnly: true })).code).toBe('EBUSY');
    await holder.close();
  });

  it.skipIf(skip)('ends with the process that held it, however that ends', async () => {
    const path = newFile();
    const holder = await Claimant.start(path, { native });
    await holder.kill();
    expect((await tryOpen(path, { native })).code).toBeUndefined();
  });

  it.skipIf(skip)('holds for every name of the file', async () => {
    const path = newFile();
    linkSync(path, `${path}.link`);
    const holder = await Claimant.start(path, { native });
    expect((await tryOpen(`${path}.link`, { native })).code).toBe('EBUSY');
    await holder.close();
  });
});

describe('the claim', () => {
  it('keeps a second open of the same process out', () => {
    const path = newFile();
    const device = openHostDevice(path);
    expect(() => openHostDevice(path)).toThrow(/EBUSY/);
    expect(() => openHostDevice(path, { readOnly: true })).toThrow(/EBUSY/);
    device.close();
    openHostDevice(path, { readOnly: true }).close();
    openHostDevice(path).close();
  });

  it('leaves nothing in the claim directory after a close', async () => {
    const path = newFile();
    const own = `-${statSync(path).ino}.`;
    const entries = (): string[] => readdirSync(join(tmpdir(), 'emmental-claims')).filter((name) => name.includes(own));
    const holder = await Claimant.start(path, { native: false });
    expect(entries()).toHaveLength(1);
    await holder.close();
    expect(entries()).toEqual([]);
  });

  it('leaves discard out where the native extension does not load', async () => {
    expect((await tryOpen(newFile(), { native: false })).canDiscard).toBe(false);
  });
});
