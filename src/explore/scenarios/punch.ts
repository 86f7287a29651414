/** A punch against everything that fills, dirties or writes back the page that it takes out. */
import type { Scenario } from '../scenario.js';

export const PUNCH: readonly Scenario[] = [
  {
    name: 'punch-read',
    family: 'punch',
    description: 'a read misses the page that is being punched',
    files: [{ name: 'victim', pages: 3 }],
    threads: [
      { name: 'puncher', operations: [{ kind: 'punch', file: 'victim', at: 1, length: 1 }] },
      { name: 'reader', operations: [{ kind: 'read', file: 'victim', at: 1, length: 1 }] },
    ],
  },
];
