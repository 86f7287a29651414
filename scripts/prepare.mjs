// Makes a fresh clone ready for `npm start` and `npm test`: installs the locked dependencies when they are not there or
// older than the lock file, then builds.
import { execFileSync } from 'node:child_process';
import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';

const root = new URL('..', import.meta.url).pathname;
const lock = join(root, 'package-lock.json');
const installed = join(root, 'node_modules/.package-lock.json');
const run = (command, ...args) => execFileSync(command, args, { cwd: root, stdio: 'inherit' });

if (!existsSync(installed) || statSync(installed).mtimeMs < statSync(lock).mtimeMs) {
  run('npm', 'ci', '--no-audit', '--no-fund', '--loglevel=error');
}
run(process.execPath, join(root, 'scripts/build.mjs'));
