/** The device that a path or a URI names, and the same device in another thread. */

import { isNbdUri } from '../nbd/uri.js';
import { HostDevice, type HostDeviceHandle, type OpenHostDeviceOptions, openHostDevice } from './host-device.js';
import { NbdDevice, type NbdDeviceHandle, openNbdDevice } from './nbd-device.js';

/** A device that can be opened, claimed and shared. */
export type OpenedDevice = HostDevice | NbdDevice;
export type DeviceHandle = HostDeviceHandle | NbdDeviceHandle;

export async function openDevice(path: string, options: OpenHostDeviceOptions = {}): Promise<OpenedDevice> {
  return isNbdUri(path) ? openNbdDevice(path, options) : openHostDevice(path, options);
}

export function deviceFromHandle(handle: DeviceHandle): OpenedDevice {
  return 'kind' in handle ? NbdDevice.fromHandle(handle) : HostDevice.fromHandle(handle);
}
