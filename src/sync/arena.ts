/**
 * The control arena of one open store: the shared words, and this thread's views of them.
 *
 * Every thread makes its own `Arena` over the same buffer. Nothing here is the truth but the buffer.
 */
import { StoreError } from '../errors.js';
import { Header, HeaderFlag, type Layout, StoreState, WORD_BYTES } from './layout.js';

export class Arena {
  /** All words, signed: for atomics. */
  readonly words: Int32Array;
  /** The same words, unsigned: for block and page numbers. */
  readonly unsigned: Uint32Array;
  /** The same bytes as doubles. */
  readonly doubles: Float64Array;
  readonly bytes: Uint8Array;
  readonly verify: boolean;

  constructor(
    readonly buffer: SharedArrayBuffer,
    readonly layout: Layout,
    /** The device, as events name it. */
    readonly path = '',
  ) {
    this.words = new Int32Array(buffer);
    this.unsigned = new Uint32Array(buffer);
    this.doubles = new Float64Array(buffer);
    this.bytes = new Uint8Array(buffer);
    this.verify = (this.words[Header.Flags] & HeaderFlag.Verify) !== 0;
  }

  /** A fresh buffer of the layout's size. The header's constants are filled in by the caller before others see it. */
  static allocate(layout: Layout): SharedArrayBuffer {
    return new SharedArrayBuffer(layout.words * WORD_BYTES);
  }

  get state(): StoreState {
    return Atomics.load(this.words, Header.State);
  }

  /** Throws unless calls are taken: ENOTRECOVERABLE when fenced, EBADF when closed. */
  checkOpen(syscall: string): void {
    const state = this.state;
    if (state === StoreState.Open) return;
    if (state === StoreState.Fenced) {
      throw new StoreError('ENOTRECOVERABLE', {
        syscall,
        detail: 'a thread died holding a lock of this store; close it and open it again',
      });
    }
    if (state === StoreState.Opening || state === StoreState.Closing) return;
    throw new StoreError('EBADF', { syscall, detail: 'the store is closed' });
  }
}
