export const DATA: number;
export const ARRIVED: number;
export const RANGE_PAGES: number;
