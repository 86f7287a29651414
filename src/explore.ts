/** The locking laboratory: `emmental/explore`. Scenarios, schedules and verdicts of the exploring driver. */

export {
  type ExploreOptions,
  explore,
  type Replayed,
  replay,
  type ShownFailure,
  STRATEGIES,
  type StrategyName,
  type Verdict,
} from './explore/explore.js';
export { drawPicture } from './explore/picture.js';
export type { Scenario, ScenarioFile, ScenarioOperation, ScenarioThread } from './explore/scenario.js';
export { scenarioByName, scenarios } from './explore/scenarios.js';
export { formatSchedule, parseSchedule, SCHEDULE_VERSION, type Schedule } from './explore/schedule.js';
export type { SourceLine } from './explore/source-line.js';
export type { BlockView, HeldLock, PageView, TraceEvent } from './explore/trace.js';
export { FAILURE_KINDS, type Failure, type FailureKind } from './explore/verdict.js';
export {
  formatCell,
  formatTables,
  parseCell,
  readTables,
  replaceTables,
  type TableCell,
} from './explore/verdict-table.js';
