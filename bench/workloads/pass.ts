/** Once over a whole file in order: to lay it out before a run, to warm the cache, or to verify it afterwards. */
import type { SyncFile } from '../../src/worker.js';
import { Random } from './random.js';
import { fillPattern, Stamp } from './stamp.js';
import { Control, Figure, type ThreadArea } from './thread-memory.js';
import type { PassTask } from './thread-task.js';

const CHUNK_BYTES = 1024 * 1024;
const LAYOUT_SEED = 1;

export function runPass(file: SyncFile, task: PassTask, area: ThreadArea, control: Int32Array): string | null {
  const { stamp: settings, sizeBytes } = task;
  const stamp =
    settings === null ? null : new Stamp(settings.verify, settings.unitBytes, 0, task.file, settings.holesAllowed);
  // Chunks hold whole units.
  const unitBytes = settings?.unitBytes ?? 1;
  const chunkBytes = Math.max(1, Math.floor(CHUNK_BYTES / unitBytes)) * unitBytes;
  const buffer = new Uint8Array(Math.ceil(chunkBytes / 4) * 4);
  fillPattern(buffer, new Random(LAYOUT_SEED));
  let verifyError: string | null = null;
  for (let position = 0; position < sizeBytes && Atomics.load(control, Control.Stop) === 0; ) {
    const chunk = buffer.subarray(0, Math.min(chunkBytes, sizeBytes - position));
    if (task.kind === 'layout') {
      stamp?.write(chunk, position, 0);
      writeFully(file, chunk, position);
      position += chunk.length;
    } else {
      const { bytesRead } = file.read(chunk, 0, chunk.length, position);
      if (bytesRead === 0) break; // the file was cut off
      const wrong = task.kind === 'verify' ? stamp!.check(chunk.subarray(0, bytesRead), position) : null;
      if (wrong !== null) {
        verifyError ??= wrong.reason;
        area.figures[Figure.VerifyErrors]++;
      }
      position += bytesRead;
    }
    area.figures[Figure.Progress] = position;
  }
  if (task.kind === 'layout') file.sync();
  return verifyError;
}

function writeFully(file: SyncFile, bytes: Uint8Array, position: number): void {
  for (let done = 0; done < bytes.length; ) {
    done += file.write(bytes, done, bytes.length - done, position + done).bytesWritten;
  }
}
