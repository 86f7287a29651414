// Breaks the engine a little, one sabotage at a time (scripts/sabotages.mjs), and sees who notices: the exploring driver, or the
// tests that the sabotage names. Prints a table and the score; exits with 1 where something was missed that should not be.
//
//   node scripts/mutation-check.mjs [NAME…]
//   --seconds N    how long the scenarios of a sabotage may take, and each test folder (60)
//   --schedules N  schedules of a scenario, at most (2000)
//   --list         names and what they break
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { plant } from './edited-files.mjs';
import { SabotagedCopy } from './sabotaged-copy.mjs';
import { SABOTAGES } from './sabotages.mjs';

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    seconds: { type: 'string', default: '60' },
    schedules: { type: 'string', default: '2000' },
    list: { type: 'boolean', default: false },
    // How the script calls itself, in a process of its own for each sabotage: what was imported stays what it was.
    explore: { type: 'string' },
  },
});

/** The first of the scenarios in which something goes wrong, as JSON; null where nothing does. */
async function exploreHere(root, cells) {
  const { explore } = await import(pathToFileURL(join(root, 'dist/src/explore.js')).href);
  for (const cell of cells) {
    const [scenario, scheme = 'invalidate-lock'] = cell.split(' under ');
    let failure;
    try {
      [failure] = explore(scheme, scenario, { schedules: Number(options.schedules) }).failures;
    } catch (error) {
      // The scenario could not even be set up, or the driver itself came to grief.
      failure = { kind: 'thrown', message: String(error), schedule: '-' };
    }
    if (failure !== undefined) return { cell, ...failure };
  }
  return null;
}

/** As spawnSync; what ran too long is ended with all the processes that it started, which may be in a loop without an end. */
function runToEnd(args, options) {
  const { pid, ...result } = spawnSync(process.execPath, args, { encoding: 'utf8', detached: true, ...options });
  if (result.signal !== null) {
    try {
      process.kill(-pid, 'SIGKILL');
    } catch (error) {
      if (error.code !== 'ESRCH') throw error;
    }
  }
  return result;
}

/** The same in a process of its own. A loop without an end in the engine is one more way to be noticed. */
function exploreIn(root, cells, seconds = Number(options.seconds)) {
  if (cells.length === 0) return null;
  const args = [import.meta.filename, '--explore', root, '--schedules', options.schedules, '--', ...cells];
  const { status, signal, stdout, stderr } = runToEnd(args, { timeout: seconds * 1000 });
  if (signal !== null)
    return { cell: cells.join(', '), kind: 'hangs', message: `no end after ${seconds} s`, schedule: '-' };
  if (status !== 0) throw new Error(`exploring ended with ${status}:\n${stderr}`);
  return JSON.parse(stdout);
}

/** The first test that fails. A run that takes too long is no answer. */
function testIn(root, paths) {
  for (const path of paths) {
    const args = [join(root, 'node_modules/vitest/vitest.mjs'), 'run', path, '--bail=1', '--reporter=json'];
    const { status, signal, stdout } = runToEnd(args, {
      cwd: root,
      timeout: Number(options.seconds) * 1000,
      stdio: ['ignore', 'pipe', 'ignore'],
      maxBuffer: 2 ** 26,
    });
    if (signal !== null || status === 0) continue;
    const report = JSON.parse(stdout.slice(stdout.indexOf('{')));
    const files = report.testResults ?? [];
    const failed = files.flatMap(({ assertionResults }) => assertionResults).find((test) => test.status === 'failed');
    return {
      test: path,
      message: failed?.fullName ?? files.find((file) => file.status === 'failed')?.message ?? 'it fails',
    };
  }
  return null;
}

function tryOne(copy, { edits, explore = [], tests = [] }) {
  const started = performance.now();
  const restore = plant(copy.root, edits);
  try {
    copy.compile();
    const found = exploreIn(copy.root, explore) ?? testIn(copy.root, tests);
    return { found, seconds: (performance.now() - started) / 1000 };
  } finally {
    restore();
  }
}

/** Whether the scenarios find nothing in the engine as it is. */
function isSound(copy, chosen) {
  copy.compile();
  const cells = [...new Set(chosen.flatMap(({ explore = [] }) => explore))];
  const found = exploreIn(copy.root, cells, cells.length * Number(options.seconds));
  if (found !== null) console.error(`as it is, ${found.cell} fails: ${found.kind}: ${found.message}`);
  return found === null;
}

function describe(found) {
  if (found === null) return ['nobody', ''];
  if ('test' in found) return [found.test, found.message];
  return [found.cell, `${found.kind} \`${found.schedule.split(':').at(-1) || 'A'}\``];
}

function main() {
  const unknown = positionals.filter((name) => !SABOTAGES.some((sabotage) => sabotage.name === name));
  if (unknown.length > 0) {
    console.error(`no sabotage ${unknown.join(', ')}; there are ${SABOTAGES.map(({ name }) => name).join(', ')}`);
    return 2;
  }
  const chosen = SABOTAGES.filter(({ name }) => positionals.length === 0 || positionals.includes(name));
  if (options.list) {
    for (const { name, what } of chosen) console.log(`${name}: ${what}`);
    return 0;
  }
  const copy = new SabotagedCopy({ withTests: chosen.some(({ tests = [] }) => tests.length > 0) });
  let explored = 0;
  let tested = 0;
  let wrong = 0;
  try {
    if (!isSound(copy, chosen)) return 1;
    console.log('| sabotage | caught by | what it saw | seconds |\n| --- | --- | --- | ---: |');
    for (const sabotage of chosen) {
      const { found, seconds } = tryOne(copy, sabotage);
      const [by, saw] = describe(found);
      if (found !== null && 'cell' in found) explored++;
      else if (found !== null) tested++;
      if ((found === null) !== (sabotage.survives !== undefined)) wrong++;
      console.log(`| \`${sabotage.name}\`: ${sabotage.what} | ${by} | ${saw} | ${seconds.toFixed(1)} |`);
    }
  } finally {
    copy.remove();
  }
  const caught = explored + tested;
  console.log(`\n${caught} of ${chosen.length} caught: ${explored} by scenarios, ${tested} by tests`);
  return wrong === 0 ? 0 : 1;
}

if (options.explore !== undefined) console.log(JSON.stringify(await exploreHere(options.explore, positionals)));
else process.exitCode = main();
