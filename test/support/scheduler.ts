/**
 * Logical threads in one real thread, scheduled by chance or by hand: at every yield another may go on. A sleeper goes on
 * only when it is woken, so a lost wake-up shows as a standstill.
 */
import { type Effect, EffectKind, IoKind, type Routine, TIMED_OUT, WOKEN } from '#dist/src/routine/effect.js';
import { POINTS, type PointName } from '#dist/src/routine/points.js';
import type { Driver, Task } from '#dist/src/routine/task.js';
import type { Arena } from '#dist/src/sync/arena.js';
import { attachThread, detachThread } from '#dist/src/sync/threads.js';

interface Fiber {
  name: string;
  task: Task;
  routine: Routine<unknown>;
  /** Answer or error to resume with, once runnable. */
  answer: number;
  error: unknown;
  sleepsOn: number;
  wakesAtMs: number;
  heldAt: PointName | null;
  done: boolean;
}

export class Scheduler implements Driver {
  nowMs = 1000;
  /** Points where fibers stop until `release`. */
  readonly held = new Set<PointName>();
  readonly errors: { name: string; error: unknown }[] = [];
  private readonly fibers: Fiber[] = [];

  constructor(
    private readonly arena: Arena,
    private readonly chance: () => number = () => 0,
  ) {}

  now(): number {
    return this.nowMs;
  }

  random(): number {
    return this.chance();
  }

  wake(word: number, count: number): void {
    let left = count;
    for (const fiber of this.fibers) {
      if (left <= 0) return;
      if (fiber.done || fiber.sleepsOn !== word) continue;
      fiber.sleepsOn = -1;
      fiber.answer = WOKEN;
      left -= 1;
    }
  }

  spawn(name: string, body: (task: Task) => Routine<unknown>): void {
    const task = attachThread(this.arena, this);
    const fiber = {
      name,
      task,
      routine: body(task),
      answer: 0,
      error: undefined,
      sleepsOn: -1,
      wakesAtMs: 0,
      heldAt: null,
      done: false,
    };
    this.fibers.push(fiber);
  }

  /** Runs until every fiber is done, held at a point, or asleep; answers who is not done, and where. */
  run(): Record<string, string> {
    for (;;) {
      const ready = this.fibers.filter((fiber) => !fiber.done && fiber.heldAt === null && fiber.sleepsOn < 0);
      if (ready.length > 0) this.step(ready[Math.floor(this.chance() * ready.length)]);
      else if (!this.passTime()) break;
    }
    const left: Record<string, string> = {};
    for (const fiber of this.fibers) {
      if (!fiber.done) left[fiber.name] = fiber.heldAt ?? 'asleep';
    }
    return left;
  }

  /** `run` to the end of all fibers; throws the first error, or when some never end. */
  finish(): void {
    const left = this.run();
    if (this.errors.length > 0) throw this.errors[0].error;
    if (Object.keys(left).length > 0) throw new Error(`never woken: ${JSON.stringify(left)}`);
  }

  /** Opens the point: those that stand there go on at the next `run`. */
  release(point: PointName): void {
    this.held.delete(point);
    for (const fiber of this.fibers) if (fiber.heldAt === point) fiber.heldAt = null;
  }

  private step(fiber: Fiber): void {
    try {
      const { error } = fiber;
      fiber.error = undefined;
      const step = error === undefined ? fiber.routine.next(fiber.answer) : fiber.routine.throw(error);
      if (step.done === true) this.end(fiber);
      else this.perform(fiber, step.value);
    } catch (error) {
      this.errors.push({ name: fiber.name, error });
      this.end(fiber);
    }
  }

  private end(fiber: Fiber): void {
    fiber.done = true;
    if (this.errors.every((failure) => failure.name !== fiber.name)) detachThread(fiber.task);
  }

  private perform(fiber: Fiber, effect: Effect): void {
    fiber.answer = 0;
    if (effect.kind === EffectKind.Wait) {
      if (this.arena.words[effect.word] !== effect.expected) return;
      fiber.sleepsOn = effect.word;
      fiber.wakesAtMs = this.nowMs + effect.timeoutMs;
    } else if (effect.kind === EffectKind.Point) {
      const point = POINTS[effect.point];
      if (this.held.has(point)) fiber.heldAt = point;
    } else if (effect.kind === EffectKind.Io) {
      try {
        fiber.answer = transfer(effect);
      } catch (error) {
        fiber.error = error;
      }
    }
  }

  /** Ends the shortest of the sleeps that have an end. */
  private passTime(): boolean {
    const sleepers = this.fibers.filter((f) => !f.done && f.sleepsOn >= 0 && Number.isFinite(f.wakesAtMs));
    if (sleepers.length === 0) return false;
    const first = sleepers.reduce((a, b) => (b.wakesAtMs < a.wakesAtMs ? b : a));
    this.nowMs = Math.max(this.nowMs, first.wakesAtMs);
    first.sleepsOn = -1;
    first.answer = TIMED_OUT;
    return true;
  }
}

function transfer(effect: Effect): number {
  const device = effect.device!;
  if (effect.io === IoKind.Read) return device.read(effect.buffers, effect.positionBytes);
  if (effect.io === IoKind.Write) return device.write(effect.buffers, effect.positionBytes);
  if (effect.io === IoKind.Flush) device.flush();
  else device.discard(effect.positionBytes, effect.lengthBytes);
  return 0;
}
