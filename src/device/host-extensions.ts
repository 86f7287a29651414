/**
 * What Node's `fs` lacks and `fs-native-extensions` has: file locks and hole punching. The package is optional; it is
 * loaded at first use, and where it cannot be loaded everything works without it, as the callers say.
 *
 * Setting EMMENTAL_NATIVE=off in the environment leaves it out, for tests and for hosts where its binary misbehaves.
 * Each thread loads it for itself.
 */
import { createRequire } from 'node:module';

export interface HostExtensions {
  /** Takes a lock on the whole open file (an OFD lock); false when another open file holds one. */
  tryLock(fd: number, options?: { shared?: boolean }): boolean;
  /** Deallocates a range of a file (its size stays) or of a block device; it reads as zeros then. */
  trimSync(fd: number, positionBytes: number, lengthBytes: number): void;
}

let loaded: HostExtensions | null | undefined;

export function hostExtensions(): HostExtensions | null {
  if (loaded === undefined) {
    loaded = null;
    if (process.env.EMMENTAL_NATIVE !== 'off') {
      try {
        loaded = createRequire(import.meta.url)('fs-native-extensions') as HostExtensions;
      } catch {
        // Not installed, or no binary for this host.
      }
    }
  }
  return loaded;
}
