// The resources that protocols are given.
import type { Topics } from './topics/contract.ts';

export interface Resources {
  readonly topics: Topics;
}
