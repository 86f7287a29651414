/** Programs of the host that tests use. A test whose program is missing says so in its name, and is skipped. */
import { execFile, spawnSync } from 'node:child_process';
import { it } from 'vitest';

/** Those of `programs` that the host does not have. */
export function missingPrograms(programs: readonly string[]): string[] {
  return programs.filter((program) => spawnSync('sh', ['-c', `command -v ${program}`]).status !== 0);
}

/** A test that needs programs, and perhaps something more that `hindrance` finds missing. */
export function itWith(
  programs: readonly string[],
  name: string,
  test: () => Promise<void>,
  hindrance: () => string | null = () => null,
): void {
  const missing = missingPrograms(programs);
  const reason = missing.length > 0 ? `missing: ${missing.join(', ')}` : hindrance();
  if (reason === null) it(name, test);
  else it.skip(`${name} (${reason})`, test);
}

export interface Ran {
  code: number;
  stdout: string;
  stderr: string;
}

/** Runs a program to its end, whatever that is. */
export function run(program: string, args: readonly string[], env: Record<string, string> = {}): Promise<Ran> {
  return new Promise((resolve) => {
    execFile(
      program,
      args,
      { env: { ...process.env, ...env }, timeout: 50_000, maxBuffer: 64 * 1024 * 1024 },
      (error, stdout, stderr) => {
        const code = error === null ? 0 : typeof error.code === 'number' ? error.code : -1;
        resolve({ code, stdout, stderr });
      },
    );
  });
}

/** Runs a program that must succeed; its standard output. */
export async function succeed(program: string, args: readonly string[], env?: Record<string, string>): Promise<string> {
  const { code, stdout, stderr } = await run(program, args, env);
  if (code !== 0) throw new Error(`${program} ${args.join(' ')} ended with ${code}: ${stderr}${stdout}`);
  return stdout;
}
