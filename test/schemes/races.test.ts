/**
 * What the invalidate lock is for. Without it (scheme `none`) a fill that runs between a punch's dropping of pages and its
 * removal of extents caches blocks that are about to be somebody else's: a later read shows stale or foreign bytes, and a
 * write through the cached mapping destroys the other file. Both happen here every time. The same scripts under the safe
 * schemes show that the fill waits for the punch, or the punch for the fill.
 */
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { temporaryDirectory } from '../support/temporary.js';
import { isTestedInFull, testedSchemes } from '../support/tested-schemes.js';
import { BLOCK, HOLE, NEIGHBOUR, OLD, Race } from './race.js';

const REPETITIONS = Number(process.env['EMMENTAL_RACE_REPETITIONS'] ?? 8);
const SAFE_REPETITIONS = 4;
/** Under schemes that are not tested in full. */
const FEW_REPETITIONS = 1;
/** What is written over the stale page. */
const OVER = 0x58;
/** How long a thread that must wait is given to show that it does not. */
const GRACE_MS = 30;

const directory = temporaryDirectory(true);
let stores = 0;

async function repeat(times: number, scheme: string, script: (race: Race) => Promise<void>): Promise<void> {
  stores += 1;
  const race = await Race.start(join(directory, `${stores}.img`), scheme);
  for (let i = 0; i < times; i++) {
    await race.prepare();
    await script(race);
  }
  await race.finish();
}

const grace = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, GRACE_MS));

describe('scheme none', () => {
  it(`reads what was punched, ${REPETITIONS} times`, async () => {
    await repeat(REPETITIONS, 'none', async (race) => {
      race.hold('punch:dropped');
      const punched = race.punch();
      await race.arrived('punch:dropped');
      expect(await race.read()).toEqual([OLD]); // fills from blocks that are about to go
      race.release('punch:dropped');
      await punched;
      expect(await race.read()).toEqual([OLD]); // must be zeros
    });
  });

  it(`reads another file's bytes, ${REPETITIONS} times`, async () => {
    await repeat(REPETITIONS, 'none', async (race) => {
      const devicePosition = race.devicePosition();
      race.hold('punch:dropped');
      race.hold('fill:mapped');
      const punched = race.punch();
      await race.arrived('punch:dropped');
      const reading = race.read();
      await race.arrived('fill:mapped'); // it knows its blocks, and has not read them
      race.release('punch:dropped');
      await punched;
      await race.occupy(devicePosition);
      race.release('fill:mapped');
      expect(await reading).toEqual([NEIGHBOUR]); // must be zeros
      expect(await race.read()).toEqual([NEIGHBOUR]); // and stays
    });
  });

  for (const how of ['write', 'pin'] as const) {
    it(`destroys another file with a ${how} through the stale mapping, ${REPETITIONS} times`, async () => {
      await repeat(REPETITIONS, 'none', async (race) => {
        const devicePosition = race.devicePosition();
        race.hold('punch:dropped');
        const punched = race.punch();
        await race.arrived('punch:dropped');
        await race.read();
        race.release('punch:dropped');
        await punched;
        await race.occupy(devicePosition);
        expect(race.neighbour()).toEqual([NEIGHBOUR]);
        await race.reader.run(writeOver, how, HOLE.first * BLOCK);
        const found = race.neighbour();
        expect(found).toEqual(how === 'write' ? [OVER, OLD] : [OLD, OVER]); // must be the neighbour's
      });
    });
  }
});

/** Overwrites a part of the page, and writes it back. Runs in another thread. */
function writeOver(
  { keep }: { keep: { file: import('#dist/src/worker.js').SyncFile } },
  how: string,
  position: number,
): void {
  const bytes = new Uint8Array(100).fill(88);
  if (how === 'write') {
    keep.file.write(bytes, 0, 100, position);
  } else {
    const page = keep.file.pin(position, { write: true });
    page.bytes.set(bytes, 200);
    page.release();
  }
  keep.file.sync();
}

describe.each(testedSchemes)('scheme $name', (tested) => {
  const scheme = tested.name;
  const repetitions = isTestedInFull(tested) ? SAFE_REPETITIONS : FEW_REPETITIONS;

  it('makes a fill wait for the punch that has dropped its pages', async () => {
    await repeat(repetitions, scheme, async (race) => {
      const devicePosition = race.devicePosition();
      race.hold('punch:dropped');
      race.hold('fill:mapped');
      const punched = race.punch();
      await race.arrived('punch:dropped');
      const reading = race.read();
      await race.queued();
      await grace();
      expect(race.hasArrived('fill:mapped')).toBe(false);
      race.release('punch:dropped');
      await punched;
      await race.arrived('fill:mapped'); // it has found the hole
      await race.occupy(devicePosition);
      race.release('fill:mapped');
      expect(await reading).toEqual([0]);
      await race.reader.run(writeOver, 'write', HOLE.first * BLOCK);
      expect(race.neighbour()).toEqual([NEIGHBOUR]);
      expect(await race.read()).toEqual([OVER, 0]);
    });
  });

  it('makes a punch wait for the fill that knows its blocks', async () => {
    await repeat(repetitions, scheme, async (race) => {
      const devicePosition = race.devicePosition();
      race.hold('fill:mapped');
      const reading = race.read();
      await race.arrived('fill:mapped');
      let isPunched = false;
      const punched = race.punch().then(() => {
        isPunched = true;
      });
      await race.queued();
      await grace();
      expect(isPunched).toBe(false);
      race.release('fill:mapped');
      // The punch may drop the page before the reader has copied it; then the reader fills it again, with zeros.
      expect([[OLD], [0]]).toContainEqual(await reading);
      await punched;
      await race.occupy(devicePosition);
      expect(await race.read()).toEqual([0]);
      await race.reader.run(writeOver, 'pin', HOLE.first * BLOCK);
      expect(race.neighbour()).toEqual([NEIGHBOUR]);
    });
  });
});
