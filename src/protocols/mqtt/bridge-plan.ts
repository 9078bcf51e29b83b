// What a bridge to another broker is told: where it is, which topics cross and under which names; and how often a message
// may cross bridges. Pure: the bridge itself is in bridge.ts.
import type { Target } from '../../core/reach.ts';
import type { TlsPolicy } from '../../core/tls.ts';
import { isTopicFilter, isTopicName, matches } from '../../resources/topics/names.ts';
import type { Qos, Version } from './packets.ts';

/** Which topics cross in one direction. The first rule whose filter matches counts. */
export interface BridgeRule {
  /** Of topics where they come from. */
  readonly filter: string;
  /** Taken off the front of a name, before `prefix` is put there. The filter must begin with it. */
  readonly strip?: string | undefined;
  readonly prefix?: string | undefined;
  /** The most that is asked for; 1 unless said. */
  readonly qos?: Qos | undefined;
}

/** One bridge, as a configuration names it. */
export interface BridgePlan {
  /** Tells bridges apart; what waits to go out is kept under it. */
  readonly name: string;
  /** `mqtt://user:password@host:1883`, or `mqtts://`. */
  readonly url: string;
  /** By which the other broker knows this one: the host's name and the bridge's unless said. */
  readonly clientId?: string | undefined;
  /** 5 unless said; 4 is 3.1.1. */
  readonly version?: Extract<Version, 4 | 5> | undefined;
  readonly in?: readonly BridgeRule[] | undefined;
  readonly out?: readonly BridgeRule[] | undefined;
  /** With `mqtts:`, a file in PEM of who may have issued the broker's certificate, in place of those that all know. */
  readonly authorities?: string | undefined;
}

/** Where the other broker is, and as whom to go there. */
export interface Remote {
  readonly target: Target;
  readonly tls: TlsPolicy | null;
  readonly username: string | null;
  readonly password: Uint8Array | null;
}

/** Throws a RangeError that says what is wrong, without the password. */
export function remoteOf(text: string): Remote {
  const url = URL.canParse(text) ? new URL(text) : null;
  const secured = url?.protocol === 'mqtts:';
  if (url === null || url.hostname === '' || (!secured && url.protocol !== 'mqtt:'))
    throw new RangeError('is no broker: mqtt://host:1883 or mqtts://host:8883, with user:password@ before the host');
  if (url.pathname.length > 1 || url.search !== '' || url.hash !== '')
    throw new RangeError('has something behind the port, which is not used: the topics are named by `in` and `out`');
  if (url.username === '' && url.password !== '') throw new RangeError('has a password and no user name');
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1');
  const port = url.port === '' ? (secured ? 8883 : 1883) : Number(url.port);
  return {
    target: { host, port },
    tls: secured ? { role: 'client', serverName: host } : null,
    username: url.username === '' ? null : decodeURIComponent(url.username),
    password: url.password === '' ? null : Buffer.from(decodeURIComponent(url.password)),
  };
}

/** What is wrong with a rule, or null. */
export function ruleProblem({ filter, strip = '', prefix = '' }: BridgeRule): string | null {
  if (!isTopicFilter(filter)) return `${filter} is not a filter of topics`;
  if (filter.startsWith('$share/')) return `${filter} is shared; a bridge takes all that its filters match`;
  if (strip !== '' && (!isTopicName(strip) || !filter.startsWith(strip)))
    return `strip is ${strip}, but the filter does not begin with that`;
  if (prefix !== '' && !isTopicName(prefix)) return `prefix is ${prefix}, which cannot stand in the name of a topic`;
  return null;
}

/** The name under which a topic crosses, or null when no rule lets it. */
export function crossedName(rules: readonly BridgeRule[], topic: string): string | null {
  const rule = rules.find(({ filter }) => matches(filter, topic));
  if (rule === undefined) return null;
  const { strip = '', prefix = '' } = rule;
  if (!topic.startsWith(strip)) return null;
  const name = prefix + topic.slice(strip.length);
  return isTopicName(name) ? name : null;
}

/** How many bridges a message may cross. */
export const HOPS_MAX = 8;
const HOPS = 'portico-hops';
const VIA = 'portico-via';

/**
 * The properties of a message that crosses a bridge, with that noted; null when it must not, because it has crossed this
 * bridge before or too many others.
 */
export function crossedProperties(properties: readonly string[], bridge: string): readonly string[] | null {
  const kept: string[] = [];
  let hops = 0;
  for (let at = 0; at + 1 < properties.length; at += 2) {
    const name = properties[at]!;
    const value = properties[at + 1]!;
    if (name === VIA && value === bridge) return null;
    // What is no number was not written by a bridge: as good as too many.
    if (name === HOPS) hops = Math.max(hops, /^\d{1,3}$/.test(value) ? Number(value) : HOPS_MAX);
    else kept.push(name, value);
  }
  if (hops >= HOPS_MAX) return null;
  kept.push(HOPS, String(hops + 1), VIA, bridge);
  return kept;
}
