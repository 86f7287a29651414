/** How a process is started so that its stores gain from the host. Owns no state. */
import { HUGE_PAGES_TUNABLE, hostHasHugePages, TUNABLES_VARIABLE } from '../device/huge-pages.js';

/**
 * The environment variables to start a process with, beside others, so that the caches of its stores lie in huge pages:
 * `fork(script, { env: { ...process.env, ...hugePagesEnvironment() } })`. Null where there is nothing to gain: this process
 * has them already, or says itself what the C library shall do, or the host gives none. `Store.stats().hugePages` tells what
 * came of it.
 */
export function hugePagesEnvironment(): Record<string, string> | null {
  const tunables = process.env[TUNABLES_VARIABLE] ?? '';
  if (tunables.includes('glibc.malloc.hugetlb=') || !hostHasHugePages()) return null;
  return { [TUNABLES_VARIABLE]: tunables === '' ? HUGE_PAGES_TUNABLE : `${tunables}:${HUGE_PAGES_TUNABLE}` };
}
