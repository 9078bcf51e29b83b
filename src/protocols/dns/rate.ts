// The rate of like answers to one network, so that this server is of no use for flooding somebody else (response-rate
// limiting). One table of fixed size; two that meet in a place share it, which only ever withholds more.
import { hashName } from '../../formats/dns/name.ts';

const PLACES = 65_536;

/** What is done with an answer. */
export const SEND = 0;
export const TRUNCATE = 1;
export const WITHHOLD = 2;

export class AnswerRate {
  private readonly perSecond: number;
  private readonly slip: number;
  /** By place: answers left, and when that was so. */
  private readonly left = new Float64Array(PLACES);
  private readonly at = new Float64Array(PLACES).fill(-1);
  private readonly over = new Uint32Array(PLACES);
  /** Answers that were not sent, or sent truncated. */
  withheld = 0;
  truncated = 0;

  constructor(perSecond: number, slip: number) {
    this.perSecond = perSecond;
    this.slip = slip;
  }

  /**
   * One more answer about a name, or where `error` about nothing (all names of a zone are one then, or a flood of random names
   * would pass), to an address.
   */
  judge(address: Uint8Array, name: Uint8Array, nameAt: number, error: boolean, now: number): number {
    if (this.perSecond === 0) return SEND;
    // A network: 24 bits of IPv4, 56 of IPv6.
    const octets = address.length === 4 ? 3 : 7;
    let hash = error ? 0x9e3779b9 : hashName(name, nameAt);
    for (let index = 0; index < octets; index++) hash = Math.imul(hash ^ address[index]!, 0x01000193);
    const place = ((hash ^ (hash >>> 15)) >>> 0) & (PLACES - 1);
    const before = this.at[place]!;
    const gained = before < 0 ? this.perSecond : ((now - before) / 1_000) * this.perSecond;
    const left = Math.min(this.perSecond, this.left[place]! + gained);
    this.at[place] = now;
    if (left >= 1) {
      this.left[place] = left - 1;
      return SEND;
    }
    this.left[place] = left;
    const over = ++this.over[place]!;
    if (this.slip > 0 && over % this.slip === 0) {
      this.truncated++;
      return TRUNCATE;
    }
    this.withheld++;
    return WITHHOLD;
  }
}
