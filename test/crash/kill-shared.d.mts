import type { SeenFile } from '#dist/src/explore/crash-judge.js';
import type { CrashOperation } from '#dist/src/explore/crash-operation.js';
import type { BlockContents } from '#dist/src/explore/power-cut-contents.js';
import type { SyncStore } from '#dist/src/worker.js';

export function prefixOf(index: number): string;
export function seedOf(seed: number, round: number, index: number): number;
export function firstFileOf(round: number, index: number): number;
export function isBackground(operation: CrashOperation): boolean;
export function seenFiles(store: SyncStore, contents: BlockContents, prefix: string): Map<string, SeenFile>;
