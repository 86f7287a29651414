/** A device in memory of which one operation fails, and what that operation was for. */
import type { MemoryDevice } from '#dist/src/device/memory-device.js';
import { StoreError, type StoreErrorCode } from '#dist/src/errors.js';

/** A write or read that stops half-way; a flush fails with EIO then. */
export type Fault = StoreErrorCode | 'short';
export type Kind = 'read' | 'write' | 'flush';
export type Part = 'superblock' | 'journal' | 'rest';

export interface Step {
  kind: Kind;
  part: Part;
}

/** Where the parts of the store lie. */
export interface Places {
  blockBytes: number;
  journalStart: number;
  journalBlocks: number;
}

export class FaultyDevice {
  readonly device: MemoryDevice;
  /** What was done to the device, in order. */
  readonly steps: Step[] = [];
  /** The device as the last successful flush left it. */
  flushed: MemoryDevice;
  failed: Step | null = null;

  /** A copy of `image` whose operation `failing` fails. */
  constructor(
    image: MemoryDevice,
    private readonly places: Places,
    private readonly failing: number,
    private readonly fault: Fault,
  ) {
    this.device = image.clone();
    this.flushed = image;
    this.device.onRead = (position, length) => this.step('read', position, length);
    this.device.onWrite = (position, length) => this.step('write', position, length);
    this.device.onFlush = () => {
      this.step('flush', 0, 0);
      this.flushed = this.device.clone();
    };
  }

  private step(kind: Kind, position: number, length: number): number | undefined {
    const step: Step = { kind, part: this.partAt(kind, position) };
    this.steps.push(step);
    if (this.steps.length - 1 !== this.failing) return undefined;
    this.failed = step;
    if (this.fault !== 'short') throw new StoreError(this.fault, { syscall: kind, detail: 'injected' });
    if (kind === 'flush') throw new StoreError('EIO', { syscall: kind, detail: 'injected' });
    return Math.floor(length / 2 / 512) * 512;
  }

  private partAt(kind: Kind, position: number): Part {
    const { blockBytes, journalStart, journalBlocks } = this.places;
    const block = position / blockBytes;
    if (kind === 'flush') return 'rest';
    if (block < 1) return 'superblock';
    return block >= journalStart && block < journalStart + journalBlocks ? 'journal' : 'rest';
  }
}
