/**
 * The store's threads: a Piscina pool of service threads, each running one long task, and a second pool for users' jobs,
 * which must not keep the service waiting. Both keep the process alive until the store is closed.
 *
 * A thread takes tens of milliseconds of the processor to start, so that none is started before it has work: one for
 * requests when as many requests are out as there are threads for them, the one for background work when there may be
 * something to read ahead, write back or commit, and all of them when the store is shared with other threads.
 */
import { Piscina } from 'piscina';
import { errorFromData } from '../errors.js';
import type { Arena } from '../sync/arena.js';
import { Header } from '../sync/layout.js';
import type { Job, JobResult } from './job.js';
import type { ServiceTask } from './service.js';
import type { StoreHandle } from './session.js';

const SERVICE_URL = new URL('../../workers/service.js', import.meta.url).href;
const JOB_URL = new URL('../../workers/job.js', import.meta.url).href;

/** Index of the background thread among those that run; those for requests follow. */
const BACKGROUND = 0;

export class ServicePool {
  private service: Piscina | undefined;
  private jobs: Piscina | undefined;
  private readonly running: Promise<unknown>[] = [];
  private requestThreads = 0;
  private stopping = false;

  constructor(
    private readonly handle: StoreHandle,
    private readonly threads: number,
  ) {}

  /** Starts threads for requests, as long as there are fewer than requests, and than there may be. */
  serveRequests(requests: number): void {
    const wanted = Math.min(requests, this.threads - 1);
    while (this.requestThreads < wanted && !this.stopping) this.serve(++this.requestThreads, 'requests');
  }

  /** Starts the thread for background work. */
  serveBackground(): void {
    if (this.running[BACKGROUND] === undefined && !this.stopping) this.serve(BACKGROUND, 'background');
  }

  /** Starts all threads: others may make work that this thread does not see. */
  serveAll(): void {
    this.serveBackground();
    this.serveRequests(this.threads);
  }

  /** One thread's task, made again when its thread ends before its time (out of memory, say). */
  private serve(index: number, role: ServiceTask['role']): void {
    // The tasks block their threads for good; Piscina's own waiting in Atomics would add nothing.
    this.service ??= new Piscina({
      filename: SERVICE_URL,
      minThreads: 0,
      maxThreads: this.threads,
      concurrentTasksPerWorker: 1,
      atomics: 'disabled',
      recordTiming: false,
    });
    const task: ServiceTask = { handle: this.handle, role };
    this.running[index] = this.service.run(task).catch(() => {
      if (!this.stopping) this.serve(index, role);
    });
  }

  async run(moduleUrl: string, data: unknown, signal: AbortSignal | undefined): Promise<unknown> {
    this.jobs ??= new Piscina({
      filename: JOB_URL,
      minThreads: 0,
      maxThreads: this.threads,
      concurrentTasksPerWorker: 1,
      idleTimeout: 10_000,
      atomics: 'disabled',
    });
    const job: Job = { handle: this.handle, moduleUrl, data };
    const result: JobResult = await this.jobs.run(job, signal === undefined ? {} : { signal });
    if (result.error !== undefined) throw errorFromData(result.error);
    return result.value;
  }

  /** Waits for the jobs that run, and ends their threads. */
  async stopJobs(): Promise<void> {
    await this.jobs?.close();
  }

  /** Lets the service threads end after the request at hand, and waits for them. */
  async stop(arena: Arena): Promise<void> {
    const { words } = arena;
    this.stopping = true;
    Atomics.store(words, Header.ServiceStop, 1);
    for (const word of [Header.ServiceWork, Header.WritebackWork]) {
      Atomics.add(words, word, 1);
      Atomics.notify(words, word);
    }
    await Promise.allSettled(this.running);
  }

  /** Ends all threads. */
  async destroy(): Promise<void> {
    await Promise.all([this.service?.destroy(), this.jobs?.destroy()]);
  }
}
