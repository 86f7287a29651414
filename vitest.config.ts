import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: 'test/support/bundle-threads.ts',
    // Processes, as a store's exclusive claim is one's; each runs many files, so that the engine is loaded and compiled
    // once for all of them. No test replaces a module.
    pool: 'forks',
    isolate: false,
    // One more than the cores of a small machine: tests wait for threads and timers now and then.
    maxWorkers: 3,
    testTimeout: 60_000,
    hookTimeout: 60_000,
    server: { deps: { external: [/\/dist\//] } },
  },
});
