/** The images of hand-made logs, against what the model of the medium says: no more and no fewer. */
import { describe, expect, it } from 'vitest';
import { CrashRandom } from '#dist/src/explore/crash-random.js';
import { BlockContents } from '#dist/src/explore/power-cut-contents.js';
import { PowerCuts } from '#dist/src/explore/power-cut-images.js';
import { type DeviceRecord, RecordKind } from '#dist/src/explore/recording-device.js';

const BLOCK = 4096;
const BLOCKS = 8;
const NEVER = Number.POSITIVE_INFINITY;
const ALL = { subsets: 1000, torn: 0 };

const contents = new BlockContents(BLOCK);
const garbage = contents.number(new Uint8Array(BLOCK).fill(0xa5));
const OLD = contents.number(new Uint8Array(BLOCK).fill(1));
const base = new Int32Array(BLOCKS).fill(OLD);

/** A content of one byte, everywhere. */
function filled(value: number, blocks = 1): Uint8Array {
  return new Uint8Array(blocks * BLOCK).fill(value);
}

function write(block: number, value: number, begin: number, end: number, blocks = 1): DeviceRecord {
  const bytes = filled(value, blocks);
  return { kind: RecordKind.Write, begin, end, positionBytes: block * BLOCK, lengthBytes: bytes.length, bytes };
}

function flush(begin: number, end: number): DeviceRecord {
  return { kind: RecordKind.Flush, begin, end, positionBytes: 0, lengthBytes: 0, bytes: new Uint8Array(0) };
}

function discard(block: number, begin: number, end: number): DeviceRecord {
  return {
    kind: RecordKind.Discard,
    begin,
    end,
    positionBytes: block * BLOCK,
    lengthBytes: BLOCK,
    bytes: new Uint8Array(0),
  };
}

/** The images of the span that begins at `from`, as text: the first byte of each of the first `blocks` blocks. */
function imagesAt(records: DeviceRecord[], from: number, blocks: number, seeds = 1, bounds = ALL): string[] {
  const found = new Set<string>();
  for (let seed = 0; seed < seeds; seed++) {
    for (const cut of new PowerCuts(base, records, contents, new CrashRandom(seed), bounds).images()) {
      if (cut.from !== from) continue;
      found.add(Array.from(cut.image.subarray(0, blocks), (number) => contents.bytes(number)[0]).join(' '));
    }
  }
  return [...found].sort();
}

describe('images of a power cut', () => {
  it('hold any of the writes since the last flush', () => {
    const records = [write(0, 10, 1, 2), write(1, 11, 3, 4), write(2, 12, 5, 6)];
    expect(imagesAt(records, 1, 3)).toEqual(['10 1 1']);
    expect(imagesAt(records, 3, 3)).toEqual(['1 11 1', '10 11 1']);
    // What lacks the newest write was there in the spans before.
    expect(imagesAt(records, 5, 3)).toEqual(['1 1 12', '1 11 12', '10 1 12', '10 11 12']);
  });

  it('hold every write that was complete before a flush began that is complete', () => {
    const records = [write(0, 10, 1, 2), write(1, 11, 3, 6), flush(4, 5), write(2, 12, 7, 8)];
    // The second was under way when the flush began.
    expect(imagesAt(records, 5, 3)).toEqual(['10 1 1', '10 11 1']);
    expect(imagesAt(records, 7, 3)).toEqual(['10 1 12', '10 11 12']);
  });

  it('owe nothing to a flush that was under way', () => {
    const records = [write(0, 10, 1, 2), flush(3, NEVER), write(1, 11, 4, 5)];
    expect(imagesAt(records, 4, 2)).toEqual(['1 11', '10 11']);
  });

  it('hold the later of two writes to one block, and either of two at once', () => {
    expect(imagesAt([write(0, 10, 1, 2), write(0, 11, 3, 4)], 3, 1)).toEqual(['11']);
    expect(imagesAt([write(0, 10, 1, 4), write(0, 11, 2, 3)], 2, 1)).toEqual(['10', '11']);
  });

  it('hold a part of one write, cut at a sector', () => {
    const records = [write(0, 10, 1, 2, 2)];
    const bounds = { subsets: 0, torn: 40 };
    const sectors = new Set<number>();
    for (const cut of new PowerCuts(base, records, contents, new CrashRandom(1), bounds).images()) {
      if (!cut.isTorn) continue;
      let there = 0;
      for (const number of cut.image.subarray(0, 2)) {
        const bytes = contents.bytes(number);
        for (let at = 0; at < BLOCK; at += 512) {
          expect(new Set(bytes.subarray(at, at + 512)).size).toBe(1);
          if (bytes[at] === 10) there += 1;
        }
      }
      expect(there).toBeGreaterThan(0);
      sectors.add(there);
    }
    expect(sectors.size).toBeGreaterThan(5);
  });

  it('hold anything where a block was discarded, until it is written again', () => {
    const bytes = { zeros: '0', garbage: String(contents.bytes(garbage)[0]), old: '1' };
    const records = [
      discard(0, 1, 2),
      flush(3, 4),
      write(1, 11, 5, 6),
      flush(7, 8),
      write(0, 12, 9, 10),
      flush(11, 12),
    ];
    const states = (text: string) => [bytes.zeros, bytes.garbage, bytes.old].map((state) => `${state} ${text}`).sort();
    expect(imagesAt(records, 5, 2, 40)).toEqual(states('11'));
    expect(imagesAt(records, 12, 2, 40)).toEqual(['12 11']);
  });

  it('stand for the span up to the next event', () => {
    const records = [write(0, 10, 1, 2), flush(5, 6), write(1, 11, 9, 10)];
    const spans = new Set<string>();
    for (const cut of new PowerCuts(base, records, contents, new CrashRandom(1), ALL).images()) {
      spans.add(`${cut.from} ${cut.until}`);
    }
    expect([...spans]).toEqual(['1 6', '6 9', `9 ${NEVER}`]);
  });

  it('are sampled where there are too many, the same for the same seed', () => {
    const records = Array.from({ length: 20 }, (_, i) => write(i % BLOCKS, 10 + i, 2 * i + 1, 2 * i + 2));
    const run = (seed: number) => imagesAt(records, 39, BLOCKS, 1, { subsets: 30, torn: seed });
    expect(run(0).length).toBeLessThanOrEqual(32);
    expect(run(0).length).toBeGreaterThan(10);
    expect(run(0)).toEqual(run(0));
  });
});
