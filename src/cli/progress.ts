/** A progress bar on standard error, there only when that is a terminal. */
import { Presets, SingleBar } from 'cli-progress';
import { formatSize } from './size.js';

export interface Progress {
  advance(bytes: number): void;
  stop(): void;
}

const SILENT = { advance() {}, stop() {} };

/** Progress in bytes towards `totalBytes`; silent when the total is not known. */
export function bytesProgress(label: string, totalBytes: number | undefined): Progress {
  if (!process.stderr.isTTY || totalBytes === undefined || totalBytes === 0) return SILENT;
  const bar = new SingleBar(
    {
      format: `${label} {bar} {percentage}% {done} of {size}`,
      stream: process.stderr,
      clearOnComplete: true,
      hideCursor: true,
    },
    Presets.shades_classic,
  );
  let doneBytes = 0;
  bar.start(totalBytes, 0, { done: formatSize(0), size: formatSize(totalBytes) });
  return {
    advance(bytes) {
      doneBytes += bytes;
      bar.update(Math.min(doneBytes, totalBytes), { done: formatSize(doneBytes) });
    },
    stop: () => bar.stop(),
  };
}

export interface Steps {
  /** One more is done; `what` names it. */
  advance(what: string): void;
  stop(): void;
}

/** Progress in steps of a known number. */
export function countProgress(label: string, total: number): Steps {
  if (!process.stderr.isTTY || total < 2) return SILENT;
  const format = `${label} {bar} {value} of {total} {what}`;
  const bar = new SingleBar(
    { format, stream: process.stderr, clearOnComplete: true, hideCursor: true },
    Presets.shades_classic,
  );
  let done = 0;
  bar.start(total, 0, { what: '' });
  return {
    advance: (what) => bar.update(++done, { what }),
    stop: () => bar.stop(),
  };
}
