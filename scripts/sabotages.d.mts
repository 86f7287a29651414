import type { Edit } from './edited-files.mjs';

export interface Sabotage {
  readonly name: string;
  readonly what: string;
  readonly edits: readonly Edit[];
  readonly explore?: readonly string[];
  readonly tests?: readonly string[];
  readonly survives?: string;
}

export const SABOTAGES: readonly Sabotage[];
