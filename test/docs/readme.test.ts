/** The README: its example is a file that runs and prints what it says; and commands in all documents exist. */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parseJobFile } from '#dist/bench/workloads/job-file.js';
import { OPTIONS, type OptionValues, setOption } from '#dist/bench/workloads/option-table.js';
import { createProgram } from '#dist/src/cli/program.js';
import { temporaryDirectory } from '../support/temporary.js';
import { codeBlocks, DOCUMENTS, quoted, ROOT, read, section, tableRows } from './markdown.js';

const EXAMPLE = 'examples/readme.mjs';
const directory = temporaryDirectory();

describe('the README', () => {
  const [example, printed] = codeBlocks(section(read('README.md'), 'Example'));

  it('shows an example that is a file', () => {
    expect(example.language).toBe('js');
    expect(example.code).toBe(read(EXAMPLE));
    expect(example.code.trim().split('\n').length).toBeLessThanOrEqual(20);
  });

  it('says what the example prints', () => {
    const output = execFileSync(process.execPath, [join(ROOT, EXAMPLE)], { cwd: directory, encoding: 'utf8' });
    expect(printed.code).toBe(output);
  });
});

describe('commands in the documents', async () => {
  const scripts = Object.keys((JSON.parse(read('package.json')) as { scripts: object }).scripts);
  const commands = (await createProgram()).commands.map((command) => command.name());

  it.each(DOCUMENTS)('%s: exist', (path) => {
    const text = read(path);
    const shell = codeBlocks(text)
      .filter(({ language }) => language === 'sh')
      .flatMap(({ code }) => code.split('\n'));
    const unknown: string[] = [];
    for (const line of [...shell, ...quoted(text)]) {
      const [, script] = /\bnpm (?:run )?([\w:-]+)/.exec(line) ?? [];
      if (script !== undefined && !scripts.includes(script) && !['ci', 'install'].includes(script)) unknown.push(line);
      const [, command] = /^emmental ([a-z]+)/.exec(line) ?? [];
      if (command !== undefined && ![...commands, 'help'].includes(command)) unknown.push(line);
    }
    expect(unknown).toEqual([]);
  });

  it('options and job files of the benchmarks are what the command takes', () => {
    for (const { language, code } of DOCUMENTS.flatMap((path) => codeBlocks(read(path)))) {
      if (language === 'ini') expect(parseJobFile(code, 'job file').jobs.length).toBeGreaterThan(0);
      if (language !== 'sh') continue;
      for (const line of code.split('\n').filter((text) => /^emmental (bench|compare) /.test(text))) {
        const values: OptionValues = {};
        for (const [, name, value] of line.matchAll(/--([\w-]+)(?:=(\S+))?/g)) setOption(values, name, value);
        expect(Object.keys(values).length, line).toBeGreaterThan(0);
      }
    }
    for (const [, name] of read('docs/benchmarks.md').matchAll(/`--([a-z_]+)(?:=[^`]*)?`/g)) {
      if (!['help', 'quick'].includes(name)) expect(OPTIONS, name).toHaveProperty(name);
    }
  });

  it('docs/benchmarks.md names every suite of npm run bench', () => {
    const [, suites] = /^const SUITES.*? = \{\n(.*?)\n\};/ms.exec(read('bench/micro/main.ts'))!;
    const names = [...suites.matchAll(/^ {2}(\w+)/gm)].map(([, name]) => name);
    const rows = tableRows(section(read('docs/benchmarks.md'), 'The parts, each beside its limit'));
    expect(rows.map(([name]) => name)).toEqual(names.map((name) => `\`${name}\``));
  });

  it('the README names every command', () => {
    const named = quoted(read('README.md')).map((code) => code.replace(/^emmental /, ''));
    for (const command of commands) expect(named).toContain(command);
  });
});
