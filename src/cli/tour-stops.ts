// The protocols that the tour goes through, one entry each: how it is subscribed by, how it publishes, with the clients of
// Portico's own.
import { copyOf } from '../bytes/reader.ts';
import type { DatagramPort, DatagramSession } from '../core/datagram.ts';
import type { Direction } from '../core/tap.ts';
import { connect } from '../exports/websocket.ts';
import type { TurnLoop } from '../server/turn.ts';
import type { Channel, Place, Shown } from './channel.ts';
import { callsChannel } from './channel-calls.ts';
import { authorityOf, credentialsOf, httpChannel, pathOf } from './channel-http.ts';
import { linesChannel } from './channel-lines.ts';
import { mailAddressOf, mailChannel } from './channel-mail.ts';
import { mqttChannel } from './channel-mqtt.ts';
import { sseChannel } from './channel-sse.ts';
import { udpChannel } from './channel-udp.ts';
import { webSocketChannel } from './channel-websocket.ts';

/** Told what a client sends and gets where the inspector has no connection to look into. */
export type SeesDatagram = (direction: Direction, bytes: Uint8Array) => void;

export interface StopPlace extends Place {
  readonly scheme: string;
}

export interface Stop {
  readonly name: string;
  /** For a person. */
  readonly title: string;
  /** The listener that it needs, as `portico status` names it. */
  readonly listener: { readonly protocol: string; readonly on: 'tcp' | 'udp' };
  readonly scheme: string;
  readonly publishes: boolean;
  /** It can be told of what is published as that happens. */
  readonly subscribes: boolean;
  /** How a publisher knows that the message is taken; false where the protocol does not tell. */
  readonly acknowledges: boolean;
  /** Who it is for can be said; where not, it is left out when somebody signs in. */
  readonly signsIn: boolean;
  /** There is a connection that the server's inspector looks into. */
  readonly isConnection: boolean;
  /** How a topic is written there, where that is not as it is. */
  readonly spells?: (topic: string) => string;
  open(place: StopPlace, turn: TurnLoop, sees: SeesDatagram): Promise<Channel>;
}

const HTTP = { protocol: 'http1', on: 'tcp' } as const;
const COMMON = { publishes: true, subscribes: true, signsIn: true, acknowledges: true, isConnection: true } as const;

export const STOPS: readonly Stop[] = [
  {
    ...COMMON,
    name: 'http',
    title: 'HTTP/1.1: POST to publish, a long poll to read',
    listener: HTTP,
    scheme: 'http',
    open: httpChannel,
  },
  {
    ...COMMON,
    name: 'sse',
    title: 'server-sent events: an answer over HTTP that does not end',
    listener: HTTP,
    scheme: 'sse',
    publishes: false,
    open: sseChannel,
  },
  {
    ...COMMON,
    name: 'ws',
    title: 'portico.json over WebSocket: commands and answers as JSON',
    listener: HTTP,
    scheme: 'ws',
    open: webSocketChannel,
  },
  {
    ...COMMON,
    name: 'ws-bare',
    title: 'a bare WebSocket: the socket is the topic, a message the payload',
    listener: HTTP,
    scheme: 'ws',
    acknowledges: false,
    open: (place) => Promise.resolve(new BareChannel(place)),
  },
  {
    ...COMMON,
    name: 'mqtt',
    title: 'MQTT 5.0, QoS 1',
    listener: { protocol: 'mqtt', on: 'tcp' },
    scheme: 'mqtt',
    open: mqttChannel,
  },
  {
    ...COMMON,
    name: 'lines',
    title: 'Lines over TCP: commands that can be typed',
    listener: { protocol: 'lines', on: 'tcp' },
    scheme: 'tcp',
    open: linesChannel,
  },
  {
    ...COMMON,
    name: 'udp',
    title: 'Lines over UDP: a datagram a command',
    listener: { protocol: 'lines', on: 'udp' },
    scheme: 'udp',
    isConnection: false,
    open: (place, turn, sees) => udpChannel(place, turn, (port, make) => watched(port, make, sees)),
  },
  {
    ...COMMON,
    name: 'grpc',
    title: 'gRPC over HTTP/2: a call to publish, a stream of answers to read',
    listener: HTTP,
    scheme: 'grpc',
    open: callsChannel,
  },
  {
    ...COMMON,
    name: 'graphql',
    title: 'GraphQL: a mutation to publish, a subscription over server-sent events',
    listener: HTTP,
    scheme: 'graphql',
    open: callsChannel,
  },
  {
    ...COMMON,
    name: 'soap',
    title: 'SOAP: an envelope to publish; it has no way to be told',
    listener: HTTP,
    scheme: 'soap',
    subscribes: false,
    open: callsChannel,
  },
  {
    ...COMMON,
    name: 'smtp',
    title: 'SMTP: a mail to topics+…, whose body is the message; it only goes in',
    listener: { protocol: 'smtp', on: 'tcp' },
    scheme: 'smtp',
    subscribes: false,
    signsIn: false,
    spells: mailAddressOf,
    open: mailChannel,
  },
];

/** The session of a port, with all that crosses it told. */
function watched(
  port: DatagramPort,
  make: (port: DatagramPort) => DatagramSession,
  sees: SeesDatagram,
): DatagramSession {
  const seen: DatagramPort = {
    local: port.local,
    ecn: port.ecn,
    get room() {
      return port.room;
    },
    send(to, local, bytes, start, end, segment) {
      const isTaken = port.send(to, local, bytes, start, end, segment);
      if (isTaken) sees('in', copyOf(bytes, start, end));
      return isTaken;
    },
    touch: () => port.touch(),
    close: () => port.close(),
  };
  const session = make(seen);
  return {
    get deadline() {
      return session.deadline;
    },
    receive(input, start, end, ...rest) {
      sees('out', copyOf(input, start, end));
      session.receive(input, start, end, ...rest);
    },
    tick: (clock) => session.tick(clock),
    leave: (why, clock) => session.leave(why, clock),
    lost: (cause, wire, clock) => session.lost(cause, wire, clock),
  };
}

/** The address is the topic, and a frame is a payload: there is nothing else to say. */
class BareChannel implements Channel {
  readonly closed = Promise.resolve();
  private readonly place: StopPlace;
  private readonly sockets: Awaited<ReturnType<typeof connect>>[] = [];

  constructor(place: StopPlace) {
    this.place = place;
  }

  async publish(topic: string, payload: Buffer): Promise<null> {
    const socket = await this.connect(topic, '?echo=false');
    await socket.send(payload.toString());
    return null;
  }

  async subscribe(filter: string, _options: unknown, { message }: { message(message: Shown): void }): Promise<void> {
    const socket = await this.connect(filter, '');
    void this.read(socket, filter, message);
  }

  close(): void {
    for (const socket of this.sockets.splice(0)) void socket.close();
  }

  private async connect(topic: string, query: string): ReturnType<typeof connect> {
    const socket = await connect(`ws://${authorityOf(this.place)}${pathOf(topic)}${query}`, {
      headers: credentialsOf(this.place),
    });
    this.sockets.push(socket);
    return socket;
  }

  private async read(
    socket: AsyncIterable<string | Buffer>,
    topic: string,
    message: (message: Shown) => void,
  ): Promise<void> {
    try {
      for await (const payload of socket)
        message({ topic, payload: Buffer.from(payload as string), retained: null, cursor: null });
    } catch {
      // That nothing arrives any more is seen, and said.
    }
  }
}
