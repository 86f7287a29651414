/** A file as a plain array of bytes: what the engine must agree with, byte for byte and size for size. */

export class FileModel {
  bytes = new Uint8Array(0);

  get size(): number {
    return this.bytes.length;
  }

  private resize(size: number): void {
    const next = new Uint8Array(size);
    next.set(this.bytes.subarray(0, size));
    this.bytes = next;
  }

  read(position: number, length: number): Uint8Array {
    return this.bytes.subarray(Math.min(position, this.size), Math.min(position + length, this.size));
  }

  write(position: number, data: Uint8Array): void {
    if (position + data.length > this.size) this.resize(position + data.length);
    this.bytes.set(data, position);
  }

  truncate(size: number): void {
    this.resize(size);
  }

  zero(position: number, length: number): void {
    this.bytes.fill(0, Math.min(position, this.size), Math.min(position + length, this.size));
  }

  grow(size: number): void {
    if (size > this.size) this.resize(size);
  }

  collapse(position: number, length: number): void {
    const next = new Uint8Array(this.size - length);
    next.set(this.bytes.subarray(0, position));
    next.set(this.bytes.subarray(position + length), position);
    this.bytes = next;
  }

  insert(position: number, length: number): void {
    const next = new Uint8Array(this.size + length);
    next.set(this.bytes.subarray(0, position));
    next.set(this.bytes.subarray(position), position + length);
    this.bytes = next;
  }
}
