/**
 * The page frames: the memory that pages' contents live in.
 *
 * Memory that is page-aligned (O_DIRECT reads straight into a frame), and that the host backs only when it is touched: huge
 * pages where the process asks for them (device/huge-pages.ts), else shared WebAssembly memories. Frames are numbered from 1;
 * frame f is slot f - 1. All segments but the last hold the same number of frames, a power of two, so that a shift and a mask
 * find a frame. A segment starts behind its buffer's head.
 *
 * Every thread makes its own `Frames` over the same segments. Holding a view gives no right to look at it: a pin does
 * (page.ts).
 */
import { allocateAligned } from '../device/aligned-memory.js';
import { allocateHuge, headOf } from '../device/huge-pages.js';
import type { Frame } from '../units.js';
import { GIB } from '../units.js';

const SEGMENT_BYTES = GIB;
const WORD_BYTES = 4;
/** Views kept per thread; a power of two. */
const VIEWS = 1024;

export class Frames {
  private readonly segments: Uint8Array[];
  private readonly segmentWords: Uint32Array[];
  private readonly segmentBuffers: Buffer[];
  private readonly shift: number;
  private readonly mask: number;
  private readonly zeros: Uint8Array;
  private readonly viewFrames = new Int32Array(VIEWS);
  private readonly dataViews: (DataView | undefined)[] = new Array(VIEWS).fill(undefined);
  private readonly byteFrames = new Int32Array(VIEWS);
  private readonly byteViews: (Uint8Array | undefined)[] = new Array(VIEWS).fill(undefined);

  constructor(
    readonly buffers: readonly SharedArrayBuffer[],
    readonly blockBytes: number,
    readonly frames: number,
  ) {
    this.segments = buffers.map((buffer) => new Uint8Array(buffer, headOf(buffer)));
    this.segmentWords = buffers.map((buffer) => new Uint32Array(buffer, headOf(buffer)));
    this.segmentBuffers = this.segments.map(({ buffer, byteOffset, length }) =>
      Buffer.from(buffer, byteOffset, length),
    );
    this.shift = Math.log2(SEGMENT_BYTES / blockBytes);
    this.mask = SEGMENT_BYTES / blockBytes - 1;
    this.zeros = new Uint8Array(blockBytes);
  }

  /**
   * Memory for `frames` frames: untouched, so neither zeroed by us nor yet taken from the host. `isAligned` tells whether the
   * device takes such memory: huge pages are not used where it does not.
   */
  static allocate(
    frames: number,
    blockBytes: number,
    isAligned: (memory: Uint8Array) => boolean = () => true,
  ): SharedArrayBuffer[] {
    const buffers: SharedArrayBuffer[] = [];
    for (let left = frames * blockBytes; left > 0; left -= SEGMENT_BYTES) {
      buffers.push(allocateSegment(Math.min(left, SEGMENT_BYTES), isAligned));
    }
    return buffers;
  }

  /** Whether the memory was asked of the host as huge pages. Of the first segment: a small last one may be another kind. */
  get isHuge(): boolean {
    return headOf(this.buffers[0]) > 0;
  }

  /** The whole segment that holds the frame. */
  segment(frame: Frame): Uint8Array {
    return this.segments[(frame - 1) >> this.shift];
  }

  /** The whole segment that holds the frame, as Node's kind of array. */
  buffer(frame: Frame): Buffer {
    return this.segmentBuffers[(frame - 1) >> this.shift];
  }

  /** The frame's first byte in its segment. */
  offset(frame: Frame): number {
    return ((frame - 1) & this.mask) * this.blockBytes;
  }

  /** The whole segment that holds the frame, as words. */
  words(frame: Frame): Uint32Array {
    return this.segmentWords[(frame - 1) >> this.shift];
  }

  /** The frame's first word in its segment. */
  word(frame: Frame): number {
    return (((frame - 1) & this.mask) * this.blockBytes) / WORD_BYTES;
  }

  /** The frame's bytes. */
  bytes(frame: Frame): Uint8Array {
    const slot = frame & (VIEWS - 1);
    if (this.byteFrames[slot] === frame) return this.byteViews[slot]!;
    const view = this.run(frame, 1);
    this.byteFrames[slot] = frame;
    this.byteViews[slot] = view;
    return view;
  }

  /** The frame's bytes, for codecs. */
  view(frame: Frame): DataView {
    const slot = frame & (VIEWS - 1);
    if (this.viewFrames[slot] === frame) return this.dataViews[slot]!;
    const segment = this.segment(frame);
    const view = new DataView(segment.buffer, segment.byteOffset + this.offset(frame), this.blockBytes);
    this.viewFrames[slot] = frame;
    this.dataViews[slot] = view;
    return view;
  }

  zero(frame: Frame): void {
    // fill(0) on shared memory is several times slower.
    this.bytes(frame).set(this.zeros);
  }

  /** One view of `count` adjacent frames, which must lie in one segment. */
  run(frame: Frame, count: number): Uint8Array {
    const from = this.offset(frame);
    return this.segment(frame).subarray(from, from + count * this.blockBytes);
  }

  /** Views of the frames in order, adjacent ones merged: the buffers of one vectored read or write. */
  gather(frames: Int32Array, from: number, to: number): Uint8Array[] {
    if (to - from === 1) return [this.bytes(frames[from] as Frame)];
    const buffers: Uint8Array[] = [];
    let start = from;
    for (let i = from + 1; i <= to; i++) {
      const adjacent = i < to && frames[i] === frames[i - 1] + 1 && ((frames[i] - 1) & this.mask) !== 0;
      if (adjacent) continue;
      buffers.push(this.run(frames[start] as Frame, i - start));
      start = i;
    }
    return buffers;
  }
}

function allocateSegment(lengthBytes: number, isAligned: (memory: Uint8Array) => boolean): SharedArrayBuffer {
  const huge = allocateHuge(lengthBytes);
  if (huge !== null && isAligned(new Uint8Array(huge, headOf(huge), lengthBytes))) return huge;
  return allocateAligned(lengthBytes).buffer;
}
