// Strangers who come for the first time are asked to come again: servers of mail do, and most of those who only want to be rid of much mail
// do not (RFC 6647). Whoever did is known for a while, with his whole network.
import { ipv6From } from '../../formats/dns/records.ts';

/** Who does not come again within this is forgotten. */
const WINDOW_MS = 86_400_000;
const KNOWN_MS = 35 * 86_400_000;
const ENTRIES_MAX = 100_000;

export class Greylist {
  private readonly delayMs: number;
  private readonly wall: () => number;
  /** By network and recipient: when it first came. */
  private readonly seen = new Map<string, number>();
  /** By network: when it came last. */
  private readonly known = new Map<string, number>();

  /** @param delayMs how soon is too soon to come again @param wall milliseconds since 1970 */
  constructor(delayMs: number, wall: () => number) {
    this.delayMs = delayMs;
    this.wall = wall;
  }

  /** Whether somebody is to come again with a mail for a recipient. */
  isNew(ip: string, recipient: string): boolean {
    const now = this.wall();
    const network = networkOf(ip);
    if ((this.known.get(network) ?? Number.NEGATIVE_INFINITY) > now - KNOWN_MS) {
      remember(this.known, network, now);
      return false;
    }
    const key = `${network} ${recipient.toLowerCase()}`;
    const first = this.seen.get(key) ?? Number.NEGATIVE_INFINITY;
    if (first < now - WINDOW_MS) {
      remember(this.seen, key, now);
      return true;
    }
    if (now < first + this.delayMs) return true;
    this.seen.delete(key);
    remember(this.known, network, now);
    return false;
  }
}

/** As the newest; the oldest goes where there are too many. */
function remember(into: Map<string, number>, key: string, now: number): void {
  into.delete(key);
  if (into.size >= ENTRIES_MAX) into.delete(into.keys().next().value!);
  into.set(key, now);
}

/** 24 bits of IPv4, 64 of IPv6: large senders come from several addresses. */
function networkOf(ip: string): string {
  const four = /^(?:::ffff:)?(\d+\.\d+\.\d+)\.\d+$/i.exec(ip)?.[1];
  if (four !== undefined) return four;
  const octets = ipv6From(ip.replace(/%.*$/, ''));
  return octets === null ? ip : Buffer.from(octets.subarray(0, 8)).toString('hex');
}
