/**
 * `emmental compare`: one job under several schemes. The runs are interleaved (A B, B A, A B …), so that whatever drifts on the
 * machine drifts for all; they share the device, the files, the seed and the state of the cache.
 */
import type { Command } from 'commander';
import { formatTable } from '../../src/cli/print.js';
import { UsageError } from '../../src/cli/usage-error.js';
import { schemes } from '../../src/index.js';
import { checkReportPath, writeReport } from '../report/report.js';
import { emit, failOnVerifyErrors, parseCommandLine } from '../workloads/command-line.js';
import { layOut, removeFiles } from '../workloads/files.js';
import { fioDocument } from '../workloads/fio-json.js';
import { openBenchDevice } from '../workloads/image.js';
import { Monitor } from '../workloads/monitor.js';
import { type Plan, totalBytes } from '../workloads/plan.js';
import { gainsFromHugePages, restartWithHugePages } from '../workloads/restart.js';
import type { RunResult } from '../workloads/result.js';
import type { RunContext } from '../workloads/run-context.js';
import { runScheme } from '../workloads/scheme-run.js';
import { formatCount } from '../workloads/summary.js';
import { describe, SUMMARY_HEAD, summaryRows } from './summary-table.js';
import { type DirectionSummary, type SchemeSummary, summarise, verdict } from './verdict.js';

export async function compare(args: string[], parent: Command, interruption: AbortSignal): Promise<void> {
  const plan = parseCommandLine('compare', args, parent, ['invalidate-lock', 'i-rwsem']);
  if (plan.run.scheme.length < 2) throw new UsageError("compare needs two schemes or more; 'emmental bench' runs one");
  checkReportPath(plan.run.report);
  if (gainsFromHugePages(plan) && (await restartWithHugePages(interruption))) return;
  const device = await openBenchDevice(plan.run.device, totalBytes(plan.jobs));
  const monitor = new Monitor();
  const context: RunContext = { device: device.path, plan, monitor, interruption };
  if (plan.run.monitor) monitor.say(`watch it by: emmental top ${device.path}`);
  try {
    monitor.say(`comparing ${plan.run.scheme.join(' and ')}: ${describe(plan)}`);
    const made = await layOut(context);
    try {
      const runs = await runInterleaved(context);
      const summaries = plan.run.scheme.map((scheme) => summarise(scheme, runs));
      emit(plan, report(plan, summaries, runs, device.path));
      await writeReport(context, {
        runs,
        summaries,
        verdict: verdict(summaries, plan.run.policy, schemes),
        isTemporary: device.isTemporary,
      });
      failOnVerifyErrors(runs);
    } finally {
      if (!device.isTemporary) await removeFiles(context, made);
    }
  } finally {
    monitor.stop();
    device.dispose();
  }
}

/** Forwards, then backwards, and so on: A B B A A B. */
export function runOrder(names: string[], repeats: number): string[] {
  return Array.from({ length: repeats }, (_, turn) => (turn % 2 === 0 ? names : [...names].reverse())).flat();
}

async function runInterleaved(context: RunContext): Promise<RunResult[]> {
  const { plan, monitor } = context;
  const order = runOrder(plan.run.scheme, plan.run.repeats);
  const runs: RunResult[] = [];
  for (const [index, scheme] of order.entries()) {
    monitor.setPrefix(`run ${index + 1} of ${order.length}, ${scheme}`);
    const run = await runScheme(context, scheme);
    const { read, write } = summarise(scheme, [run]);
    const rates = [rateOf('reads', read), rateOf('writes', write)].filter((text) => text !== '').join(', ');
    monitor.say(`run ${index + 1} of ${order.length}, ${scheme}: ${rates}`);
    runs.push(run);
  }
  return runs;
}

function rateOf(name: string, direction: DirectionSummary | null): string {
  return direction === null ? '' : `${formatCount(direction.iops.median)} ${name}/s`;
}

function report(plan: Plan, summaries: SchemeSummary[], runs: RunResult[], device: string): string {
  const { 'output-format': format, policy } = plan.run;
  const lines = verdict(summaries, policy, schemes);
  if (format === 'normal')
    return [`comparing ${plan.run.scheme.join(' and ')}: ${describe(plan)}`, table(summaries), ...lines].join('\n');
  const document = fioDocument(plan, runs, format === 'json+', device);
  return JSON.stringify({ ...document, comparison: { policy, schemes: summaries, verdict: lines } }, null, 2);
}

function table(summaries: SchemeSummary[]): string {
  return formatTable(SUMMARY_HEAD, summaryRows(summaries), SUMMARY_HEAD.slice(1));
}
