/**
 * Races made to happen: something else is done right before a chosen atomic operation of the code under test, as another
 * thread might at that moment. The compiled code looks `Atomics` up at each call, so replacing its functions does it.
 */
type Operation = 'add' | 'sub' | 'or' | 'and' | 'compareExchange' | 'load' | 'store' | 'exchange';

/** Runs `action` with `meanwhile` done once, right before the first `operation` on the word at `word`; answers its result. */
export function meanwhileAt<T>(operation: Operation, word: number, meanwhile: () => void, action: () => T): T {
  const table = Atomics as unknown as Record<string, (...args: number[]) => number>;
  const original = table[operation];
  let fired = false;
  table[operation] = (...args) => {
    if (!fired && args[1] === word) {
      fired = true;
      table[operation] = original;
      meanwhile();
    }
    return original(...args);
  };
  let result: T;
  try {
    result = action();
  } finally {
    table[operation] = original;
  }
  if (!fired) throw new Error(`no Atomics.${operation} on word ${word}`);
  return result;
}
