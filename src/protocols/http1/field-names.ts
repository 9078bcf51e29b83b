// Field names that most messages have: found without making a string, and written the way people know them.

const KNOWN = [
  'accept',
  'accept-charset',
  'accept-encoding',
  'accept-language',
  'accept-ranges',
  'access-control-allow-credentials',
  'access-control-allow-headers',
  'access-control-allow-methods',
  'access-control-allow-origin',
  'access-control-expose-headers',
  'access-control-max-age',
  'access-control-request-headers',
  'access-control-request-method',
  'age',
  'allow',
  'authorization',
  'cache-control',
  'connection',
  'content-disposition',
  'content-encoding',
  'content-language',
  'content-length',
  'content-location',
  'content-range',
  'content-security-policy',
  'content-type',
  'cookie',
  'cursor',
  'date',
  'dnt',
  'etag',
  'expect',
  'expires',
  'forwarded',
  'from',
  'host',
  'if-match',
  'if-modified-since',
  'if-none-match',
  'if-range',
  'if-unmodified-since',
  'keep-alive',
  'last-event-id',
  'last-modified',
  'link',
  'location',
  'max-forwards',
  'origin',
  'pragma',
  'prefer',
  'preference-applied',
  'priority',
  'proxy-authorization',
  'range',
  'referer',
  'retry-after',
  'sec-ch-ua',
  'sec-ch-ua-mobile',
  'sec-ch-ua-platform',
  'sec-fetch-dest',
  'sec-fetch-mode',
  'sec-fetch-site',
  'sec-fetch-user',
  'sec-websocket-accept',
  'sec-websocket-extensions',
  'sec-websocket-key',
  'sec-websocket-protocol',
  'sec-websocket-version',
  'server',
  'set-cookie',
  'strict-transport-security',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'upgrade-insecure-requests',
  'user-agent',
  'vary',
  'via',
  'www-authenticate',
  'x-accel-buffering',
  'x-content-type-options',
  'x-forwarded-for',
  'x-forwarded-host',
  'x-forwarded-proto',
  'x-real-ip',
  'x-requested-with',
];

/** Names by the hash that the reader makes of them; whoever finds one compares it. */
export const NAMES: ReadonlyMap<number, string> = new Map(KNOWN.map((name) => [hashOf(name), name]));

function hashOf(name: string): number {
  let hash = 0;
  for (let at = 0; at < name.length; at++) hash = (Math.imul(hash, 31) + (name.charCodeAt(at) | 0x20)) | 0;
  return hash;
}

const SPECIAL: Readonly<Record<string, string>> = {
  etag: 'ETag',
  te: 'TE',
  dnt: 'DNT',
  'www-authenticate': 'WWW-Authenticate',
  'last-event-id': 'Last-Event-ID',
  'x-real-ip': 'X-Real-IP',
  'content-md5': 'Content-MD5',
};

/** How many written names are kept; a handler may make up any. */
const SHOWN_MAX = 1_024;
const SHOWN = new Map<string, string>();

/** `content-type` as `Content-Type: `, ready to be written. Versions above 1.1 keep lower case. */
export function shownName(name: string): string {
  const known = SHOWN.get(name);
  if (known !== undefined) return known;
  const words =
    SPECIAL[name] ?? name.replace(/(^|-)([a-z])/g, (_, dash: string, letter: string) => dash + letter.toUpperCase());
  const shown = `${words.replace(/^Sec-Websocket/, 'Sec-WebSocket')}: `;
  if (SHOWN.size < SHOWN_MAX) SHOWN.set(name, shown);
  return shown;
}
