/** `emmental bench`: a workload under one scheme. */
import type { Command } from 'commander';
import { UsageError } from '../../src/cli/usage-error.js';
import { summarise } from '../compare/verdict.js';
import { checkReportPath, writeReport } from '../report/report.js';
import { emit, failOnVerifyErrors, parseCommandLine } from './command-line.js';
import { layOut, removeFiles } from './files.js';
import { fioDocument } from './fio-json.js';
import { openBenchDevice } from './image.js';
import { Monitor } from './monitor.js';
import { totalBytes } from './plan.js';
import { gainsFromHugePages, restartWithHugePages } from './restart.js';
import type { RunContext } from './run-context.js';
import { runScheme } from './scheme-run.js';
import { runTable, stormLines } from './summary.js';

export async function bench(args: string[], parent: Command, interruption: AbortSignal): Promise<void> {
  const plan = parseCommandLine('bench', args, parent, ['invalidate-lock']);
  if (plan.run.scheme.length > 1) throw new UsageError("bench runs one scheme; 'emmental compare' runs several");
  checkReportPath(plan.run.report);
  if (gainsFromHugePages(plan) && (await restartWithHugePages(interruption))) return;
  const device = await openBenchDevice(plan.run.device, totalBytes(plan.jobs));
  const monitor = new Monitor();
  const context: RunContext = { device: device.path, plan, monitor, interruption };
  if (plan.run.monitor) monitor.say(`watch it by: emmental top ${device.path}`);
  try {
    const made = await layOut(context);
    try {
      const run = await runScheme(context, plan.run.scheme[0]);
      const { 'output-format': format } = plan.run;
      if (format === 'normal') {
        const memory = run.stats.hugePages === true ? ', cache in huge pages' : '';
        const head = `scheme ${run.scheme}, rwsem policy ${run.policy}${memory}`;
        emit(plan, [head, runTable(run), ...stormLines(run)].join('\n'));
      } else {
        emit(plan, JSON.stringify(fioDocument(plan, [run], format === 'json+', device.path), null, 2));
      }
      const outcome = { runs: [run], summaries: [summarise(run.scheme, [run])], verdict: [] };
      await writeReport(context, { ...outcome, isTemporary: device.isTemporary });
      failOnVerifyErrors([run]);
    } finally {
      if (!device.isTemporary) await removeFiles(context, made);
    }
  } finally {
    monitor.stop();
    device.dispose();
  }
}
