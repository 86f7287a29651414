/**
 * Shared memory in the host's huge pages, for what is large and read at random: the processor finds its way through it
 * with a thousandth of the translations.
 *
 * Linux gives huge pages to those who ask for them (`madvise`). A program in JavaScript cannot ask, but the C library can:
 * glibc, from 2.35 on, asks for every large allocation of a process that was started with the tunable `malloc.hugetlb`.
 * Array buffers are such allocations, and WebAssembly memories, which are page-aligned, are not. So an array buffer is
 * taken where the process was started like that, and its first aligned byte is found: the library keeps 16 bytes for itself
 * in front of a large allocation, which starts on a page.
 *
 * Owns no state; any thread.
 */
import { readFileSync } from 'node:fs';

/** The environment variable, and what stands in it beside other tunables. */
export const TUNABLES_VARIABLE = 'GLIBC_TUNABLES';
export const HUGE_PAGES_TUNABLE = 'glibc.malloc.hugetlb=1';
const POLICY_PATH = '/sys/kernel/mm/transparent_hugepage/enabled';
/** From here on the C library maps an allocation by itself, whatever it has learnt about the process. */
export const HUGE_FROM_BYTES = 32 * 1024 * 1024 + 65536;
/** The bytes in front of the first aligned one, where an allocation starts 16 bytes behind a page's start. */
const HEAD_BYTES = 4096 - 16;
const ALIGNMENT = 4096;

/** Whether this process asks for huge pages: how it was started. */
export function asksForHugePages(): boolean {
  return /(^|:)glibc\.malloc\.hugetlb=[12](:|$)/.test(process.env[TUNABLES_VARIABLE] ?? '') && hostHasHugePages();
}

/** Whether the host gives huge pages to those who ask. False where that is not known: other systems than Linux. */
export function hostHasHugePages(): boolean {
  try {
    return !readFileSync(POLICY_PATH, 'utf8').includes('[never]');
  } catch {
    return false;
  }
}

/**
 * Untouched zeroed memory of `lengthBytes`, a multiple of 4 KiB, behind a head that makes it page-aligned (`headOf`). Null
 * where the process does not ask for huge pages, and for less than some 32 MiB, which may lie anywhere.
 */
export function allocateHuge(lengthBytes: number): SharedArrayBuffer | null {
  if (lengthBytes < HUGE_FROM_BYTES || !asksForHugePages()) return null;
  return new SharedArrayBuffer(HEAD_BYTES + lengthBytes);
}

/** The bytes in front of the first aligned one: none, unless `allocateHuge` made it. */
export function headOf(buffer: SharedArrayBuffer): number {
  return buffer.byteLength % ALIGNMENT;
}
