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

/** Memory that was given back, for whoever borrows next. One list a thread: modules are not shared. */
const spares: Uint8Array<SharedArrayBuffer>[] = [];
const SPARES_MAX = 8;

/**
 * `lengthBytes` of such memory for a while; its content is whatever it was. Making memory costs system calls and address
 * space that only the garbage collector gives back, so what is needed again and again is borrowed.
 */
export function borrowAligned(lengthBytes: number): Uint8Array<SharedArrayBuffer> {
  for (let i = 0; i < spares.length; i++) {
    if (spares[i].buffer.byteLength < lengthBytes) continue;
    const [spare] = spares.splice(i, 1);
    return new Uint8Array(spare.buffer, 0, lengthBytes);
  }
  return allocateAligned(lengthBytes);
}

/** Gives borrowed memory back: no view of it may be used any more. */
export function returnAligned(memory: Uint8Array<SharedArrayBuffer>): void {
  spares.push(memory);
  spares.sort((a, b) => a.buffer.byteLength - b.buffer.byteLength);
  if (spares.length > SPARES_MAX) spares.shift();
}
