/**
 * Images damaged by chance, thousands of them: opening, checking and reading give what is right, or an error that names
 * the structure; a repair gives a sound store with every file that was not hit.
 */
import { describe, expect, it } from 'vitest';
import { examine, repairAndVerify } from './examine.js';
import { mutate } from './mutations.js';
import { Specimen } from './specimen.js';

const IMAGES = Number(process.env['EMMENTAL_FUZZ_IMAGES'] ?? 10_000);
const SEED = Number(process.env['EMMENTAL_FUZZ_SEED'] ?? Math.floor(Math.random() * 2 ** 30));
/** One image in so many is also repaired and changed, which takes several times as long. */
const THOROUGH = Number(process.env['EMMENTAL_FUZZ_THOROUGH'] ?? 32);
/** One image in so many has checksums of its data. */
const SUMMED = 8;
const MEMORY_MAX_BYTES = 512 * 1024 * 1024;

describe('a fuzzed image', () => {
  const small = { files: 5, sparsePages: 20, blocks: 160 };
  const specimens = [
    new Specimen(small),
    new Specimen({ ...small, dataChecksums: true }),
    new Specimen(),
    new Specimen({ ...small, blocks: 96, blockBytes: 16_384 }),
  ];

  it(`is read right, refused, or repaired: ${IMAGES} of them, from seed ${SEED}`, {
    timeout: 20_000 + 100 * IMAGES,
  }, () => {
    const counts = { clean: 0, refused: 0, errors: 0, repaired: 0, summed: 0 };
    for (let seed = SEED; seed < SEED + IMAGES; seed++) {
      const isThorough = seed % THOROUGH === 0;
      // The others cost more.
      const specimen = specimens[isThorough ? (seed / THOROUGH) % 4 : Number(seed % SUMMED === 1)];
      if (specimen.options.dataChecksums === true) counts.summed++;
      const { device, damage } = mutate(specimen, seed);
      damage.readsOnly = !isThorough;
      try {
        // Half of the time would go into traces of errors that are expected.
        if (IMAGES > 100) Error.stackTraceLimit = 0;
        const { check, opened, errors } = examine(specimen, device, damage);
        if (check.clean) counts.clean++;
        if (!opened) counts.refused++;
        else if (errors.length > 0) counts.errors++;
        if (isThorough && repairAndVerify(specimen, device, damage) !== null) counts.repaired++;
      } catch (error) {
        Error.stackTraceLimit = 20;
        const replay = `EMMENTAL_FUZZ_SEED=${seed} EMMENTAL_FUZZ_IMAGES=1 npx vitest run test/damage`;
        throw new Error(`${damage.what}\n${(error as Error).message}\nreplay: ${replay}`, { cause: error });
      }
      Error.stackTraceLimit = 20;
      if (seed % 1000 === 0) expect(process.memoryUsage().heapUsed).toBeLessThan(MEMORY_MAX_BYTES);
    }
    // Chance hits some blocks that nobody needs; but never most of the time.
    expect(counts.clean).toBeLessThan(IMAGES / 2 + 2);
    console.log(
      `fuzzed images: ${IMAGES}, of which with data checksums ${counts.summed}, clean ${counts.clean}, refused ${counts.refused}, read with errors ${counts.errors}, repaired ${counts.repaired}`,
    );
  });
});
