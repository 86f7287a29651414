/** What the package, which has no types, gives to those who extend it. */
declare module 'random-access-storage' {
  import { EventEmitter } from 'node:events';

  class RandomAccessStorage extends EventEmitter {
    readonly opened: boolean;
    readonly suspended: boolean;
    readonly closed: boolean;
    readonly unlinked: boolean;
    /** Whether a write has been asked for. */
    readonly writing: boolean;
    readonly readable: boolean;
    readonly writable: boolean;
    readonly deletable: boolean;
    readonly truncatable: boolean;
    readonly statable: boolean;
    read(offset: number, size: number, callback: (error: Error | null, data?: Buffer) => void): void;
    write(offset: number, data: Uint8Array, callback?: (error: Error | null) => void): void;
    del(offset: number, size: number, callback?: (error: Error | null) => void): void;
    truncate(offset: number, callback?: (error: Error | null) => void): void;
    stat(callback: (error: Error | null, stat?: unknown) => void): void;
    open(callback?: (error: Error | null) => void): void;
    suspend(callback?: (error: Error | null) => void): void;
    close(callback?: (error: Error | null) => void): void;
    unlink(callback?: (error: Error | null) => void): void;
  }

  namespace RandomAccessStorage {
    interface Request {
      readonly offset: number;
      readonly size: number;
      readonly data: Uint8Array | null;
      callback(error: Error | null, value?: unknown): void;
    }
  }

  export = RandomAccessStorage;
}
