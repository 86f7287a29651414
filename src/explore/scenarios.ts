/** All scenarios, in the order of the verdict table. A family is a file of scenarios/. */
import type { Scenario } from './scenario.js';
import { ATOMICITY } from './scenarios/atomicity.js';
import { CALLBACK } from './scenarios/callback.js';
import { DEATH } from './scenarios/death.js';
import { FAILING_WRITE } from './scenarios/failing-write.js';
import { FULL_LOG } from './scenarios/full-log.js';
import { PUNCH } from './scenarios/punch.js';
import { RECLAIM } from './scenarios/reclaim.js';
import { REUSE } from './scenarios/reuse.js';
import { SHIFT } from './scenarios/shift.js';
import { TRUNCATE } from './scenarios/truncate.js';
import { TWO_PUNCHES } from './scenarios/two-punches.js';
import { WRITEBACK } from './scenarios/writeback.js';

export const scenarios: readonly Scenario[] = [
  ...PUNCH,
  ...TRUNCATE,
  ...SHIFT,
  ...TWO_PUNCHES,
  ...RECLAIM,
  ...REUSE,
  ...WRITEBACK,
  ...FAILING_WRITE,
  ...FULL_LOG,
  ...CALLBACK,
  ...ATOMICITY,
  ...DEATH,
];

export function scenarioByName(name: string): Scenario | undefined {
  return scenarios.find((scenario) => scenario.name === name);
}
