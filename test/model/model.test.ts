/**
 * The model test: random sequences of all operations against plain arrays, several block sizes and files, every safe
 * scheme, a cache too small for the files. EMMENTAL_MODEL_OPS sets the number of operations of each run,
 * EMMENTAL_MODEL_SEED replays one.
 */
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { temporaryDirectory } from '../support/temporary.js';
import { isTestedInFull, testedSchemes } from '../support/tested-schemes.js';
import { ModelRun } from './model-run.js';

const OPERATIONS = Number(process.env.EMMENTAL_MODEL_OPS ?? 22_000);
const SEED = Number(process.env.EMMENTAL_MODEL_SEED ?? Math.floor(Math.random() * 2 ** 31));
const BLOCK_BYTES = [4096, 16_384, 65_536];

/** Of a scheme that is not tested in full: one block size, and this part of the operations. */
const SHARE = 1 / 16;

const cases = testedSchemes.map((scheme) => ({ name: scheme.name, isFull: isTestedInFull(scheme) }));
const directory = temporaryDirectory(true);

describe('the engine agrees with plain arrays', () => {
  let run = 0;
  for (const [index, { name: scheme, isFull }] of cases.entries()) {
    for (const blockBytes of isFull ? BLOCK_BYTES : [BLOCK_BYTES[index % 2]]) {
      const seed = SEED + run++;
      it(`${scheme}, blocks of ${blockBytes}, seed ${seed}`, {
        timeout: 3_600_000,
      }, async () => {
        const operations = Math.ceil(OPERATIONS * (isFull ? 1 : SHARE) * (blockBytes === 65_536 ? 1 / 3 : 1));
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
