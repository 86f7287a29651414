/**
 * Bytes in flight: what requests that were accepted and are not answered yet may hold, for one connection (`Share`) and
 * for all of them together (`Budget`). Who asks for more than there is waits in line, and its socket stays unread.
 *
 * 1. A charge is granted when it fits, or when nothing is held at all: so a request larger than a limit gets through alone.
 * 2. Both lines are first come, first served; a share has at most one charge in the budget's line, its first.
 * 3. Nobody holds a charge of its own while it waits for another, but for replies that the client has yet to take. A client
 *    that takes none while others wait is sent away (server.ts), so every line moves.
 *
 * Opening thread only.
 */

interface Waiter {
  bytes: number;
  go: () => void;
}

export class Budget {
  private used = 0;
  private readonly line: Waiter[] = [];

  constructor(private readonly limit: number) {}

  /** Whether somebody waits. */
  get isShort(): boolean {
    return this.line.length > 0;
  }

  get usedBytes(): number {
    return this.used;
  }

  /** True: granted at once. False: `waiter.go` is called when it is. */
  take(waiter: Waiter): boolean {
    if (this.line.length === 0 && this.fits(waiter.bytes)) {
      this.used += waiter.bytes;
      return true;
    }
    this.line.push(waiter);
    return false;
  }

  /** For a charge that was never waited for. */
  takeNow(bytes: number): boolean {
    if (this.line.length > 0 || !this.fits(bytes)) return false;
    this.used += bytes;
    return true;
  }

  give(bytes: number): void {
    this.used -= bytes;
    while (this.line.length > 0 && this.fits(this.line[0].bytes)) {
      const waiter = this.line.shift() as Waiter;
      this.used += waiter.bytes;
      waiter.go();
    }
  }

  leave(waiter: Waiter): void {
    const at = this.line.indexOf(waiter);
    if (at < 0) return;
    this.line.splice(at, 1);
    this.give(0);
  }

  private fits(bytes: number): boolean {
    return this.used === 0 || this.used + bytes <= this.limit;
  }
}

export class Share {
  private held = 0;
  private readonly line: Waiter[] = [];
  /** The first of the line is in the budget's. */
  private isAsking: Waiter | null = null;
  private closed = false;

  constructor(
    private readonly budget: Budget,
    private readonly limit: number,
  ) {}

  get heldBytes(): number {
    return this.held;
  }

  /** True: granted at once. False: `go` is called when it is, which may be never once the share is closed. */
  take(bytes: number, go: () => void): boolean {
    if (this.isAsking === null && this.line.length === 0 && this.fits(bytes) && this.budget.takeNow(bytes)) {
      this.held += bytes;
      return true;
    }
    this.line.push({ bytes, go });
    this.ask();
    return false;
  }

  give(bytes: number): void {
    this.held -= bytes;
    this.budget.give(bytes);
    this.ask();
  }

  /** Nobody waits here any more; what is held is still given back. */
  close(): void {
    this.closed = true;
    this.line.length = 0;
    if (this.isAsking !== null) this.budget.leave(this.isAsking);
    this.isAsking = null;
  }

  private ask(): void {
    while (!this.closed && this.isAsking === null && this.line.length > 0 && this.fits(this.line[0].bytes)) {
      const { bytes, go } = this.line.shift() as Waiter;
      const waiter = {
        bytes,
        go: () => {
          this.isAsking = null;
          this.held += bytes;
          go();
          this.ask();
        },
      };
      // Its place in this line is kept by isAsking.
      this.isAsking = waiter;
      if (this.budget.take(waiter)) waiter.go();
    }
  }

  private fits(bytes: number): boolean {
    return this.held === 0 || this.held + bytes <= this.limit;
  }
}
