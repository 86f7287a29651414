import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: 'test/support/bundle-threads.ts',
    // Each test file gets a process: a store's exclusive claim and its worker threads are per process.
    pool: 'forks',
    // One more than the cores of a small machine: tests wait for threads and timers now and then.
    maxWorkers: 3,
    testTimeout: 60_000,
    hookTimeout: 60_000,
    server: { deps: { external: [/\/dist\//] } },
  },
});
