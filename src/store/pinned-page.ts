/** A user's window on one cached page: the page-fault path without the copy. */
import { isCurrent, type PagePin, pin, releasePin } from '../file/pin.js';
import type { Routine } from '../routine/effect.js';
import { StoreState } from '../sync/layout.js';
import type { Slot } from '../units.js';
import type { Session } from './session.js';

/**
 * One pinned page. `bytes` is the whole page, past the file's end zeros; it may be written to only when the pin was made
 * with `{ write: true }`, and what was written counts from the release on. A page that is punched or truncated away turns
 * `current` to false and keeps its bytes until it is released; it is never another file's data.
 */
export class PinnedPage {
  private released = false;

  private constructor(
    private readonly session: Session,
    private readonly held: PagePin,
  ) {
    session.pages.add(this);
  }

  /** Pins the page that holds `position`: what `SyncFile.pin` runs. */
  static *make(session: Session, slot: Slot, position: number, write: boolean): Routine<PinnedPage> {
    return new PinnedPage(session, yield* pin(session.task, session.engine, slot, position, write));
  }

  get bytes(): Uint8Array {
    return this.held.bytes;
  }

  /** Where the page starts in the file, in bytes. */
  get position(): number {
    return this.held.positionBytes;
  }

  /** Whether this is still the file's page. */
  get current(): boolean {
    return !this.released && isCurrent(this.session.engine, this.held);
  }

  /**
   * Ends the window; `bytes` must not be used after it. Releasing twice does nothing. A write pin's release throws what a
   * write throws, unless the store is closed.
   */
  release(): void {
    if (this.released) return;
    this.released = true;
    const { session, held } = this;
    session.pages.delete(this);
    const { state } = session.arena;
    // A store that is closed has dropped its pages, pins and all; in one that cannot go on, only a write is lost.
    if (state === StoreState.Closed || (state === StoreState.Fenced && !held.write)) return;
    session.run('release', releasePin(session.task, session.engine, held));
  }

  [Symbol.dispose](): void {
    this.release();
  }
}
