/** What a result was measured on, for whoever reads it elsewhere. */
import { arch, availableParallelism, cpus, release, totalmem, type } from 'node:os';
import { formatSize } from '../../src/cli/size.js';
import { packageVersion } from '../workloads/fio-json.js';
import type { Plan } from '../workloads/plan.js';
import type { RunResult } from '../workloads/result.js';

/** In the order in which it is shown. */
export type Environment = [name: string, value: string][];

export function describeEnvironment(
  plan: Plan,
  runs: readonly RunResult[],
  device: string,
  isTemporary: boolean,
): Environment {
  const model = cpus()[0]?.model ?? 'unknown';
  const { io, blockBytes } = runs[0].stats as { io: string; blockBytes: number };
  return [
    ['When', `${new Date().toISOString().replace(/\.\d+Z$/, 'Z')}`],
    ['Command', `emmental ${process.argv.slice(2).map(quoted).join(' ')}`],
    ['Emmental', packageVersion()],
    ['Node.js', process.versions.node],
    ['Processor', `${model}, ${availableParallelism()} logical (${arch()})`],
    ['Memory', formatSize(totalmem())],
    ['System', `${type()} ${release()}`],
    ['Device', isTemporary ? 'a temporary sparse image' : device],
    ['I/O', `${io}, blocks of ${formatSize(blockBytes)}`],
    ['Page cache', formatSize(plan.run.cache)],
    ['Lock policy', plan.run.policy],
  ];
}

function quoted(argument: string): string {
  return /^[\w./:=,@%+-]+$/.test(argument) ? argument : `'${argument}'`;
}
