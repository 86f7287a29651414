import { expect, test } from 'vitest';
import { copySparse, dataIn, type Piece, type Sink, streamSink, streamSource } from '#dist/src/cli/sparse-copy.js';

const GRAIN = 4096;

function withData(length: number, ...at: number[]): Buffer {
  const bytes = Buffer.alloc(length);
  for (const position of at) bytes[position] = 1;
  return bytes;
}

function ranges(bytes: Buffer, position = 0): [number, number][] {
  return [...dataIn(bytes, position)].map((piece: Piece) => [piece.position, piece.bytes.length]);
}

test('grains of zeros are holes, and neighbours are one piece', () => {
  expect(ranges(withData(4 * GRAIN))).toEqual([]);
  expect(ranges(withData(4 * GRAIN, GRAIN, 2 * GRAIN + 7))).toEqual([[GRAIN, 2 * GRAIN]]);
  expect(ranges(withData(4 * GRAIN, 0, 3 * GRAIN), 100)).toEqual([
    [100, GRAIN],
    [100 + 3 * GRAIN, GRAIN],
  ]);
});

test('a tail shorter than a grain is data or a hole like any other', () => {
  expect(ranges(withData(GRAIN + 5, GRAIN + 4))).toEqual([[GRAIN, 5]]);
  expect(ranges(withData(GRAIN + 5, 0))).toEqual([[0, GRAIN]]);
});

async function* chunksOf(bytes: Buffer, length: number): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += length) yield bytes.subarray(at, at + length);
}

test('a stream in odd chunks comes through whole, holes included', async () => {
  const bytes = withData(3 * 1024 * 1024 + 17, 5, 1024 * 1024, 3 * 1024 * 1024 + 16);
  const out: Buffer[] = [];
  let advanced = 0;
  const sink = streamSink(async (piece) => void out.push(Buffer.from(piece)));
  const size = await copySparse(streamSource(chunksOf(bytes, 60_001)), sink, (count) => {
    advanced += count;
  });
  expect(size).toBe(bytes.length);
  expect(advanced).toBe(bytes.length);
  expect(Buffer.concat(out).equals(bytes)).toBe(true);
});

test('a sink with positions never sees a hole', async () => {
  const bytes = withData(8 * GRAIN, 6 * GRAIN);
  const written: [number, number][] = [];
  let finished = -1;
  const sink: Sink = {
    write: async (piece) => void written.push([piece.position, piece.bytes.length]),
    finish: async (size) => {
      finished = size;
    },
  };
  await copySparse(streamSource(chunksOf(bytes, GRAIN + 1)), sink, () => {});
  expect(written).toEqual([[6 * GRAIN, GRAIN]]);
  expect(finished).toBe(8 * GRAIN);
});
