// A copy of the checkout in which the engine may be broken (edited-files.mjs) and compiled. The checkout itself is only read.
import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

const ROOT = resolve(import.meta.dirname, '..');
/** What compiles, and what the tests want besides. */
const COPIED = ['src', 'bench', 'package.json'];
const COPIED_FOR_TESTS = ['workers', 'test', 'scripts', 'docs', 'vitest.config.ts'];

export class SabotagedCopy {
  constructor({ withTests }) {
    this.root = mkdtempSync(join(tmpdir(), 'emmental-mutation-'));
    for (const name of withTests ? [...COPIED, ...COPIED_FOR_TESTS] : COPIED) {
      cpSync(join(ROOT, name), join(this.root, name), { recursive: true });
    }
    symlinkSync(join(ROOT, 'node_modules'), join(this.root, 'node_modules'));
    const config = JSON.parse(readFileSync(join(ROOT, 'tsconfig.json'), 'utf8'));
    // What a sabotage leaves unused is no mistake of its own.
    Object.assign(config.compilerOptions, { noUnusedLocals: false, noUnusedParameters: false, declaration: false });
    Object.assign(config.compilerOptions, { incremental: true, tsBuildInfoFile: 'tsbuildinfo' });
    config.include = withTests ? ['src', 'workers', 'bench'] : ['src'];
    writeFileSync(join(this.root, 'tsconfig.json'), JSON.stringify(config));
  }

  compile() {
    const args = [join(ROOT, 'node_modules/typescript/bin/tsc'), '-p', 'tsconfig.json'];
    const { status, stdout } = spawnSync(process.execPath, args, { cwd: this.root, encoding: 'utf8' });
    if (status !== 0) throw new Error(`the sabotaged code does not compile:\n${stdout}`);
  }

  remove() {
    rmSync(this.root, { recursive: true, force: true });
  }
}
