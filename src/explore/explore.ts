/**
 * Exploring: one scenario under one scheme, by one strategy; and playing one schedule again.
 *
 * What is fixed for users is here; how it is done stands in execution.ts (one schedule), exhaustive.ts and random.ts (which
 * ones), shrink.ts. One thread; nothing else may run meanwhile, since the functions of `Atomics` are replaced.
 */
import { StoreError } from '../errors.js';
import type { Scheme } from '../locking/scheme.js';
import { schemeByName, schemes } from '../locking/schemes.js';
import { Execution } from './execution.js';
import { type Found, type SearchResult, searchExhaustively } from './exhaustive.js';
import { searchRandomly } from './random.js';
import { Replay } from './replay.js';
import type { Scenario } from './scenario.js';
import { scenarioByName, scenarios } from './scenarios.js';
import { formatSchedule, parseSchedule } from './schedule.js';
import { shrink } from './shrink.js';
import { type TraceEvent, Tracer } from './trace.js';
import { FAILURE_KINDS, type Failure } from './verdict.js';
import { World } from './world.js';

export const STRATEGIES = ['exhaustive', 'random'] as const;
export type StrategyName = (typeof STRATEGIES)[number];

export interface ExploreOptions {
  /** By default exhaustive; random for scenarios whose steps take time. */
  strategy?: StrategyName;
  /** Of the exhaustive strategy: preemptions of a schedule, at most; by default 2. */
  preemptions?: number;
  /** Schedules run to their end, at most; by default 100,000, or 1,000 random ones. */
  schedules?: number;
  /** Of the random strategy. */
  seed?: number;
  /** Unsafe schemes are refused without it. */
  unsafe?: boolean;
  /** Told of each schedule that was run or cut off. */
  onSchedule?: () => void;
}

/** What exploring one scenario under one scheme came to. */
export interface Verdict {
  readonly scheme: string;
  readonly scenario: string;
  readonly strategy: StrategyName;
  /** Run to their end, and cut off because they came to what had been tried. */
  readonly schedules: number;
  readonly pruned: number;
  readonly steps: number;
  /** Ended because there was nothing left to try, and not at the limit. */
  readonly isComplete: boolean;
  /** Everything with so many preemptions was tried; Infinity when there are no other schedules, -1 when the limit came first. */
  readonly bound: number;
  /** The first of each kind, the worst first; none where all schedules were right. */
  readonly failures: readonly ShownFailure[];
  readonly milliseconds: number;
}

export interface ShownFailure extends Failure {
  /** The schedule that shows it, made as short as it goes. */
  readonly schedule: string;
}

const DEFAULT_PREEMPTIONS = 2;
const DEFAULT_SCHEDULES = { exhaustive: 100_000, random: 1000 } as const;

export function explore(schemeName: string, scenarioName: string, options: ExploreOptions = {}): Verdict {
  const scheme = findScheme(schemeName);
  const scenario = findScenario(scenarioName);
  if (!scheme.safe && options.unsafe !== true) throw refusal(scheme);
  // Where every step takes time there are too many different schedules to try all.
  const strategy = options.strategy ?? (scenario.stepMs === undefined ? 'exhaustive' : 'random');
  const started = performance.now();
  const run = new Execution(new World(scenario, scheme));
  const result = search(run, strategy, options);
  const failures = result.found.map((found) => show(run, found));
  return {
    scheme: scheme.name,
    scenario: scenario.name,
    strategy,
    schedules: result.schedules,
    pruned: result.pruned,
    steps: result.steps,
    isComplete: result.isComplete,
    bound: result.bound,
    failures: failures.sort((a, b) => FAILURE_KINDS.indexOf(a.kind) - FAILURE_KINDS.indexOf(b.kind)),
    milliseconds: performance.now() - started,
  };
}

/** The failure as its shortest schedule shows it. */
function show(run: Execution, { failure, choices }: Found): ShownFailure {
  const { scheme, scenario } = run.world;
  const short = shrink(run, failure, choices);
  const shown = run.run(new Replay(short)) ?? failure;
  return { ...shown, schedule: formatSchedule({ scheme: scheme.name, scenario: scenario.name, choices: short }) };
}

function search(run: Execution, strategy: StrategyName, options: ExploreOptions): SearchResult {
  const { preemptions = DEFAULT_PREEMPTIONS, schedules = DEFAULT_SCHEDULES[strategy], seed = 1, onSchedule } = options;
  const told = (): boolean => {
    onSchedule?.();
    return true;
  };
  if (strategy === 'random') return searchRandomly(run, { schedules, seed, onSchedule: told });
  return searchExhaustively(run, { preemptions, schedules, onSchedule: told });
}

/** One schedule played again. */
export interface Replayed {
  readonly scheme: string;
  readonly scenario: Scenario;
  readonly schedule: string;
  readonly failure: Failure | null;
  readonly events: readonly TraceEvent[];
}

/** Plays a schedule again, and says what happened step by step. Needs no permission: it has been found already. */
export function replay(text: string): Replayed {
  const schedule = parseSchedule(text);
  const scheme = findScheme(schedule.scheme);
  const scenario = findScenario(schedule.scenario);
  const run = new Execution(new World(scenario, scheme));
  const tracer = new Tracer();
  run.listener = tracer;
  const player = new Replay(schedule.choices);
  const failure = run.run(player);
  if (player.misfit !== null) throw invalid(`the schedule does not fit the scenario: ${player.misfit}`);
  return { scheme: scheme.name, scenario, schedule: text, failure, events: tracer.events };
}

function findScheme(name: string): Scheme {
  const scheme = schemeByName(name);
  if (scheme !== undefined) return scheme;
  throw invalid(`unknown scheme '${name}'; there are ${schemes.map((other) => other.name).join(', ')}`);
}

function findScenario(name: string): Scenario {
  const scenario = scenarioByName(name);
  if (scenario !== undefined) return scenario;
  throw invalid(`unknown scenario '${name}'; there are ${scenarios.map((other) => other.name).join(', ')}`);
}

function refusal({ name, breaks, description }: Scheme): StoreError {
  return invalid(`scheme '${name}' is not safe: ${breaks ?? description}; explore it with --unsafe`);
}

function invalid(detail: string): StoreError {
  return new StoreError('EINVAL', { syscall: 'explore', detail });
}
