/** Files with the interface of the package `random-access-storage`, which it needs: `emmental/random-access-storage`. */

export {
  type RandomAccess,
  type RandomAccessOptions,
  type RandomAccessStat,
  randomAccess,
} from './adapters/random-access/random-access.js';
