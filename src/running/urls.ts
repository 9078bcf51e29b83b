// What clients call the listeners: URLs of what stands.
import type { Config } from '../config.ts';
import type { Address } from '../core/peer.ts';
import type { Standing } from '../server/server.ts';

/** Schemes that are not the protocol's name. */
const NAMES: Readonly<Record<string, string>> = { http1: 'http', ssh: 'sftp' };

/** What a client calls each listener. */
export function urlsOf(standing: readonly Standing[], config: Config): Record<string, string> {
  const urls: Record<string, string> = {};
  for (const { protocol, on, address, path } of standing) {
    // The datagrams of Lines are what `udp:` means; others go by both names.
    const name = NAMES[protocol] ?? protocol;
    const scheme = on === 'tls' ? TLS_SCHEMES[protocol] : on === 'quic' ? QUIC_SCHEMES[protocol] : undefined;
    const key =
      scheme !== undefined
        ? scheme
        : on === 'tcp'
          ? name
          : protocol === 'lines' && on === 'udp'
            ? 'udp'
            : `${name}-${on}`;
    urls[key] ??= address === null ? `unix:${path}` : urlOf(protocol, on, address);
  }
  // What is spoken over HTTP has schemes of its own.
  const speaks = (name: string) => config.protocols[name]?.enabled !== false;
  for (const [base, sse, ws, mqtt] of [
    [urls.http, 'sse', 'ws', 'mqtt-ws'],
    [urls.https, 'sses', 'wss', 'mqtt-wss'],
  ] as const) {
    if (base === undefined) continue;
    if (speaks('sse')) urls[sse] = base.replace(/^https?/, sse);
    if (!speaks('websocket')) continue;
    urls[ws] = base.replace(/^https?/, ws);
    if (speaks('mqtt')) urls[mqtt] = `${urls[ws]}/mqtt`;
  }
  return urls;
}

/** What clients call a listener with TLS. */
const TLS_SCHEMES: Readonly<Record<string, string>> = {
  http1: 'https',
  http2: 'https',
  mqtt: 'mqtts',
  lines: 'tls',
  ftp: 'ftps',
  submission: 'smtps',
  pop3: 'pop3s',
  imap: 'imaps',
  dns: 'dot',
};

/** What a listener over QUIC goes by. */
const QUIC_SCHEMES: Readonly<Record<string, string>> = { http3: 'http3', dns: 'doq' };

/** The scheme that clients of a listener use: the protocol's own where it has one. */
export function urlOf(protocol: string, on: Standing['on'], { host, port }: Address): string {
  const plain = protocol === 'lines' || protocol === 'shared' || protocol.startsWith('wire-');
  const secured =
    on === 'tls' ? (TLS_SCHEMES[protocol] ?? 'tls') : on === 'quic' ? (protocol === 'dns' ? 'doq' : 'https') : null;
  const scheme = secured ?? (on === 'udp' ? 'udp' : plain ? 'tcp' : (NAMES[protocol] ?? protocol));
  return `${scheme}://${host.includes(':') ? `[${host}]` : host}:${port}`;
}
