// Which requests become a WebTransport session, and what is spoken in it (draft-ietf-webtrans-http3 §3): the channels of
// WebSocket, at the same paths and by the same names.
import type { Exchange, ExchangeHandler } from '../../core/exchange.ts';
import { Fields } from '../../core/fields.ts';
import type { Bound } from '../../core/limits.ts';
import { answerProblem } from '../http/answers.ts';
import { asksWho, type Channel, channelsAt, chooseChannel, namesOf } from '../http/channels.ts';
import { splitTarget } from '../http/target.ts';
import type { limits } from './limits.ts';
import { Gathering, MessageSessionOfStreams } from './messages.ts';
import { StreamSession } from './streams.ts';
import { TextMessages } from './text-messages.ts';

/** What a client asks for by `:protocol`: as browsers do, and as drafts from 15 on have it. */
export const TRANSPORT_TOKENS = ['webtransport', 'webtransport-h3'];

export interface TransportHost {
  readonly limits: Bound<typeof limits>;
}

/** A string of a list, and whatever parameters it has (RFC 9651 §4.2). */
const STRING =
  /^ *"((?:[ !#-[\]-~]|\\["\\])*)"(?:; *[a-z*][a-z\d_.*-]*(?:=(?:"(?:[ !#-[\]-~]|\\["\\])*"|[^",; ]*))?)* *(,|$)/;
const STRINGS_MAX = 32;

/** What the client would speak, in its order; none where that is not a list of strings (draft-ietf-webtrans-http3 §3.3). */
export function protocolsOf(fields: Fields): string[] {
  let left = fields.joined('wt-available-protocols');
  const names: string[] = [];
  while (left !== null && names.length < STRINGS_MAX) {
    const found = STRING.exec(left);
    if (found === null) return [];
    names.push(found[1]!.replace(/\\(.)/g, '$1'));
    if (found[2] === '') return names;
    left = left.slice(found[0].length);
  }
  return [];
}

/** The channel that a request is for: by the names that it offers; by its path alone where it offers none. */
function channelOf(places: readonly Channel[], exchange: Exchange): Channel | null {
  const asked = protocolsOf(exchange.fields);
  const channel = chooseChannel(places, asked, exchange.target);
  return channel ?? (asked.length === 0 ? (places[0] ?? null) : null);
}

/** Whether what a request would open asks itself who is there. */
export function transportSignsIn(channels: readonly Channel[], exchange: Exchange): boolean {
  return asksWho(channelOf(channelsAt(channels, exchange.target), exchange), exchange);
}

/** Takes requests for a session, on all paths of the channels. */
export function webTransportUpgrade(channels: readonly Channel[], { limits }: TransportHost): ExchangeHandler {
  const gathering = new Gathering(limits.gatheredBytesMax);
  return (exchange) => {
    const { target } = exchange;
    const { path } = splitTarget(target);
    if (exchange.takeMux === undefined || exchange.method !== 'CONNECT') {
      answerProblem(exchange, 501, 'WebTransport is spoken over HTTP/3, by extended CONNECT.');
      return;
    }
    const places = channelsAt(channels, target);
    if (places.length === 0) {
      answerProblem(exchange, 404, `There is no WebTransport at ${path}.`);
      return;
    }
    const channel = channelOf(places, exchange);
    if (channel === null) {
      const { named, text } = namesOf(places);
      answerProblem(exchange, 400, `WebTransport at ${path} is spoken as: ${text}.`, new Fields(), { served: named });
      return;
    }
    open(exchange, channel, limits, gathering);
  };
}

function open(exchange: Exchange, channel: Channel, limits: TransportHost['limits'], gathering: Gathering): void {
  const { target, caller } = exchange;
  const { subprotocol, carries = '', stream } = channel;
  const fields = new Fields();
  // Browsers that speak draft 02 look for it.
  if (exchange.fields.has('sec-webtransport-http3-draft02')) fields.append('sec-webtransport-http3-draft', 'draft02');
  if (protocolsOf(exchange.fields).includes(subprotocol)) fields.append('wt-protocol', `"${subprotocol}"`);
  const opening = { target, caller, subprotocol, limits, gathering };
  exchange.takeMux?.(200, fields, (mux) => {
    mux.signedIn(caller);
    if (subprotocol === '') return new MessageSessionOfStreams(mux, opening, channel.messages);
    return new StreamSession(mux, (pipe) => {
      if (stream === undefined) return new TextMessages(pipe, opening, channel.messages);
      pipe.speaks(carries);
      return stream(pipe);
    });
  });
}
