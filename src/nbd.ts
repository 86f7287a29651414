/** Files of a store as network block devices: `emmental/nbd`. */

export { NbdServer, type ServeNbdOptions, serveNbd } from './adapters/nbd/server.js';
export type { TlsOptions } from './adapters/nbd/tls.js';
