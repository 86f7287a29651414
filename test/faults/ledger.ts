/**
 * What a store was asked to hold, and what of it was promised: the judge of a workload in which a read, write or flush
 * failed.
 *
 * Of each file the ledger keeps every version that it had, and which of them the last successful sync covers. After a
 * reopening each page of the file must be that of the promised version or of a later one, or zeros where the file had none;
 * its size lies between theirs. Names are as they were after some operation since the last sync, since changes of names
 * appear in order.
 */
import { Buffer } from 'node:buffer';

export interface LedgerFile {
  readonly id: number;
  /** Contents, oldest first. */
  readonly versions: Uint8Array[];
  /** The version that must be there at least. */
  promised: number;
  /** An operation failed half-way: its pages may lie anywhere, and be of any version. */
  torn: boolean;
}

export type Names = ReadonlyMap<string, number>;

export class Ledger {
  readonly files = new Map<number, LedgerFile>();
  /** Names after each operation that changed them; the first is the promised one. */
  private history: Names[] = [new Map()];
  private nextId = 1;

  get names(): Names {
    return this.history[this.history.length - 1];
  }

  file(name: string): LedgerFile {
    return this.files.get(this.names.get(name)!)!;
  }

  content(name: string): Uint8Array {
    const { versions } = this.file(name);
    return versions[versions.length - 1];
  }

  create(name: string): void {
    const id = this.nextId++;
    this.files.set(id, { id, versions: [new Uint8Array(0)], promised: 0, torn: false });
    this.rename(new Map([...this.names, [name, id]]));
  }

  unlink(name: string): void {
    this.rename(new Map([...this.names].filter(([other]) => other !== name)));
  }

  move(from: string, to: string): void {
    const id = this.names.get(from)!;
    this.rename(new Map([...[...this.names].filter(([name]) => name !== from && name !== to), [to, id]]));
  }

  /** The file's content is `bytes` from now on, or may be, where the operation failed. */
  change(name: string, bytes: Uint8Array, mayShift = false): void {
    const file = this.file(name);
    file.versions.push(bytes);
    if (mayShift) file.torn = true;
  }

  /** A sync of the file succeeded: its data, and all names. */
  promise(name: string): void {
    this.settle(this.file(name));
    this.history = [this.names];
  }

  promiseAll(): void {
    for (const file of this.files.values()) this.settle(file);
    this.history = [this.names];
  }

  /** Throws unless these names and contents are what a reopened store may hold. */
  judge(found: ReadonlyMap<string, Uint8Array>, blockBytes: number): void {
    const names = [...found.keys()].sort().join();
    const allowed = this.history.filter((state) => [...state.keys()].sort().join() === names);
    if (allowed.length === 0) {
      const states = this.history.map((state) => [...state.keys()].sort().join()).join(' | ');
      throw new Error(`the names are ${names}; they were ${states}`);
    }
    const failures = allowed.map((state) => {
      for (const [name, bytes] of found) {
        const wrong = this.contentProblem(this.files.get(state.get(name)!)!, bytes, blockBytes);
        if (wrong !== null) return `'${name}': ${wrong}`;
      }
      return null;
    });
    if (!failures.includes(null)) throw new Error(failures.join('; or '));
  }

  private contentProblem(file: LedgerFile, bytes: Uint8Array, blockBytes: number): string | null {
    const versions = file.versions.slice(file.promised);
    const sizes = versions.map(({ length }) => length);
    if (bytes.length < Math.min(...sizes) || bytes.length > Math.max(...sizes)) {
      return `${bytes.length} bytes; it had ${sizes.join(', ')}`;
    }
    for (let at = 0; at < bytes.length; at += blockBytes) {
      const page = bytes.subarray(at, at + blockBytes);
      if (this.isKnown(file, page, versions, at, blockBytes)) continue;
      return `page ${at / blockBytes} is of no version since the last sync (${versions.length} of them)`;
    }
    return null;
  }

  private isKnown(file: LedgerFile, page: Uint8Array, versions: Uint8Array[], at: number, blockBytes: number): boolean {
    for (const version of versions) {
      if (matches(page, version, at)) return true;
      if (!file.torn) continue;
      for (let other = 0; other < version.length; other += blockBytes) if (matches(page, version, other)) return true;
    }
    // Nothing yet where a later version put something.
    const [promised] = versions;
    return page.every((byte, i) => byte === 0 && (at + i >= promised.length || promised[at + i] === 0 || file.torn));
  }

  private settle(file: LedgerFile): void {
    file.promised = file.versions.length - 1;
    file.torn = false;
  }

  private rename(names: Names): void {
    this.history.push(names);
  }
}

/** Whether the page is what the version has at `at`, zeros behind its end. */
function matches(page: Uint8Array, version: Uint8Array, at: number): boolean {
  const part = version.subarray(at, at + page.length);
  if (Buffer.compare(page.subarray(0, part.length), part) !== 0) return false;
  for (let i = part.length; i < page.length; i++) if (page[i] !== 0) return false;
  return true;
}
