// Compiles src, workers and bench into dist/, and removes what an earlier build left there of files that are gone.
import { execFileSync } from 'node:child_process';
import { chmodSync, existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';

const root = new URL('..', import.meta.url).pathname;
rmSync(join(root, 'dist'), { recursive: true, force: true });
execFileSync(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '-p', 'tsconfig.json'], {
  cwd: root,
  stdio: 'inherit',
});
const main = join(root, 'dist/src/cli/main.js');
if (existsSync(main)) chmodSync(main, 0o755);
