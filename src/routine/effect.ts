/**
 * What a routine yields: the things it may sleep on.
 *
 * A routine is a generator; `yield*` marks every place where its thread may be descheduled, and nothing else does. Every
 * task owns one `Effect`, which its engine code fills in and yields, so that yielding allocates nothing. The driver reads
 * it before it resumes the routine.
 */
import type { Device } from '../device/device.js';

export const enum EffectKind {
  /** Sleep while the arena word at `word` is `expected`; answers WOKEN or TIMED_OUT. */
  Wait,
  /** Device I/O; answers the bytes transferred, throws the device's error. */
  Io,
  /** A named schedule point; answers 0. */
  Point,
  /** Let others run for about `timeoutMs`; answers 0. */
  Pause,
}

export const enum IoKind {
  Read,
  Write,
  Flush,
  Discard,
}

export const WOKEN = 0;
export const TIMED_OUT = 1;

export class Effect {
  kind: EffectKind = EffectKind.Pause;
  word = 0;
  expected = 0;
  timeoutMs = 0;
  point = 0;
  io: IoKind = IoKind.Read;
  device: Device | null = null;
  /** Buffers of a read or write, in order; views on page frames or on a journal buffer, block-aligned. */
  buffers: Uint8Array[] = [];
  positionBytes = 0;
  lengthBytes = 0;
}

/** A slow path. Its yields are effects; it is resumed with the effect's answer. */
export type Routine<T> = Generator<Effect, T, number>;
