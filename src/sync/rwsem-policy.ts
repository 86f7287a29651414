/**
 * The queueing policies of the reader-writer semaphore, and the bits of its state word that they read (rwsem.ts).
 *
 * A policy is chosen by name when the store is opened and holds for all its rwsems; its index here is Header.RwsemPolicy.
 * It decides two things: which bits keep an arriving thread from acquiring at once (the two masks), and whom a release
 * wakes (rwsem.ts).
 */
import { StoreError } from '../errors.js';

export const RWSEM_POLICIES = ['kernel', 'fifo', 'reader-preferring'] as const;
export type RwsemPolicyName = (typeof RWSEM_POLICIES)[number];

export const enum RwsemPolicy {
  /** As Linux: queued writers hold back new readers; a running writer may take a free lock ahead of the queue. */
  Kernel,
  /** Strictly in order of arrival. */
  Fifo,
  /** Readers enter whenever no writer is inside. Writers may starve. */
  ReaderPreferring,
}

/** Bits of Rwsem.State. */
export const enum RwsemState {
  Free = 0,
  /** A writer holds the lock. */
  Writer = 1,
  /** The queue is not empty. */
  Waiters = 2,
  /** The queue's head has waited too long: nobody may take the lock ahead of it. */
  Handoff = 4,
  /** The queue's head is a writer that has been woken to try for itself; releasers need not wake it again. */
  Kicked = 8,
  /** One reader; the count is in this bit and those above. */
  ReaderOne = 256,
  /** Bits of the readers' count. */
  Readers = 0x7fff_ff00,
  /** All that makes the lock held. */
  Held = 0x7fff_ff01,
}

export function rwsemPolicyNumber(name: string): number {
  const index = RWSEM_POLICIES.indexOf(name as RwsemPolicyName);
  if (index < 0) {
    throw new StoreError('EINVAL', { detail: `no lock policy '${name}': take one of ${RWSEM_POLICIES.join(', ')}` });
  }
  return index;
}

export function sharedBlockedBy(policy: number): number {
  if (policy === RwsemPolicy.ReaderPreferring) return RwsemState.Writer;
  return RwsemState.Writer | RwsemState.Waiters | RwsemState.Handoff;
}

export function exclusiveBlockedBy(policy: number): number {
  if (policy === RwsemPolicy.Kernel) return RwsemState.Held | RwsemState.Handoff;
  return RwsemState.Held | RwsemState.Waiters | RwsemState.Handoff;
}
