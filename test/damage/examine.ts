/**
 * The verdict on one damaged image: what `check` says, what opening and reading give, what is left after a repair. Throws
 * where anything is wrong that no error told.
 */
import type { MemoryDevice } from '#dist/src/device/memory-device.js';
import { StoreError } from '#dist/src/errors.js';
import { type CheckReport, checkDevice } from '#dist/src/store/check.js';
import { seededRandom } from '../support/random.js';
import { expectedBytes, Mounted } from './mounted.js';
import type { Specimen, SpecimenFile } from './specimen.js';

export interface Damage {
  /** For messages. */
  what: string;
  /** Blocks that are not what they were. */
  blocks: Set<number>;
  /** Open and read only. */
  readsOnly?: boolean;
  /** No checksum tells: wrong content in a block with a right one, or an older version. Then content is not compared. */
  plausible?: boolean;
  seed: number;
}

export interface Verdict {
  check: CheckReport;
  opened: boolean;
  errors: StoreError[];
}

/** Checks, opens and reads a clone of the device. */
export function examine(specimen: Specimen, device: MemoryDevice, damage: Damage): Verdict {
  const check = checkDevice(device);
  const mounted = mount(specimen, device.clone());
  if (mounted instanceof StoreError) {
    named(mounted);
    return { check, opened: false, errors: [mounted] };
  }
  const { errors } = mounted;
  const listed = mounted.list();
  const names = listed ?? [...specimen.files.values()].map(({ name }) => name);
  if (damage.plausible === true) for (const name of names) mounted.readFile(name);
  else compare(specimen, mounted, device, damage, listed === null ? null : new Set(listed));
  for (const error of errors) named(error);
  if (damage.readsOnly !== true) {
    mounted.change(names, seededRandom(damage.seed));
    mounted.close();
  }
  return { check, opened: true, errors };
}

function mount(specimen: Specimen, device: MemoryDevice): Mounted | StoreError {
  try {
    return new Mounted(specimen, device);
  } catch (error) {
    if (error instanceof StoreError) return error;
    throw error;
  }
}

/** An error of damage says where it is. */
function named(error: StoreError): void {
  if (error.code === 'EIO' && !tellsOfContent(error))
    throw new Error(`the error names no file and position: ${error.message}`);
  if (error.code === 'EUCLEAN' && !/block \d+|superblock|journal|not closed/.test(error.message)) {
    throw new Error(`the error names no structure: ${error.message}`);
  }
}

function compare(
  specimen: Specimen,
  mounted: Mounted,
  device: MemoryDevice,
  damage: Damage,
  listed: Set<string> | null,
): void {
  for (const file of specimen.files.values()) {
    const found = mounted.readFile(file.name);
    if (found === null) throw new Error(`${damage.what}: '${file.name}' is gone without an error`);
    if ('error' in found) continue;
    // A checksum tells of what was done to content.
    expectFile(specimen, file, found, specimen.options.dataChecksums === true ? specimen.device : device, damage);
    if (listed !== null && !listed.has(file.name)) throw new Error(`${damage.what}: '${file.name}' is not listed`);
  }
}

function expectFile(
  specimen: Specimen,
  file: SpecimenFile,
  found: { bytes: Uint8Array; size: number },
  device: MemoryDevice,
  damage: Damage,
): void {
  const expected = expectedBytes(specimen, file, device, damage.blocks);
  if (found.size !== expected.length)
    throw new Error(`${damage.what}: '${file.name}' has ${found.size} bytes, not ${expected.length}`);
  const part = expected.subarray(0, found.bytes.length);
  if (Buffer.compare(found.bytes, part) === 0) return;
  const at = found.bytes.findIndex((byte, i) => byte !== part[i]);
  throw new Error(
    `${damage.what}: byte ${at} of '${file.name}' (block ${file.pages.get(Math.floor(at / specimen.blockBytes))}) is ${found.bytes[at]}, not ${part[at]}`,
  );
}

/**
 * Repairs a clone of the device: it must be clean then, say what was done, hold every file whose metadata the damage
 * spared, and take changes. Returns the report, or null where no superblock was left.
 */
export function repairAndVerify(specimen: Specimen, device: MemoryDevice, damage: Damage): CheckReport | null {
  const before = checkDevice(device);
  const copy = device.clone();
  const report = checkDevice(copy, { repair: true });
  if (report.counts === null) return null;
  if (report.errors[0]?.message.includes('features that must not be written to')) {
    // Where the damage made one of those of it, the store is somebody else's to repair.
    if (!isSame(copy, device)) throw new Error(`${damage.what}: a repair that was refused, and wrote`);
    return null;
  }
  if (isWrong(report, specimen, damage))
    throw new Error(
      `${damage.what}: not clean after a repair: ${JSON.stringify(report.errors.slice(0, 5))}; ${report.repaired.join('; ')}`,
    );
  if (!before.clean && report.repaired.length === 0) throw new Error(`${damage.what}: a repair that says nothing`);
  const mounted = mount(specimen, copy);
  if (mounted instanceof StoreError)
    throw new Error(`${damage.what}: cannot be opened after a repair: ${mounted.message}`);
  const names = mounted.list() ?? [];
  if (damage.plausible !== true) {
    for (const file of specimen.intact(damage.blocks)) keeps(specimen, mounted, file, device, damage);
  }
  mounted.change(names, seededRandom(damage.seed));
  mounted.close();
  const errors = mounted.errors.filter((error) => !isDataLost(specimen, damage) || !tellsOfContent(error));
  if (errors.length > 0) throw new Error(`${damage.what}: after a repair: ${errors[0].stack}`);
  const after = checkDevice(copy);
  if (isWrong(after, specimen, damage))
    throw new Error(
      `${damage.what}: not clean after use of the repaired store: ${JSON.stringify(after.errors.slice(0, 5))}`,
    );
  return report;
}

/** Checksums tell of damaged content, and of what an older block brought back: a repair leaves such pages an error. */
function isDataLost(specimen: Specimen, { plausible, blocks }: Damage): boolean {
  if (specimen.options.dataChecksums !== true) return false;
  return plausible === true || [...specimen.files.values()].some((file) => hasData(file, blocks));
}

function hasData({ pages }: SpecimenFile, blocks: ReadonlySet<number>): boolean {
  return [...pages.values()].some((block) => blocks.has(block));
}

function tellsOfContent({ code, message }: StoreError): boolean {
  return code === 'EIO' && /content at position \d+ of inode \d+, block \d+, does not match its checksum/.test(message);
}

function isWrong(report: CheckReport, specimen: Specimen, damage: Damage): boolean {
  if (!isDataLost(specimen, damage)) return !report.clean;
  return report.errors.some(({ code }) => code !== 'DATA');
}

function keeps(specimen: Specimen, mounted: Mounted, file: SpecimenFile, device: MemoryDevice, damage: Damage): void {
  const found = mounted.readFile(file.name) ?? mounted.readFile(`lost+found/ino-${file.ino}`);
  if (found === null) throw new Error(`${damage.what}: the repair lost '${file.name}'`);
  if ('error' in found) {
    if (isDataLost(specimen, damage) && hasData(file, damage.blocks) && tellsOfContent(found.error)) return;
    throw new Error(`${damage.what}: '${file.name}' after a repair: ${found.error.message}`);
  }
  expectFile(specimen, file, found, device, damage);
}

function isSame(one: MemoryDevice, other: MemoryDevice): boolean {
  const [mine, theirs] = [Buffer.alloc(one.sizeBytes), Buffer.alloc(other.sizeBytes)];
  one.read([mine], 0);
  other.read([theirs], 0);
  return mine.equals(theirs);
}
