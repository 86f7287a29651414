export type Edit = readonly [file: string, wanted: string | RegExp, replacement: string];

export function editedFiles(root: string, edits: readonly Edit[]): Map<string, string>;
export function plant(root: string, edits: readonly Edit[]): () => void;
