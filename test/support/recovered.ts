/** What a reboot would find on a device. */
import type { Device } from '#dist/src/device/device.js';
import { recoverStore } from '#dist/src/store/recover-store.js';

/** The device as recovery would make it; itself untouched. */
export function recoveredView(device: Device): Device {
  return recoverStore(device, 0, true).device;
}

/** Recovers a device that somebody left without closing it. */
export function recoverInPlace(device: Device): void {
  recoverStore(device, 0, false);
}
