// The server's half of the opening handshake (RFC 6455 §4.2, RFC 8441 §5): which requests become a WebSocket, with which
// subprotocol and on which terms. Whether a page of that origin may ask at all was decided before.
import type { Exchange, ExchangeHandler } from '../../core/exchange.ts';
import { Fields } from '../../core/fields.ts';
import type { Bound } from '../../core/limits.ts';
import type { Entropy } from '../../core/time.ts';
import { answerProblem } from '../http/answers.ts';
import { asksWho, type Channel, channelsAt, chooseChannel, namesOf } from '../http/channels.ts';
import { isToken } from '../http/chars.ts';
import { splitTarget } from '../http/target.ts';
import { acceptOffer, ServerDeflate } from './deflate.ts';
import { readExtensions } from './extensions.ts';
import type { limits } from './limits.ts';
import { acceptOf, isKey } from './proof.ts';
import { type Compression, Gathering, WebSocketSession } from './session.ts';

/** Whether what a request would open asks itself who is there. */
export function signsIn(channels: readonly Channel[], exchange: Exchange): boolean {
  const { fields, target } = exchange;
  const asked = subprotocolsOf(fields);
  return asked !== null && asksWho(chooseChannel(channelsAt(channels, target), asked, target), exchange);
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
    const { target } = exchange;
    const { path } = splitTarget(target);
    const places = channelsAt(this.channels, target);
    if (places.length === 0) {
      answerProblem(exchange, 404, `There are no WebSockets at ${path}.`);
      return;
    }
    const asked = subprotocolsOf(exchange.fields);
    if (asked === null) {
      answerProblem(exchange, 400, 'Sec-WebSocket-Protocol must be a list of different tokens.');
      return;
    }
    const channel = chooseChannel(places, asked, target);
    if (channel === null) {
      const { named, text } = namesOf(places);
      answerProblem(exchange, 400, `WebSockets at ${path} are spoken as: ${text}.`, new Fields(), { served: named });
      return;
    }
    this.accept(exchange, channel);
  }

  private accept(exchange: Exchange, { subprotocol, carries = '', messages }: Channel): void {
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
    // Pieces of a stream, which are small and many, cost more than compression saves.
    const agreed = carries !== '' ? null : acceptOffer(offers, this.deflate.mayTakeOver);
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
