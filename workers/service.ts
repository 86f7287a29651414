/** A service thread of a store: one long Piscina task. */
export { serve as default } from '../src/store/service.js';
