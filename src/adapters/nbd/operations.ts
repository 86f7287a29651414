/** Requests that carry no data and are no reads: what the store does for each, and its reply. */
import type { File } from '../../index.js';
import { Command, CommandFlag, ErrorCode } from '../../nbd/constants.js';
import type { Replies } from './replies.js';
import type { Request } from './request.js';
import type { SyncLine } from './sync-line.js';

/** Descriptors of one reply to BLOCK_STATUS. */
const SEGMENTS_MAX = 4096;
/** From here on making a hole is sooner done than writing zeros would be: a transaction against bytes on the socket. */
const FAST_ZERO_BYTES = 128 * 1024;

/** Does it and replies, with `charge`; throws what the store throws, without a reply. */
export async function operate(
  request: Request,
  file: File,
  syncs: SyncLine,
  replies: Replies,
  charge: number,
): Promise<void> {
  const { offset, length, flags } = request;
  switch (request.command) {
    case Command.Flush:
      await syncs.sync();
      break;
    case Command.Trim:
      if (length > 0) await file.punchHole(offset, length);
      break;
    case Command.WriteZeroes:
      if ((flags & CommandFlag.FastZero) !== 0 && length < FAST_ZERO_BYTES) {
        replies.error(request, ErrorCode.NotSupported, 'a write is as fast', charge);
        return;
      }
      if (length > 0 && (flags & CommandFlag.NoHole) !== 0) await file.zeroRange(offset, length, { keepSize: true });
      else if (length > 0) await file.punchHole(offset, length);
      break;
    case Command.Cache:
      if (length > 0) await file.advise('willneed', offset, length);
      break;
    case Command.BlockStatus: {
      const limit = (flags & CommandFlag.RequestOne) !== 0 ? 1 : SEGMENTS_MAX;
      const segments = await file.segments(offset, length, limit);
      if (segments.length === 0) throw new Error('the file has become shorter than the export');
      replies.blockStatus(request, segments, charge);
      return;
    }
  }
  const changes = request.command === Command.Trim || request.command === Command.WriteZeroes;
  if (changes && (flags & CommandFlag.Fua) !== 0) await syncs.sync();
  replies.empty(request, charge);
}
