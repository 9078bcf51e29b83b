// The server's half of the opening handshake (RFC 6455 §4.2, RFC 8441 §5): which requests become a WebSocket, with which
// subprotocol and on which terms. Whether a page of that origin may ask at all was decided before.
import type { Exchange, ExchangeHandler } from '../../core/exchange.ts';
import { Fields } from '../../core/fields.ts';
import type { Bound } from '../../core/limits.ts';
import type { MessageSession, Messages } from '../../core/messages.ts';
import type { Peer } from '../../core/peer.ts';
import type { Entropy } from '../../core/time.ts';
import { answerProblem } from '../http/answers.ts';
import { isToken } from '../http/chars.ts';
import { splitTarget } from '../http/target.ts';
import { acceptOffer, ServerDeflate } from './deflate.ts';
import { readExtensions } from './extensions.ts';
import type { limits } from './limits.ts';
import { acceptOf, isKey } from './proof.ts';
import { type Compression, Gathering, WebSocketSession } from './session.ts';

/** What is spoken over sockets, and where. */
export interface Channel {
  /** '' for sockets that ask for none. */
  readonly subprotocol: string;
  /** Exactly these, or all below one that ends with `/`; `/` itself is exactly that. */
  readonly paths: readonly string[];
  /** Its messages are not compressed: pieces of a stream, which are small and many, cost more than they save. */
  readonly plain?: boolean;
  /** The protocol whose stream of bytes its messages are; '' when they are messages. */
  readonly carries?: string;
  /** It asks itself who is there, always or where the request says nothing of it. */
  readonly signsIn?: boolean | 'when-silent';
  messages(messages: Messages): MessageSession;
}

/** Whether what a request would open asks itself who is there. */
export function signsIn(channels: readonly Channel[], { target, fields, peer }: Exchange): boolean {
  const { path } = splitTarget(target);
  const places = channels.filter(({ paths }) => paths.some((place) => fits(place, path)));
  const asked = subprotocolsOf(fields);
  const asks = asked === null ? false : choose(places, asked, path)?.signsIn;
  if (asks !== 'when-silent') return asks === true;
  if (fields.has('authorization') || target.includes('access_token=')) return false;
  for (let layer: Peer | null = peer; layer !== null; layer = layer.below) if (layer.tls?.certificate) return false;
  return true;
}

export interface UpgradeHost {
  readonly limits: Bound<typeof limits>;
  readonly entropy: Entropy;
}

/** Takes requests for a WebSocket, on all paths of the channels. */
export function webSocketUpgrade(channels: readonly Channel[], host: UpgradeHost): ExchangeHandler {
  const upgrade = new Upgrade(channels, host);
  return (exchange) => upgrade.answer(exchange);
}

class Upgrade {
  private readonly channels: readonly Channel[];
  private readonly host: UpgradeHost;
  private readonly deflate: ServerDeflate;
  private readonly gathering: Gathering;

  constructor(channels: readonly Channel[], host: UpgradeHost) {
    this.channels = channels;
    this.host = host;
    this.deflate = new ServerDeflate(host.limits.inflateContextsMax);
    this.gathering = new Gathering(host.limits.gatheredBytesMax);
  }

  answer(exchange: Exchange): void {
    if (!isHandshake(exchange)) return;
    const { path } = splitTarget(exchange.target);
    const places = this.channels.filter(({ paths }) => paths.some((place) => fits(place, path)));
    if (places.length === 0) {
      answerProblem(exchange, 404, `There are no WebSockets at ${path}.`);
      return;
    }
    const asked = subprotocolsOf(exchange.fields);
    if (asked === null) {
      answerProblem(exchange, 400, 'Sec-WebSocket-Protocol must be a list of different tokens.');
      return;
    }
    const channel = choose(places, asked, path);
    if (channel === null) {
      const served = [...new Set(places.map(({ subprotocol }) => subprotocol))];
      const named = served.filter((name) => name !== '');
      const none = served.includes('') ? ', or without a subprotocol' : '';
      const known = `${named.join(', ')}${named.length === 0 ? none.slice(2) : none}`;
      answerProblem(exchange, 400, `WebSockets at ${path} are spoken as: ${known}.`, new Fields(), { served: named });
      return;
    }
    this.accept(exchange, channel);
  }

  private accept(exchange: Exchange, { subprotocol, plain, carries = '', messages }: Channel): void {
    const offered = exchange.fields.joined('sec-websocket-extensions');
    const offers = offered === null ? [] : readExtensions(offered);
    if (offers === null) {
      answerProblem(exchange, 400, 'Sec-WebSocket-Extensions is not a list of extensions.');
      return;
    }
    const fields = new Fields();
    const { method, target, caller } = exchange;
    const key = exchange.fields.get('sec-websocket-key');
    if (method !== 'CONNECT') fields.append('sec-websocket-accept', acceptOf(key!));
    if (subprotocol !== '') fields.append('sec-websocket-protocol', subprotocol);
    const agreed = plain === true ? null : acceptOffer(offers, this.deflate.mayTakeOver);
    if (agreed !== null) fields.append('sec-websocket-extensions', agreed.answer);
    const { gathering } = this;
    const { limits, entropy } = this.host;
    exchange.take(method === 'CONNECT' ? 200 : 101, fields, (pipe) => {
      pipe.speaks(carries === '' ? 'websocket' : `websocket/${carries}`);
      const compression: Compression | null = agreed === null ? null : this.deflate.open(agreed.terms);
      const opening = { role: 'server', subprotocol, target, caller, compression, gathering, limits, entropy } as const;
      return new WebSocketSession(pipe, opening, messages);
    });
  }
}

/** Whether a request is a handshake (§4.2.1); one that is not is answered. */
function isHandshake(exchange: Exchange): boolean {
  const { method, fields } = exchange;
  const wrong = (detail: string): boolean => {
    answerProblem(exchange, 400, detail);
    return false;
  };
  if (exchange.upgrade !== 'websocket') {
    const needed = Fields.of({ upgrade: 'websocket' });
    answerProblem(exchange, 426, 'WebSockets are spoken here: ask for an upgrade to websocket.', needed);
    return false;
  }
  if (method !== 'GET' && method !== 'CONNECT') return wrong('A WebSocket is opened with GET.');
  if (fields.joined('sec-websocket-version') !== '13') {
    const needed = Fields.of({ upgrade: 'websocket', 'sec-websocket-version': '13' });
    answerProblem(exchange, 426, 'Sec-WebSocket-Version must be 13.', needed);
    return false;
  }
  // An HTTP/2 stream proves itself (RFC 8441 §5).
  if (method === 'CONNECT') return true;
  const key = fields.joined('sec-websocket-key');
  return key !== null && isKey(key) ? true : wrong('Sec-WebSocket-Key must be 16 bytes in base64.');
}

/** `/` is for those who were given a host alone; other places that end so are for all below them. */
function fits(place: string, path: string): boolean {
  return place !== '/' && place.endsWith('/') ? path.startsWith(place) : path === place;
}

/** What the client would speak, in its order; null when that is not a list of different tokens (§4.1). */
function subprotocolsOf(fields: Fields): string[] | null {
  const list = fields.joined('sec-websocket-protocol');
  if (list === null) return [];
  const names = list
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '');
  return names.length > 0 && names.every(isToken) && new Set(names).size === names.length ? names : null;
}

/** The channel for the first subprotocol that is served here; among those of one name the one with the longest path. */
function choose(places: readonly Channel[], asked: readonly string[], path: string): Channel | null {
  for (const name of asked.length === 0 ? [''] : asked) {
    let best: Channel | null = null;
    let length = -1;
    for (const channel of places) {
      if (channel.subprotocol !== name) continue;
      for (const place of channel.paths) {
        if (!fits(place, path) || place.length <= length) continue;
        best = channel;
        length = place.length;
      }
    }
    if (best !== null) return best;
  }
  return null;
}
