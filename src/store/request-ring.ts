/**
 * Requests from the opening thread to the service threads, through shared memory.
 *
 * A request is one record in the arena (operation, ten numbers) and one fixed area of the transfer buffer (names, data,
 * lists). States, and who moves them on:
 *
 *   Free ──owner──▶ Filling ──owner──▶ Ready ──runner (compare-exchange)──▶ Running ──runner──▶ Done ──owner──▶ Free
 *
 * Storing Ready publishes the request; storing Done publishes the answer. The owner adds to Header.ServiceWork and wakes
 * one sleeper after Ready; a runner adds to Header.ServiceDone and wakes the owner after Done. Each sleeper reads its
 * counter before it looks for work, so that a request made in between changes the counter and ends the sleep.
 *
 * Invariants: 1. only the opening thread makes requests, so free records are its private list; 2. a record's area belongs
 * to the owner but between Ready and Done; 3. a runner that dies is noticed by the owner's watch, which fails its requests.
 */
import type { Arena } from '../sync/arena.js';
import { Header, Request, RequestState, Thread, ThreadState } from '../sync/layout.js';

/** Bytes of data that one request may carry, each way. */
export const TRANSFER_BYTES = 1024 * 1024;

export class RequestRing {
  readonly count: number;

  constructor(
    private readonly arena: Arena,
    private readonly transfer: Uint8Array,
  ) {
    this.count = arena.layout.requests;
  }

  static allocateTransfer(requests: number): SharedArrayBuffer {
    return new SharedArrayBuffer(requests * TRANSFER_BYTES);
  }

  at(request: number): number {
    return this.arena.layout.requestRecords + request * Request.Words;
  }

  /** Index in `arena.doubles` of the record's first number. */
  numbersAt(request: number): number {
    return (this.at(request) + Request.Numbers) / 2;
  }

  /** The record's area of the transfer buffer. */
  area(request: number): Uint8Array {
    return this.transfer.subarray(request * TRANSFER_BYTES, (request + 1) * TRANSFER_BYTES);
  }

  state(request: number): RequestState {
    return Atomics.load(this.arena.words, this.at(request) + Request.State);
  }

  setState(request: number, state: RequestState): void {
    Atomics.store(this.arena.words, this.at(request) + Request.State, state);
  }

  /** Owner: hands a filled record to the service threads. */
  publish(request: number): void {
    const { words } = this.arena;
    this.setState(request, RequestState.Ready);
    Atomics.add(words, Header.ServiceWork, 1);
    Atomics.notify(words, Header.ServiceWork, 1);
  }

  /** Runner: takes a ready request, looking from record `from` on; -1 if there is none. */
  claim(thread: number, from: number): number {
    const { words } = this.arena;
    for (let i = 0; i < this.count; i++) {
      const request = (from + i) % this.count;
      const at = this.at(request);
      if (Atomics.load(words, at + Request.State) !== RequestState.Ready) continue;
      if (
        Atomics.compareExchange(words, at + Request.State, RequestState.Ready, RequestState.Running) ===
        RequestState.Ready
      ) {
        words[at + Request.RunnerGeneration] =
          words[this.arena.layout.threadRecords + thread * Thread.Words + Thread.Generation];
        Atomics.store(words, at + Request.Runner, thread + 1);
        return request;
      }
    }
    return -1;
  }

  /** Whether the thread that runs a request is no longer attached. Its slot's next owner runs that request no more. */
  isRunnerGone(request: number): boolean {
    const { words, layout } = this.arena;
    const runner = Atomics.load(words, this.at(request) + Request.Runner) - 1;
    if (runner < 0) return false;
    const thread = layout.threadRecords + runner * Thread.Words;
    return (
      Atomics.load(words, thread + Thread.State) !== ThreadState.Attached ||
      words[thread + Thread.Generation] !== words[this.at(request) + Request.RunnerGeneration]
    );
  }

  /** Runner: the answer is in place. */
  complete(request: number): void {
    const { words } = this.arena;
    Atomics.store(words, this.at(request) + Request.Runner, 0);
    this.setState(request, RequestState.Done);
    Atomics.add(words, Header.ServiceDone, 1);
    Atomics.notify(words, Header.ServiceDone, 1);
  }
}
