// Opens a device in a process of its own: `node claimant.mjs PATH [read-only]`. Prints one line of JSON, then keeps the
// device open until its standard input ends, when it closes it, or until it is killed.
import { openHostDevice } from '../../dist/src/device/host-device.js';

const [path, mode] = process.argv.slice(2);
try {
  const device = openHostDevice(path, { readOnly: mode === 'read-only' });
  const { sizeBytes, io, canDiscard, claimedBy } = device;
  console.log(JSON.stringify({ sizeBytes, io, canDiscard, claimedBy }));
  process.stdin.resume();
  process.stdin.on('end', () => device.close());
} catch (error) {
  console.log(JSON.stringify({ code: error.code, message: error.message }));
}
