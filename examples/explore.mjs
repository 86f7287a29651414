// The locking laboratory: every schedule of a small race, with a lock and without.
import { explore, replay } from 'emmental/explore';

const safe = explore('invalidate-lock', 'punch-read', { schedules: 200 });
console.log(safe.scheme, safe.failures.length); // invalidate-lock 0

const unsafe = explore('none', 'punch-read', { schedules: 2000, unsafe: true });
const [failure] = unsafe.failures;
console.log(unsafe.scheme, failure.kind); // none stale
console.log(replay(failure.schedule).failure.kind === failure.kind); // true
