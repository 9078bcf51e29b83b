// Which URL schemes the commands speak, and how a URL is read.
import { NODE_LOOP, TurnLoop } from '../server/turn.ts';
import { type Channel, type Place, Refusal } from './channel.ts';
import { httpChannel } from './channel-http.ts';
import { linesChannel } from './channel-lines.ts';
import { mqttChannel } from './channel-mqtt.ts';
import { sseChannel } from './channel-sse.ts';
import { udpChannel } from './channel-udp.ts';
import { webSocketChannel } from './channel-websocket.ts';
import { EXIT, fail } from './output.ts';
import { type TlsFlags, tlsFor, tlsHint } from './tls-flags.ts';

type Opener = (place: Place & { readonly scheme: string }, turn: TurnLoop) => Promise<Channel>;

const SCHEMES: Readonly<Record<string, { readonly port: number; readonly open: Opener }>> = {
  mqtt: { port: 1883, open: mqttChannel },
  mqtts: { port: 8883, open: mqttChannel },
  tcp: { port: 7000, open: linesChannel },
  tls: { port: 7443, open: linesChannel },
  udp: { port: 7000, open: udpChannel },
  http: { port: 8080, open: httpChannel },
  https: { port: 443, open: httpChannel },
  sse: { port: 8080, open: sseChannel },
  sses: { port: 8443, open: sseChannel },
  ws: { port: 8080, open: webSocketChannel },
  wss: { port: 443, open: webSocketChannel },
};

/** Reads `scheme://[user[:password]@]host[:port]/topic`. Ends the command when it cannot be one. */
export function placeOf(text: string, flags: TlsFlags = {}): Place & { readonly scheme: string } {
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    return fail(`${text} is not a URL; it is like mqtt://127.0.0.1/sensors/a`, EXIT.usage);
  }
  const scheme = url.protocol.slice(0, -1);
  const known = SCHEMES[scheme];
  if (known === undefined)
    return fail(`${scheme}: is not spoken by this command; there are ${Object.keys(SCHEMES).join(', ')}`, EXIT.usage);
  // Taken from the text: filters have `#`, which a URL takes for the beginning of a fragment.
  const topic = topicOf(scheme, decodeURIComponent(/^[a-z]+:\/\/[^/]*\/(.*)$/is.exec(text)?.[1] ?? ''), url.host);
  if (topic === '')
    return fail(`${text} names no topic; put it behind the host: ${scheme}://${url.host}/sensors/a`, EXIT.usage);
  const host = url.hostname.replace(/^\[|\]$/g, '');
  return {
    scheme,
    host,
    tls: tlsFor(scheme, host, flags),
    port: url.port === '' ? known.port : Number(url.port),
    topic,
    user: decodeURIComponent(url.username),
    password: decodeURIComponent(url.password),
    token: '',
  };
}

/** On the web's schemes topics are below `/topics/`; `http:` URLs are those of any client, and must say it. */
function topicOf(scheme: string, path: string, host: string): string {
  if (['mqtt', 'mqtts', 'tcp', 'tls', 'udp'].includes(scheme)) return path;
  if (path.startsWith('topics/')) return path.slice('topics/'.length);
  if (scheme.startsWith('http') && path !== '')
    return fail(`over ${scheme}: topics are below /topics/: ${scheme}://${host}/topics/${path}`, EXIT.usage);
  return path;
}

/** Opens the channel that a URL asks for. Rejects with an Error for a person. */
export function openChannel(place: Place & { readonly scheme: string }): Promise<Channel> {
  const turn = new TurnLoop(NODE_LOOP, (error) => {
    throw error;
  });
  return SCHEMES[place.scheme]!.open(place, turn);
}

/** Ends the command for what a channel rejected with. */
export function failBecause(error: unknown): never {
  const text = error instanceof Error ? error.message : String(error);
  return fail(`${text}${tlsHint(text)}`, error instanceof Refusal ? EXIT.refused : EXIT.unavailable);
}
