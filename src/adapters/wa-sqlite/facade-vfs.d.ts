/** What wa-sqlite, whose types leave it out, gives to those who write a file system for it. */
declare module '@journeyapps/wa-sqlite/src/FacadeVFS.js' {
  export class FacadeVFS {
    constructor(name: string, module: unknown);
    readonly name: string;
    mxPathname: number;
  }
}
