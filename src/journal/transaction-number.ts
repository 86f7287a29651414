/**
 * Numbers of transactions in 32-bit words. They wrap, so "at or after" is a signed difference, which holds as long as what
 * is compared lies within 2^31 transactions. 0 is skipped: it means "none".
 */

/** Whether `number` is at or after `wanted`. */
export function reached(number: number, wanted: number): boolean {
  return ((number - wanted) | 0) >= 0;
}

export function next(number: number): number {
  return ((number + 1) | 0) === 0 ? 1 : (number + 1) | 0;
}
