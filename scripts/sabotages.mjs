// Small sabotages of the engine, each of which must be caught: by a scenario of the exploring driver, or else by the tests
// that are named. Run by scripts/mutation-check.mjs; test/mutation/ holds that each can still be done.
//
//   name     how to ask for it
//   what     what goes wrong, in a few words
//   edits    [file, text, text in its place]; the text is in the file exactly once
//   explore  scenarios that are to find it, `NAME` under invalidate-lock, or `NAME under SCHEME`
//   tests    folders or files of tests that are to find it, where scenarios do not
//   survives why nothing finds it, where that is so
import { BLOCKS } from './sabotages/blocks.mjs';
import { FILE } from './sabotages/file.mjs';
import { JOURNAL } from './sabotages/journal.mjs';
import { LOCKS } from './sabotages/locks.mjs';
import { PAGECACHE } from './sabotages/pagecache.mjs';

export const SABOTAGES = [...FILE, ...PAGECACHE, ...LOCKS, ...BLOCKS, ...JOURNAL];
