import type { Fault } from '../../../core/fault.ts';
export type Purpose = 'server' | 'client';
export interface Wanted {
  readonly authorities: string;
  readonly purpose: Purpose;
  readonly name: string | null;
  readonly wall: number;
}
export function verifyChain(_chain: readonly Uint8Array[], _wanted: Wanted): Fault | null {
  return null;
}

export function endOf(_c: Uint8Array): number {
  return 4e12;
}
