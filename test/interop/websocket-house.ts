// WebSockets on real TCP sockets, over HTTP/1.1: a server that echoes and fans out, and clients of ours. For tests.
import { bindLimits } from '../../src/core/limits.ts';
import { SILENT } from '../../src/core/log.ts';
import type { MessageSession, Messages } from '../../src/core/messages.ts';
import { NO_EVENTS, PIPE_BOUNDS } from '../../src/core/stream-pipe.ts';
import { NEVER } from '../../src/core/time.ts';
import { limits as httpLimits } from '../../src/protocols/http1/limits.ts';
import { type Http1Host, Http1Session } from '../../src/protocols/http1/session.ts';
import { WebSocketClient } from '../../src/protocols/websocket/client.ts';
import { webSocketUpgrade } from '../../src/protocols/websocket/handshake.ts';
import { limits } from '../../src/protocols/websocket/limits.ts';
import { ENTROPY } from '../../src/server/server.ts';
import { NODE_LOOP, TurnLoop } from '../../src/server/turn.ts';
import { dial } from '../../src/transports/socket-pipe.ts';
import { listenStream } from '../../src/transports/tcp.ts';

/** Answers each message with itself, or hands it to all: by the path. */
class Answering implements MessageSession {
  deadline = NEVER;
  private readonly messages: Messages;
  private readonly all: Set<Messages> | null;

  constructor(messages: Messages, all: Set<Messages> | null) {
    this.messages = messages;
    this.all = all;
    all?.add(messages);
  }

  receive(input: Uint8Array, start: number, end: number, text: boolean): void {
    const { messages, all } = this;
    const bytes = Buffer.from(input.subarray(start, end));
    if (bytes.toString() === 'close, please') messages.end(4_001, 'as you wish');
    for (const other of all ?? [messages]) {
      other.send(bytes, 0, bytes.length, text);
      other.flush();
    }
    if (messages.room === 0) messages.pause();
  }

  writable(): void {
    this.messages.resume();
  }

  tick(): void {}

  leave(): void {
    this.messages.end(1001);
  }

  lost(): void {
    this.all?.delete(this.messages);
  }
}

export interface House {
  readonly port: number;
  readonly bugs: unknown[];
  close(): Promise<void>;
}

/** Serves `/echo` with any of the subprotocols `a` and `b`, or none, and `/all`. */
export async function openHouse(bounds: Readonly<Record<string, number>> = {}): Promise<House> {
  const bugs: unknown[] = [];
  const turn = new TurnLoop(NODE_LOOP, (error) => void bugs.push(error));
  const all = new Set<Messages>();
  const echo = (subprotocol: string) => ({
    subprotocol,
    paths: ['/echo', '/echo/'],
    messages: (messages: Messages) => new Answering(messages, null),
  });
  const routes = webSocketUpgrade(
    [
      ...['', 'a', 'b'].map(echo),
      { subprotocol: '', paths: ['/all'], messages: (messages) => new Answering(messages, all) },
    ],
    { limits: bindLimits(limits, bounds), entropy: ENTROPY },
  );
  const host: Http1Host = {
    resources: {},
    limits: bindLimits(httpLimits),
    get clock() {
      return turn.clock;
    },
    entropy: ENTROPY,
    reach: null as never,
    log: SILENT,
    software: 'Portico/test',
    routes,
  };
  const pipes = new Map<number, { reset(wire: number): void }>();
  const listening = await listenStream({
    turn,
    bounds: PIPE_BOUNDS,
    events: { ...NO_EVENTS, closed: ({ id }) => void pipes.delete(id) },
    admit: () => true,
    opened: (pipe) => void pipes.set(pipe.id, pipe),
    accept: (pipe) => new Http1Session(pipe, host),
  });
  return {
    port: listening.address!.port,
    bugs,
    async close() {
      for (const pipe of pipes.values()) pipe.reset(0);
      await listening.close();
    },
  };
}

/** A client of ours that writes down what it hears. */
export class Caller implements MessageSession {
  deadline = NEVER;
  readonly heard: { readonly bytes: Buffer; readonly text: boolean }[] = [];
  messages: Messages | null = null;
  closed = 0;
  refused = '';

  static call(port: number, target: string, subprotocols: readonly string[] = [], compress = true): Caller {
    const caller = new Caller();
    const turn = new TurnLoop(NODE_LOOP, (error) => {
      throw error;
    });
    dial(
      { host: '127.0.0.1', port },
      null,
      { turn, bounds: PIPE_BOUNDS, events: NO_EVENTS },
      (pipe) =>
        new WebSocketClient(pipe, {
          authority: `127.0.0.1:${port}`,
          target,
          subprotocols,
          compress,
          limits: bindLimits(limits, { messageBytesMax: 64_000_000 }),
          entropy: ENTROPY,
          open: (messages) => {
            caller.messages = messages;
            return caller;
          },
          refused: (fault, cause, status) => {
            caller.refused = `${fault?.id ?? cause} ${status}`;
          },
        }),
      (cause, why) => {
        caller.refused = `${cause} ${why}`;
      },
    );
    return caller;
  }

  say(bytes: Buffer, text: boolean): void {
    this.messages!.send(bytes, 0, bytes.length, text);
    this.messages!.flush();
  }

  receive(input: Uint8Array, start: number, end: number, text: boolean): void {
    this.heard.push({ bytes: Buffer.from(input.subarray(start, end)), text });
  }

  writable(): void {}
  tick(): void {}
  leave(): void {}

  lost(_cause: string, wire: number): void {
    this.closed = wire;
  }
}
