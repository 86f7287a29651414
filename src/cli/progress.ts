/** A progress bar on standard error, there only when that is a terminal. */
import { Presets, SingleBar } from 'cli-progress';
import { formatSize } from './size.js';

export interface Progress {
  advance(bytes: number): void;
  stop(): void;
}

const SILENT: Progress = { advance() {}, stop() {} };

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
