/**
 * The model test: random sequences of all operations against plain arrays, several block sizes and files, every safe
 * scheme, a cache too small for the files. EMMENTAL_MODEL_OPS sets the number of operations under
 * each of the compared schemes, EMMENTAL_MODEL_SEED replays a run.
 */
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { temporaryDirectory } from '../support/temporary.js';
import { isTestedInFull, testedSchemes } from '../support/tested-schemes.js';
import { ModelRun } from './model-run.js';

const OPERATIONS = Number(process.env.EMMENTAL_MODEL_OPS ?? 42_000);
const SEED = Number(process.env.EMMENTAL_MODEL_SEED ?? Math.floor(Math.random() * 2 ** 31));
/** Block sizes, and the part of the operations that each gets: what a large block costs is mostly comparing it. */
const BLOCK_BYTES = [4096, 16_384, 65_536];
const PARTS = [12 / 17, 4 / 17, 1 / 17];

/** Of a scheme that is not tested in full: one block size, and this part of the operations. */
const SHARE = 1 / 40;

const cases = testedSchemes.map((scheme) => ({ name: scheme.name, isFull: isTestedInFull(scheme) }));
const directory = temporaryDirectory(true);

describe('the engine agrees with plain arrays', () => {
  let run = 0;

  it(`data checksums, blocks of 4096, seed ${SEED - 1}`, { timeout: 3_600_000 }, async () => {
    const operations = Math.ceil(OPERATIONS / 4);
    const image = join(directory, 'checksums.img');
    const shape = { blockBytes: 4096, cachePages: 320, fileBytes: 160 * 4096, dataChecksums: true };
    await new ModelRun({ image, seed: SEED - 1, operations, scheme: 'invalidate-lock', ...shape }).run();
  });

  for (const [index, { name: scheme, isFull }] of cases.entries()) {
    for (const blockBytes of isFull ? BLOCK_BYTES : [BLOCK_BYTES[index % 2]]) {
      const seed = SEED + run++;
      it(`${scheme}, blocks of ${blockBytes}, seed ${seed}`, {
        timeout: 3_600_000,
      }, async () => {
        const operations = Math.ceil(OPERATIONS * (isFull ? PARTS[BLOCK_BYTES.indexOf(blockBytes)] : SHARE));
        const model = new ModelRun({
          image: join(directory, `${scheme}-${blockBytes}.img`),
          seed,
          operations,
          blockBytes,
          scheme,
          cachePages: 320,
          fileBytes: 160 * blockBytes,
        });
        await model.run();
        expect(model.counts.get('write')).toBeGreaterThan(0);
      });
    }
  }
});
