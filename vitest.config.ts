import { availableParallelism } from 'node:os';
import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** What takes longest, longest first: begun last, one of them would keep one core busy after all others are through. */
const LONGEST = [
  'crash/power-cut',
  'damage/fuzz',
  'model/model',
  'crash/kill',
  'bench/smoke',
  'bench/report/report',
  'adapters/wa-sqlite/wa-sqlite',
  'examples',
  'cli/commands',
  'death/death',
  'explore/verdicts',
  'damage/blocks',
  'stress/stress',
  'bench/micro',
].map((name) => `/test/${name}.test.ts`);

/** Vitest itself knows how long a file takes only where it has run it before. */
class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rank = ({ moduleId }: TestSpecification): number => {
      const place = LONGEST.findIndex((name) => moduleId.endsWith(name));
      return place < 0 ? LONGEST.length : place;
    };
    return (await super.sort(files)).sort((a, b) => rank(a) - rank(b));
  }
}

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    sequence: { sequencer: LongestFirst },
    globalSetup: 'test/support/bundle-threads.ts',
    // Processes, as a store's exclusive claim is one's; each runs many files, so that the engine is loaded and compiled
    // once for all of them. No test replaces a module.
    pool: 'forks',
    isolate: false,
    // Threads of the tests keep the cores busy; every further process would only compile the engine once more.
    maxWorkers: Math.max(2, availableParallelism()),
    testTimeout: 60_000,
    hookTimeout: 60_000,
    server: { deps: { external: [/\/dist\//] } },
  },
});
