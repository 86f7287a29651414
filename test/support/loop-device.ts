/** Loop devices for tests that need a real block device. They need root and losetup; elsewhere such tests are skipped. */
import { execFileSync } from 'node:child_process';

function losetup(...args: string[]): string {
  return execFileSync('losetup', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] }).trim();
}

/** Attaches a file; the caller detaches. */
export function attachLoop(file: string, ...options: string[]): string {
  return losetup('-f', '--show', ...options, file);
}

export function detachLoop(device: string): void {
  losetup('-d', device);
}

/** Why loop devices cannot be used here, or null when they can. */
export function noLoopDevices(probeFile: string): string | null {
  try {
    detachLoop(attachLoop(probeFile));
    return null;
  } catch (error) {
    return String((error as { stderr?: string }).stderr || (error as Error).message).trim();
  }
}
