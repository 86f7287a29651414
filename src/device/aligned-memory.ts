/**
 * Memory that O_DIRECT can read into: the bytes of a shared WebAssembly memory, which is aligned to pages. Ordinary
 * buffers are not aligned, and the host refuses them with EINVAL.
 *
 * The memory is shared so that its views can be handed to other threads. It is freed when the last view is collected;
 * make few and keep them. Owns no state; any thread.
 */

const WASM_PAGE_BYTES = 65536;

/** `lengthBytes` zeroed bytes that start on a page. At most 4 GiB. */
export function allocateAligned(lengthBytes: number): Uint8Array<SharedArrayBuffer> {
  const pages = Math.max(1, Math.ceil(lengthBytes / WASM_PAGE_BYTES));
  const memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
  return new Uint8Array(memory.buffer, 0, lengthBytes);
}
