/**
 * Syncs of one file, shared by whoever asks meanwhile: one runs, and all who ask while it does get the next, which begins
 * after they asked and so covers what they want covered.
 */
import type { File } from '../../index.js';

export class SyncLine {
  private running: Promise<void> | null = null;
  private next: Promise<void> | null = null;

  constructor(private readonly file: File) {}

  sync(): Promise<void> {
    if (this.running === null) return this.begin();
    this.next ??= this.running.then(
      () => this.begin(),
      () => this.begin(),
    );
    return this.next;
  }

  private begin(): Promise<void> {
    this.next = null;
    const running = this.file.datasync().finally(() => {
      if (this.running === running) this.running = null;
    });
    this.running = running;
    return running;
  }
}
