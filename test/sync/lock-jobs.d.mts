export const DATA: number;
export const ARRIVED: number;
