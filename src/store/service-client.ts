/**
 * The opening thread's side of the service: makes requests, and settles their promises when the answers come.
 *
 * Opening thread only. While requests are out, it sleeps on Header.ServiceDone by `Atomics.waitAsync`, which does not keep
 * the event loop alive: a referenced timer does. Requests beyond the ring's size wait in a queue of their own.
 */
import { type ErrorData, errorFromData, StoreError, withPath } from '../errors.js';
import type { Arena } from '../sync/arena.js';
import { Header, Request, RequestState, StoreState } from '../sync/layout.js';
import { ownerDied } from '../sync/threads.js';
import type { Operation } from './operations.js';
import type { RequestRing } from './request-ring.js';

const DECODER = new TextDecoder();
/** How long a sleep may last before fences and dead runners are looked for. */
const WATCH_MS = 200;

/** Reads an answer: its ten numbers, and its bytes in the transfer buffer (valid only during the call). */
export type Receive<T> = (numbers: Float64Array, bytes: Uint8Array) => T;

interface Call {
  settle(numbers: Float64Array, bytes: Uint8Array): void;
  fail(error: Error): void;
}

export class ServiceClient {
  private readonly free: number[] = [];
  private readonly calls: (Call | undefined)[] = [];
  private readonly queue: { call: Call; start: () => void }[] = [];
  private readonly idle: (() => void)[] = [];
  private keepAlive: NodeJS.Timeout | undefined;
  private pending = 0;
  private collecting = false;
  private stopped = false;

  constructor(
    private readonly arena: Arena,
    private readonly ring: RequestRing,
    /** Told how many requests are out whenever there is one more. */
    private readonly demand: (requests: number) => void,
  ) {
    for (let request = ring.count - 1; request >= 0; request--) this.free.push(request);
  }

  /** Runs an operation on a service thread. `bytes` are copied before this returns. */
  call<T>(
    operation: Operation,
    numbers: readonly number[],
    bytes: Uint8Array | null,
    receive: Receive<T>,
    path?: string,
  ): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      if (this.stopped) throw new StoreError('EBADF', { path, detail: 'the store is closed' });
      const call: Call = {
        settle: (answer, area) => {
          try {
            resolve(receive(answer, area));
          } catch (error) {
            reject(error);
          }
        },
        fail: (error) => reject(path === undefined ? error : withPath(error, undefined, path)),
      };
      if (this.free.length > 0) {
        this.start(call, operation, numbers, bytes);
      } else {
        const copy = bytes === null ? null : bytes.slice();
        this.queue.push({ call, start: () => this.start(call, operation, numbers, copy) });
      }
    });
  }

  /**
   * Resolves when no request is out, and none has followed from the last answers (a large write goes on in pieces). From
   * then on calls are refused, since nobody would answer them.
   */
  async stop(): Promise<void> {
    do {
      if (this.isBusy()) await new Promise<void>((resolve) => this.idle.push(resolve));
      await new Promise((resolve) => setImmediate(resolve));
    } while (this.isBusy());
    this.stopped = true;
  }

  private isBusy(): boolean {
    return this.pending > 0 || this.queue.length > 0;
  }

  private start(call: Call, operation: Operation, numbers: readonly number[], bytes: Uint8Array | null): void {
    const { words, doubles } = this.arena;
    const request = this.free.pop() as number;
    const at = this.ring.at(request);
    this.ring.setState(request, RequestState.Filling);
    this.calls[request] = call;
    words[at + Request.Operation] = operation;
    words[at + Request.Failed] = 0;
    words[at + Request.Bytes] = bytes === null ? 0 : bytes.byteLength;
    if (bytes !== null) this.ring.area(request).set(bytes);
    const numbersAt = this.ring.numbersAt(request);
    for (let i = 0; i < numbers.length; i++) doubles[numbersAt + i] = numbers[i] as number;
    this.pending += 1;
    this.ring.publish(request);
    this.demand(this.pending);
    if (!this.collecting) void this.collect();
  }

  private async collect(): Promise<void> {
    const { words } = this.arena;
    this.collecting = true;
    this.keepAlive = setInterval(() => {}, 1 << 30);
    while (this.pending > 0) {
      const seen = Atomics.load(words, Header.ServiceDone);
      this.settleDone();
      if (this.pending === 0) break;
      const sleep = Atomics.waitAsync(words, Header.ServiceDone, seen, WATCH_MS);
      if (sleep.async && (await sleep.value) === 'timed-out') this.failLost();
    }
    clearInterval(this.keepAlive);
    this.collecting = false;
    if (this.queue.length === 0) for (const resolve of this.idle.splice(0)) resolve();
  }

  private settleDone(): void {
    for (let request = 0; request < this.ring.count && this.pending > 0; request++) {
      if (this.calls[request] !== undefined && this.ring.state(request) === RequestState.Done) this.settle(request);
    }
  }

  private settle(request: number): void {
    const { words, doubles } = this.arena;
    const at = this.ring.at(request);
    const call = this.take(request);
    const bytes = this.ring.area(request).subarray(0, words[at + Request.Bytes]);
    if (words[at + Request.Failed] !== 0) {
      const error = errorFromData(JSON.parse(DECODER.decode(bytes.slice())) as ErrorData);
      // The call was made before the death, whenever a service thread came to look at it.
      const isLate = error instanceof StoreError && error.code === 'ENOTRECOVERABLE';
      call.fail(isLate ? ownerDied(this.arena, error.syscall) : error);
    } else {
      const numbersAt = this.ring.numbersAt(request);
      call.settle(doubles.subarray(numbersAt, numbersAt + 10), bytes);
    }
    this.recycle(request);
  }

  /** Fails the calls that no service thread will answer any more: all of them after a fence, else a dead runner's. */
  failLost(): void {
    const isFenced = this.arena.state === StoreState.Fenced;
    if (isFenced) for (const { call } of this.queue.splice(0)) call.fail(ownerDied(this.arena));
    for (let request = 0; request < this.ring.count; request++) {
      const state = this.ring.state(request);
      if (this.calls[request] === undefined || state === RequestState.Done) continue;
      if (isFenced) {
        this.take(request).fail(ownerDied(this.arena));
        // A request that is still running keeps its record: its runner may yet write there.
        if (state === RequestState.Ready) this.recycle(request);
      } else if (state === RequestState.Running && this.ring.isRunnerGone(request)) {
        this.take(request).fail(new StoreError('EIO', { detail: 'the service thread that ran this has died' }));
        this.recycle(request);
      }
    }
  }

  private take(request: number): Call {
    const call = this.calls[request] as Call;
    this.calls[request] = undefined;
    this.pending -= 1;
    return call;
  }

  private recycle(request: number): void {
    this.ring.setState(request, RequestState.Free);
    this.free.push(request);
    this.queue.shift()?.start();
  }
}
