// What a server that is reached with TLS asks of those who come without it: to come again with it, and to remember that.
import type { Exchange } from '../core/exchange.ts';
import { Fields } from '../core/fields.ts';
import type { Peer } from '../core/peer.ts';
import { answerNothing } from '../protocols/http/answers.ts';
import { splitTarget } from '../protocols/http/target.ts';

/**
 * Asked by those who cannot come with TLS: authorities that check a name (RFC 8555 §8.3), who is about to check a certificate
 * (RFC 5280 §8), and who watches over this server.
 */
const PLAIN_PATHS = /^\/(?:\.well-known\/acme-challenge\/|(?:ocsp|crl|certificates)(?:\/|$)|healthz$)/;

export interface Hsts {
  readonly maxAgeSeconds: number;
  readonly includeSubDomains: boolean;
  readonly preload: boolean;
}

/** What answers over TLS say (RFC 6797 §6.1). */
export function hstsFields({ maxAgeSeconds, includeSubDomains, preload }: Hsts): Fields {
  const value = `max-age=${maxAgeSeconds}${includeSubDomains ? '; includeSubDomains' : ''}${preload ? '; preload' : ''}`;
  return Fields.of({ 'strict-transport-security': value });
}

/** Whether it came without TLS and was sent to `port` with it. */
export function sentToHttps(exchange: Exchange, port: number): boolean {
  const { peer, authority, target } = exchange;
  if (peer.carrier === 'unix' || isSecure(peer) || authority === '') return false;
  const { path, query } = splitTarget(target);
  if (PLAIN_PATHS.test(path) || path === '*') return false;
  const host = authority.replace(/:\d*$/, '');
  const location = `https://${host}${port === 443 ? '' : `:${port}`}${path}${query === '' ? '' : `?${query}`}`;
  // 308 keeps method and body; the connection is of no more use to who follows it.
  answerNothing(exchange, 308, Fields.of({ location }));
  return true;
}

export function isSecure(peer: Peer): boolean {
  for (let layer: Peer | null = peer; layer !== null; layer = layer.below) if (layer.tls !== null) return true;
  return false;
}
