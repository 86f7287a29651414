/**
 * The model test: random sequences of all operations against plain arrays, several block sizes and files, both safe
 * schemes, a cache too small for the files. EMMENTAL_MODEL_OPS sets the number of operations of each run,
 * EMMENTAL_MODEL_SEED replays one.
 */
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { schemes } from '#dist/src/index.js';
import { temporaryDirectory } from '../support/temporary.js';
import { ModelRun } from './model-run.js';

const OPERATIONS = Number(process.env.EMMENTAL_MODEL_OPS ?? 22_000);
const SEED = Number(process.env.EMMENTAL_MODEL_SEED ?? Math.floor(Math.random() * 2 ** 31));
const BLOCK_BYTES = [4096, 16_384, 65_536];

const safe = schemes.filter((scheme) => scheme.safe).map((scheme) => scheme.name);
const directory = temporaryDirectory(true);

describe('the engine agrees with plain arrays', () => {
  let run = 0;
  for (const scheme of safe) {
    for (const blockBytes of BLOCK_BYTES) {
      const seed = SEED + run++;
      it(`${scheme}, blocks of ${blockBytes}, seed ${seed}, ${OPERATIONS} operations`, {
        timeout: 3_600_000,
      }, async () => {
        const operations = blockBytes === 65_536 ? Math.ceil(OPERATIONS / 3) : OPERATIONS;
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
