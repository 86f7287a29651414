/** All scenarios, in the order of the verdict table. A family is a file of scenarios/. */
import type { Scenario } from './scenario.js';
import { PUNCH } from './scenarios/punch.js';

export const scenarios: readonly Scenario[] = [...PUNCH];

export function scenarioByName(name: string): Scenario | undefined {
  return scenarios.find((scenario) => scenario.name === name);
}
