/**
 * What a server offers: files of a store under their own names.
 *
 * Either the files named when it began, or all files of the store, those made later included. The empty name stands for
 * the default export: the one that was chosen, or the only one named. An export is opened anew for each connection, so that
 * each connection is told of failed writes at its own next flush.
 */
import type { File, Store } from '../../index.js';
import { StoreError } from '../../index.js';
import { TransmissionFlag } from '../../nbd/constants.js';

/** The number of the only metadata context, base:allocation. */
export const CONTEXT_ID = 1;

/** A file that a connection has open. */
export interface OpenExport {
  name: string;
  file: File;
  sizeBytes: number;
  isReadOnly: boolean;
}

/** Codes with which a store says that there is no such file, or can be none. */
const ABSENT: readonly string[] = ['ENOENT', 'ENAMETOOLONG', 'EINVAL'];

export class Exports {
  private readonly names: ReadonlySet<string> | null;
  private readonly standard: string | undefined;

  constructor(
    private readonly store: Store,
    names: readonly string[] | undefined,
    standard: string | undefined,
    private readonly readOnly: boolean,
  ) {
    this.names = names === undefined || names.length === 0 ? null : new Set(names);
    this.standard = standard ?? (names?.length === 1 ? names[0] : undefined);
  }

  /** Throws ENOENT unless every file that is to be served is there. */
  async check(): Promise<void> {
    const wanted = [...(this.names ?? []), ...(this.standard === undefined ? [] : [this.standard])];
    for (const name of new Set(wanted)) await this.store.stat(name);
  }

  /** The name of the file that a client means, or null when it is none of ours. It need not exist. */
  resolve(wanted: string): string | null {
    const name = wanted === '' ? this.standard : wanted;
    if (name === undefined || (this.names !== null && !this.names.has(name) && name !== this.standard)) return null;
    return name;
  }

  /** Opens an export; null when there is none of that name. The caller closes the file. */
  async open(wanted: string): Promise<OpenExport | null> {
    const name = this.resolve(wanted);
    if (name === null) return null;
    const opened = await this.openFile(name);
    if (opened === null) return null;
    try {
      const { size } = await opened.file.stat();
      return { ...opened, name, sizeBytes: size };
    } catch (error) {
      await opened.file.close();
      throw error;
    }
  }

  async exists(wanted: string): Promise<boolean> {
    const name = this.resolve(wanted);
    if (name === null) return false;
    return this.store.exists(name).catch((error: unknown) => {
      if (isAbsent(error)) return false;
      throw error;
    });
  }

  async *list(): AsyncGenerator<string> {
    if (this.names !== null) yield* this.names;
    else for await (const { name } of this.store.list()) yield name;
  }

  private async openFile(name: string): Promise<{ file: File; isReadOnly: boolean } | null> {
    if (!this.readOnly) {
      try {
        return { file: await this.store.open(name, 'r+'), isReadOnly: false };
      } catch (error) {
        if (isAbsent(error)) return null;
        if (!(error instanceof StoreError) || error.code !== 'EROFS') throw error;
      }
    }
    try {
      return { file: await this.store.open(name, 'r'), isReadOnly: true };
    } catch (error) {
      if (isAbsent(error)) return null;
      throw error;
    }
  }
}

function isAbsent(error: unknown): boolean {
  return error instanceof StoreError && ABSENT.includes(error.code);
}

/**
 * What a client may do with an export. All connections share one cache, and a flush or FUA on any of them covers the writes
 * that every one of them has had answered: CAN_MULTI_CONN is what happens.
 */
export function transmissionFlags(isReadOnly: boolean, isStructured: boolean): number {
  let flags =
    TransmissionFlag.HasFlags |
    TransmissionFlag.SendFlush |
    TransmissionFlag.SendFua |
    TransmissionFlag.CanMultiConn |
    TransmissionFlag.SendCache;
  if (isStructured) flags |= TransmissionFlag.SendDf;
  if (isReadOnly) return flags | TransmissionFlag.ReadOnly;
  flags |= TransmissionFlag.SendTrim | TransmissionFlag.SendWriteZeroes | TransmissionFlag.SendFastZero;
  return flags;
}
