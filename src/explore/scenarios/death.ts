/**
 * A thread that ends at any of its yields, holding whatever it holds there. The other one must come to an end: with an error
 * when something was held, without noticing when nothing was. And what is on the device must be fit to be repaired.
 */
import type { Scenario, ScenarioOperation } from '../scenario.js';
import { VICTIM } from './against.js';

function death(name: string, what: string, dying: readonly ScenarioOperation[], other: ScenarioOperation): Scenario {
  return {
    name: `death-${name}`,
    family: 'death',
    description: `${what} dies at any yield, beside a thread on the same page`,
    files: [{ name: VICTIM, pages: 3, dirty: [2] }],
    threads: [
      { name: 'mortal', operations: dying, mortal: true },
      { name: 'survivor', operations: [other] },
    ],
  };
}

const read = { kind: 'read', file: VICTIM, at: 1, length: 1 } as const;
const punch = { kind: 'punch', file: VICTIM, at: 1, length: 1 } as const;
const write = { kind: 'write', file: VICTIM, at: 1.25, length: 0.25 } as const;

export const DEATH: readonly Scenario[] = [
  death('punch', 'a punch', [punch], read),
  death('read', 'a read', [read], punch),
  death('write', 'a write', [write], read),
  death('mkwrite', 'a write through a mapping', [{ kind: 'mkwrite', file: VICTIM, at: 1.25, length: 0.25 }], punch),
  death('sync', 'a sync', [{ kind: 'sync', file: VICTIM }], write),
  death('collapse', 'a collapse', [{ kind: 'collapse', file: VICTIM, at: 0, length: 1 }], read),
];
