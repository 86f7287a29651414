/** A thread for `store.run`: calls a user's module with this thread's attachment to the store. */
export { runJob as default } from '../src/store/job.js';
