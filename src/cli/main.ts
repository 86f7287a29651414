#!/usr/bin/env node
import { dieOfSignal, watchSignals } from './interruption.js';
import { runCommand } from './program.js';

// `emmental ls … | head` closes our standard output early; that is no failure.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0);
  throw error;
});
watchSignals();
process.exitCode = await runCommand(process.argv.slice(2));
dieOfSignal();
