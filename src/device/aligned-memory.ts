/**
 * Memory that O_DIRECT can read into: the bytes of a shared WebAssembly memory, which is aligned to pages. Ordinary
 * buffers are not aligned, and the host refuses them with EINVAL.
 *
 * The memory is shared so that its views can be handed to other threads. It is freed when the last view is collected;
 * make few and keep them. Owns no state; any thread.
 */

const WASM_PAGE_BYTES = 65536;
/** What is carved shares memory of this size; more than a sixteenth of it gets memory of its own. */
const SLAB_BYTES = 1024 * 1024;
const CARVED_MAX = SLAB_BYTES / 16;
const ALIGNMENT = 4096;
let slab: Uint8Array = new Uint8Array(0);

/** `lengthBytes` zeroed bytes that start on a page. At most 4 GiB. */
export function allocateAligned(lengthBytes: number): Uint8Array<SharedArrayBuffer> {
  const pages = Math.max(1, Math.ceil(lengthBytes / WASM_PAGE_BYTES));
  const memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
  return new Uint8Array(memory.buffer, 0, lengthBytes);
}

/**
 * As `allocateAligned`, for small things that come and go: carved from memory that lives as long as anything in it, since
 * memory of its own costs two system calls, however little it is. Nobody may look at its `buffer` but through the view.
 */
export function carveAligned(lengthBytes: number): Uint8Array {
  if (lengthBytes > CARVED_MAX) return allocateAligned(lengthBytes);
  const taken = Math.ceil(lengthBytes / ALIGNMENT) * ALIGNMENT;
  if (slab.length < taken) slab = allocateAligned(SLAB_BYTES);
  const carved = slab.subarray(0, lengthBytes);
  slab = slab.subarray(taken);
  return carved;
}
