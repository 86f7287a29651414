/** What a schedule can be guilty of, and what exploring a scenario under a scheme came to. */

/** The worst first. */
export const FAILURE_KINDS = [
  'writeback', // a write reached a block that its file does not own
  'foreign', // bytes of another file were shown
  'lost', // a completed write, or data nobody removed, are gone
  'stale', // bytes were shown that a completed invalidation had removed
  'deadlock',
  'torn', // a read that is claimed to be atomic saw part of a write
  'lost-wakeup',
  'starvation',
  'left-held', // a thread has ended and left a lock, a pin or a handle behind
  'livelock',
  'check', // the image is damaged, or the counters are wrong
  'assertion',
  'error', // an operation failed that must not
] as const;

export type FailureKind = (typeof FAILURE_KINDS)[number];

export interface Failure {
  readonly kind: FailureKind;
  readonly message: string;
  /** The step at which it was seen; the number of all steps when only the look afterwards has shown it. */
  readonly step: number;
}

export class ScheduleFailed extends Error {
  override readonly name = 'ScheduleFailed';

  constructor(
    readonly kind: FailureKind,
    message: string,
  ) {
    super(message);
  }
}
