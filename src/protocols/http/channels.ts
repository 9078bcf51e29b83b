// What is spoken over sockets that a request opens, and which of it a client gets: by path, and by the names that it offers.
// WebSocket and WebTransport share one table.
import type { Fields } from '../../core/fields.ts';
import type { MessageSession, Messages } from '../../core/messages.ts';
import type { Peer } from '../../core/peer.ts';
import type { Pipe, Session } from '../../core/pipe.ts';
import { splitTarget } from './target.ts';

/** What is spoken over sockets, and where. */
export interface Channel {
  /** '' for sockets that ask for none. */
  readonly subprotocol: string;
  /** Exactly these, or all below one that ends with `/`; `/` itself is exactly that. */
  readonly paths: readonly string[];
  /** The protocol whose stream of bytes its messages are; '' when they are messages. */
  readonly carries?: string;
  /** It asks itself who is there, always or where the request says nothing of it. */
  readonly signsIn?: boolean | 'when-silent';
  messages(messages: Messages): MessageSession;
  /** The protocol that it carries, where streams of bytes need no messages. */
  stream?(pipe: Pipe): Session;
}

export function channelsAt(channels: readonly Channel[], target: string): Channel[] {
  const { path } = splitTarget(target);
  return channels.filter(({ paths }) => paths.some((place) => fits(place, path)));
}

/** `/` is for those who were given a host alone; other places that end so are for all below them. */
function fits(place: string, path: string): boolean {
  return place !== '/' && place.endsWith('/') ? path.startsWith(place) : path === place;
}

/** The channel for the first name that is served here; among those of one name the one with the longest path. */
export function chooseChannel(places: readonly Channel[], asked: readonly string[], target: string): Channel | null {
  const { path } = splitTarget(target);
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

/** Whether what a request would open asks itself who is there. */
export function asksWho(
  channel: Channel | null,
  { fields, target, peer }: { readonly fields: Fields; readonly target: string; readonly peer: Peer },
): boolean {
  const asks = channel?.signsIn;
  if (asks !== 'when-silent') return asks === true;
  if (fields.has('authorization') || target.includes('access_token=')) return false;
  for (let layer: Peer | null = peer; layer !== null; layer = layer.below) if (layer.tls?.certificate) return false;
  return true;
}

/** The names that are served at a place, as a sentence has them. */
export function namesOf(places: readonly Channel[]): { readonly named: string[]; readonly text: string } {
  const served = [...new Set(places.map(({ subprotocol }) => subprotocol))];
  const named = served.filter((name) => name !== '');
  const none = served.includes('') ? ', or without a subprotocol' : '';
  return { named, text: `${named.join(', ')}${named.length === 0 ? none.slice(2) : none}` };
}
