// Texts in files replaced by others, and put back: how bugs are planted in a copy of the engine, for those who look for them.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/**
 * What the edits make of files under `root`, as a map from file to text. An edit is [file, text or pattern, replacement],
 * and a pattern's groups are $1, $2 … in its replacement.
 * Throws where the text is not there exactly once: the code has changed, and the edit has to follow.
 */
export function editedFiles(root, edits) {
  const files = new Map();
  for (const [file, wanted, replacement] of edits) {
    const text = files.get(file) ?? readFileSync(join(root, file), 'utf8');
    const times =
      wanted instanceof RegExp ? [...text.matchAll(new RegExp(wanted, 'g'))].length : text.split(wanted).length - 1;
    if (times !== 1)
      throw new Error(`${file}: this is there ${times} times, not once; bring the edit up to date:\n${wanted}`);
    files.set(file, text.replace(wanted, wanted instanceof RegExp ? replacement : () => replacement));
  }
  return files;
}

/** Makes the edits; answers what undoes them. */
export function plant(root, edits) {
  const edited = editedFiles(root, edits);
  const before = [...edited.keys()].map((file) => [join(root, file), readFileSync(join(root, file), 'utf8')]);
  for (const [file, text] of edited) writeFileSync(join(root, file), text);
  return () => {
    for (const [path, text] of before) writeFileSync(path, text);
  };
}
