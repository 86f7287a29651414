/** A file as a plain array of bytes: what the engine must agree with, byte for byte and size for size. */

export class FileModel {
  size = 0;
  /** Bytes past the size are zeros. */
  private readonly all: Uint8Array;

  constructor(maxBytes: number) {
    this.all = new Uint8Array(maxBytes);
  }

  get bytes(): Uint8Array {
    return this.all.subarray(0, this.size);
  }

  read(position: number, length: number): Uint8Array {
    return this.all.subarray(Math.min(position, this.size), Math.min(position + length, this.size));
  }

  write(position: number, data: Uint8Array): void {
    this.all.set(data, position);
    this.grow(position + data.length);
  }

  truncate(size: number): void {
    if (size < this.size) this.all.fill(0, size, this.size);
    this.size = size;
  }

  zero(position: number, length: number): void {
    this.all.fill(0, position, Math.min(position + length, this.size));
  }

  grow(size: number): void {
    this.size = Math.max(this.size, size);
  }

  collapse(position: number, length: number): void {
    this.all.copyWithin(position, position + length, this.size);
    this.truncate(this.size - length);
  }

  insert(position: number, length: number): void {
    this.all.copyWithin(position + length, position, this.size);
    this.all.fill(0, position, position + length);
    this.size += length;
  }
}
