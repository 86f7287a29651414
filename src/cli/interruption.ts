/**
 * Ctrl-C and SIGTERM: the first asks the running command to stop, so that it closes its store cleanly and removes what it
 * made; the second ends the process at once. Once the command has unwound, the process dies of that same signal, as a
 * shell expects.
 */
const controller = new AbortController();
let received: NodeJS.Signals | undefined;

/** Aborted at the first signal. */
export const interruption: AbortSignal = controller.signal;

export function watchSignals(): void {
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.on(signal, () => {
      if (received !== undefined) process.exit(1);
      received = signal;
      controller.abort(new Error(`interrupted by ${signal}`));
    });
  }
}

/** Ends the process by the signal that interrupted it, if one did. */
export function dieOfSignal(): void {
  if (received === undefined) return;
  process.removeAllListeners(received);
  process.kill(process.pid, received);
}
