/** Bundles what is compiled in `root`. */
export function bundle(root: string): Promise<void>;
