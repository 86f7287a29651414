/**
 * fio's job files: sections in brackets, `option=value` lines, comments after `;` or `#` at a line's start.
 *
 * A [global] section holds for the jobs after it, and several add up. Every complaint names the file and the line.
 */
import { UsageError } from '../../src/cli/usage-error.js';
import { isRunOption, type OptionValues, setOption } from './option-table.js';

export interface JobFile {
  /** What [global] says of the whole run, and of every job. */
  global: OptionValues;
  /** In the file's order; each has the global options before it in it. */
  jobs: OptionValues[];
}

export function parseJobFile(content: string, path: string): JobFile {
  const file: JobFile = { global: {}, jobs: [] };
  let section: OptionValues | null = null;
  content.split('\n').forEach((raw, index) => {
    const line = raw.trim();
    if (line === '' || line.startsWith(';') || line.startsWith('#')) return;
    try {
      const name = sectionName(line);
      if (name === 'global') {
        section = file.global;
      } else if (name !== null) {
        section = { ...file.global, name };
        file.jobs.push(section);
      } else {
        if (section === null) throw new UsageError(`'${line}' stands before the first section`);
        parseOptionLine(line, section, section === file.global);
      }
    } catch (error) {
      if (error instanceof UsageError) throw new UsageError(`${path}:${index + 1}: ${error.message}`);
      throw error;
    }
  });
  if (file.jobs.length === 0) throw new UsageError(`${path}: no job in it; a job is a section such as [readers]`);
  return file;
}

/** The name in `[name]`; null for a line that is no section. */
function sectionName(line: string): string | null {
  if (!line.startsWith('[')) return null;
  const name = line.slice(1, -1).trim();
  if (!line.endsWith(']') || name === '') throw new UsageError(`'${line}' is no section`);
  return name;
}

function parseOptionLine(line: string, section: OptionValues, isGlobal: boolean): void {
  const equals = line.indexOf('=');
  const name = (equals < 0 ? line : line.slice(0, equals)).trim();
  const value = equals < 0 ? undefined : line.slice(equals + 1).trim();
  if (isRunOption(name) && !isGlobal) throw new UsageError(`'${name}' holds for all jobs; put it under [global]`);
  setOption(section, name, value);
}
