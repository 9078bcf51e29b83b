// Operations on one socket of graphql-transport-ws: what its messages ask for is begun, and its answers are sent.
import type { MessageSession, Messages } from '../../core/messages.ts';
import { addressText } from '../../core/peer.ts';
import { BAD_USER_INPUT, errorJson } from './codes.ts';
import { type Engine, isRefused } from './engine.ts';
import type { Asker, Doing, Output } from './execution.ts';
import { readParameters } from './request.ts';
import type { GraphqlHost } from './server-topics.ts';
import { TransportSession, type Upper } from './session.ts';

class SocketOperation implements Output {
  readonly id: string;
  private readonly server: SocketServer;
  doing: Doing | null = null;
  over = false;

  constructor(id: string, server: SocketServer) {
    this.id = id;
    this.server = server;
  }

  get room(): number {
    return this.over ? 0 : this.server.session.room;
  }

  next(text: string): void {
    if (!this.over) this.server.session.next(this.id, text);
  }

  end(): void {
    if (this.over) return;
    this.over = true;
    this.server.ended(this);
  }

  cancel(): void {
    if (this.over) return;
    this.over = true;
    this.doing?.cancel();
  }
}

export class SocketServer implements Upper {
  readonly session: TransportSession;
  private readonly engine: Engine;
  private readonly operations = new Map<string, SocketOperation>();

  constructor(session: TransportSession, engine: Engine) {
    this.session = session;
    this.engine = engine;
  }

  open(): boolean {
    return true;
  }

  get size(): number {
    return this.operations.size;
  }

  has(id: string): boolean {
    return this.operations.has(id);
  }

  private asker(): Asker {
    const { caller, peer, id } = this.session.messages;
    const from = `graphql/${addressText(peer.remote)}`;
    return { caller, connection: id, name: caller.account === '' ? from : `${from}/${caller.account}` };
  }

  subscribe(id: string, payload: Readonly<Record<string, unknown>>): void {
    const { engine, session } = this;
    const request = readParameters(payload);
    if (typeof request === 'string') {
      session.error(id, JSON.stringify([{ message: request, extensions: { code: BAD_USER_INPUT } }]));
      return;
    }
    const readied = engine.ready(request);
    if (isRefused(readied)) {
      session.error(id, JSON.stringify(readied.map((error) => errorJson(error))));
      return;
    }
    const operation = new SocketOperation(id, this);
    this.operations.set(id, operation);
    const doing = engine.start(readied, this.asker(), operation);
    if (!operation.over) operation.doing = doing;
  }

  ended(operation: SocketOperation): void {
    this.operations.delete(operation.id);
    this.session.complete(operation.id);
  }

  unsubscribe(id: string): void {
    const operation = this.operations.get(id);
    if (operation === undefined) return;
    this.operations.delete(id);
    operation.cancel();
  }

  roomy(): void {
    for (const { doing } of [...this.operations.values()]) doing?.more();
  }

  gone(): void {
    for (const operation of this.operations.values()) operation.cancel();
    this.operations.clear();
  }
}

/** graphql-transport-ws on a socket. */
export function serveSocket(messages: Messages, host: GraphqlHost, engine: Engine): MessageSession {
  return new TransportSession(messages, host.limits, host.clock, (session) => new SocketServer(session, engine));
}
