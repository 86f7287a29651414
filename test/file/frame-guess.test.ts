/** Guesses of a page's frame: when there are some, and that no guess is out of the frames. */
import { describe, expect, test } from 'vitest';
import { FrameGuess } from '#dist/src/file/frame-guess.js';
import type { Frame, Slot } from '#dist/src/units.js';

const FILE = 3 as Slot;

function learned(...places: [index: number, frame: number][]): FrameGuess {
  const guess = new FrameGuess(1000);
  for (const [index, frame] of places) guess.learn(FILE, index, frame as Frame);
  return guess;
}

describe('the guess of a frame', () => {
  test('comes once two pages lay alike, wherever they are in the file', () => {
    expect(learned().frameOf(FILE, 0)).toBe(0);
    expect(learned([5, 105]).frameOf(FILE, 6)).toBe(0);
    const guess = learned([5, 105], [70, 170]);
    expect(guess.frameOf(FILE, 0)).toBe(100);
    expect(guess.frameOf(FILE, 900)).toBe(1000);
  });

  test('ends when a page lies elsewhere, and comes back with the next two that lie alike', () => {
    const guess = learned([5, 105], [6, 106], [7, 400]);
    expect(guess.frameOf(FILE, 8)).toBe(0);
    guess.learn(FILE, 9, 402 as Frame);
    expect(guess.frameOf(FILE, 8)).toBe(401);
  });

  test('names no frame that there is not', () => {
    const guess = learned([50, 10], [51, 11]);
    expect(guess.frameOf(FILE, 40)).toBe(0);
    expect(guess.frameOf(FILE, 41)).toBe(1);
    expect(guess.frameOf(FILE, 1040)).toBe(1000);
    expect(guess.frameOf(FILE, 1041)).toBe(0);
    expect(guess.frameOf(FILE, 0xffff_fffe)).toBe(0);
  });

  test('is right at the end of the longest file, whose indices pass a word with a sign', () => {
    const guess = learned([0xffff_fff0, 10], [0xffff_fff1, 11]);
    expect(guess.frameOf(FILE, 0xffff_fffe)).toBe(24);
  });

  test('is of one file: its neighbour in the table starts anew', () => {
    const guess = learned([5, 105], [6, 106]);
    expect(guess.frameOf(4 as Slot, 7)).toBe(0);
    const other = (FILE + 64) as Slot;
    guess.learn(other, 5, 300 as Frame);
    expect(guess.frameOf(FILE, 7)).toBe(0);
  });
});
