/**
 * The effects that ask for device I/O, and the driver of routines that want nothing else.
 *
 * A `Task` is one; so is who has the device alone and no arena yet: recovery at open, and the checker. Each owns one
 * `Effect`, which it fills in and yields, so that yielding allocates nothing.
 */
import { assert, unreachable } from '../assert.js';
import type { Device } from '../device/device.js';
import { Effect, EffectKind, IoKind, type Routine } from './effect.js';

const NO_BUFFERS: Uint8Array[] = [];

export class DeviceEffects {
  protected readonly effect = new Effect();

  read(device: Device, buffers: Uint8Array[], positionBytes: number): Effect {
    return this.io(IoKind.Read, device, buffers, positionBytes, 0);
  }

  write(device: Device, buffers: Uint8Array[], positionBytes: number): Effect {
    return this.io(IoKind.Write, device, buffers, positionBytes, 0);
  }

  flush(device: Device): Effect {
    return this.io(IoKind.Flush, device, NO_BUFFERS, 0, 0);
  }

  discard(device: Device, positionBytes: number, lengthBytes: number): Effect {
    return this.io(IoKind.Discard, device, NO_BUFFERS, positionBytes, lengthBytes);
  }

  private io(kind: IoKind, device: Device, buffers: Uint8Array[], positionBytes: number, lengthBytes: number): Effect {
    const e = this.effect;
    e.kind = EffectKind.Io;
    e.io = kind;
    e.device = device;
    e.buffers = buffers;
    e.positionBytes = positionBytes;
    e.lengthBytes = lengthBytes;
    return e;
  }
}

/** Calls the device for an I/O effect; its answer. */
export function transfer(effect: Effect): number {
  const { device } = effect;
  assert(device !== null, 'an I/O effect names its device');
  switch (effect.io) {
    case IoKind.Read:
      return device.read(effect.buffers, effect.positionBytes);
    case IoKind.Write:
      return device.write(effect.buffers, effect.positionBytes);
    case IoKind.Flush:
      device.flush();
      return 0;
    case IoKind.Discard:
      device.discard(effect.positionBytes, effect.lengthBytes);
      return 0;
  }
}

/** Runs a routine that yields nothing but I/O to its end, on the calling thread. */
export function runOnDevice<T>(routine: Routine<T>): T {
  let step = routine.next(0);
  while (step.done !== true) {
    if (step.value.kind !== EffectKind.Io) unreachable('a routine of the device waits for something else');
    let answer: number;
    try {
      answer = transfer(step.value);
    } catch (error) {
      step = routine.throw(error);
      continue;
    }
    step = routine.next(answer);
  }
  return step.value;
}
