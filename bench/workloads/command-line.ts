/** The command lines of `bench` and `compare`: a job file, and the options of the table, that win over it. */
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { Command } from 'commander';
import { printLine } from '../../src/cli/print.js';
import { UsageError } from '../../src/cli/usage-error.js';
import { schemes } from '../../src/index.js';
import { type JobFile, parseJobFile } from './job-file.js';
import { FIXED, OPTIONS, type OptionValues, setOption } from './option-table.js';
import { makePlan, type Plan } from './plan.js';
import type { RunResult } from './result.js';

/** Parses `args` into a plan. `parent` lends its manner of complaining; `--help` ends the command through it. */
export function parseCommandLine(name: string, args: string[], parent: Command, defaultSchemes: string[]): Plan {
  const values: OptionValues = {};
  let file: JobFile | null = null;
  let isReadOnce = false;
  const command = new Command(`emmental ${name}`)
    .copyInheritedSettings(parent)
    .usage('[jobfile] [options]')
    .description(`Options are fio's, with fio's meanings, and some of our own (schemes, storms, device).`)
    .argument('[jobfile]', "a job file in fio's format; options on the command line win over it")
    .action((path: string | undefined) => {
      if (path === undefined) return;
      file = parseJobFile(readFileSync(path, 'utf8'), path);
      isReadOnce = !statSync(path).isFile();
    });
  for (const [option, { help, form, bare, aliases }] of Object.entries(OPTIONS)) {
    const value = bare === undefined ? `<${form ?? option}>` : `[${form ?? option}]`;
    const set = (given: string | boolean) => setOption(values, option, given === true ? undefined : String(given));
    command.option(`--${option} ${value}`, help).on(`option:${option}`, (given: string | null) => set(given ?? true));
    for (const alias of aliases ?? []) hiddenOption(command, alias, value, set);
  }
  for (const option of Object.keys(FIXED)) {
    hiddenOption(command, option, '[value]', (given) =>
      setOption(values, option, given === true ? undefined : String(given)),
    );
  }
  command.option('--json', 'the same as --output-format=json').on('option:json', () => {
    values['output-format'] = 'json';
  });
  command.parse(args, { from: 'user' });
  const plan = makePlan(values, file, defaultSchemes);
  // A process started for huge pages could not read it again.
  if (isReadOnce) plan.run.hugepages = false;
  checkSchemes(plan.run.scheme, plan.run.unsafe);
  return plan;
}

function hiddenOption(command: Command, name: string, value: string, set: (given: string | boolean) => void): void {
  command.addOption(command.createOption(`--${name} ${value}`).hideHelp());
  command.on(`option:${name}`, (given: string | null) => set(given ?? true));
}

function checkSchemes(names: string[], isUnsafeAllowed: boolean): void {
  const known: string[] = schemes.map((scheme) => scheme.name);
  for (const name of names) {
    if (!known.includes(name)) throw new UsageError(`scheme must be one of ${known.join(', ')}, not '${name}'`);
    const breaks = schemes.find((scheme) => scheme.name === name)?.breaks ?? null;
    if (breaks === null || isUnsafeAllowed) continue;
    throw new UsageError(`scheme '${name}' is unsafe: ${breaks}; --unsafe runs it all the same`);
  }
}

/** Writes the result where the plan says. */
export function emit(plan: Plan, text: string): void {
  if (plan.run.output === '') printLine(text);
  else writeFileSync(plan.run.output, `${text}\n`);
}

/** Fails the command when data came back wrong. */
export function failOnVerifyErrors(runs: RunResult[]): void {
  const [first, ...more] = runs.flatMap((run) => run.verifyErrors.map((error) => `${error} (scheme ${run.scheme})`));
  if (first === undefined) return;
  throw new Error(`verify failed: ${first}${more.length > 0 ? `, and ${more.length} more` : ''}`);
}
