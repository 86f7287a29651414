/** What the steps of a benchmark share, and how each of them opens the store. */
import { type OpenOptions, openStore, type SchemeName, type Store } from '../../src/index.js';
import type { Monitor } from './monitor.js';
import type { Plan } from './plan.js';

export interface RunContext {
  device: string;
  plan: Plan;
  monitor: Monitor;
  interruption: AbortSignal;
}

function openOptions(plan: Plan, scheme: string, more: OpenOptions): OpenOptions {
  return {
    scheme: scheme as SchemeName,
    cacheBytes: plan.run.cache,
    dirtyRatio: plan.run.dirty_ratio,
    commitIntervalMs: plan.run.commit_interval * 1000,
    rwsemPolicy: plan.run.policy,
    unsafe: plan.run.unsafe,
    monitor: plan.run.monitor,
    ...more,
  };
}

/** Opens the store for `use` and closes it; the first error is the one thrown. */
export async function withStore<T>(
  context: RunContext,
  scheme: string,
  use: (store: Store) => Promise<T>,
  more: OpenOptions = {},
): Promise<T> {
  const store = await openStore(context.device, openOptions(context.plan, scheme, more));
  let result: T;
  try {
    result = await use(store);
  } catch (error) {
    await store.close().catch(() => undefined);
    throw error;
  }
  await store.close();
  return result;
}
