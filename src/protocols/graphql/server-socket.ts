// Operations on one socket of graphql-transport-ws: what its messages ask for is begun, and its answers are sent.
import { ANYONE, type Caller } from '../../core/caller.ts';
import type { MessageSession, Messages } from '../../core/messages.ts';
import { addressText, type Peer } from '../../core/peer.ts';
import type { Credentials, SignInRefusal, SignInWaiter } from '../../resources/accounts/contract.ts';
import { readCredentials } from '../http/credentials.ts';
import { BAD_USER_INPUT, errorJson } from './codes.ts';
import { type Engine, isRefused } from './engine.ts';
import type { Asker, Doing, Output } from './execution.ts';
import { isObject, readParameters } from './request.ts';
import type { GraphqlHost } from './server-topics.ts';
import { TransportSession, type Upper } from './session.ts';

class SocketOperation implements Output {
  readonly id: string;
  readonly isStream: boolean;
  private readonly server: SocketServer;
  doing: Doing | null = null;
  over = false;

  constructor(id: string, isStream: boolean, server: SocketServer) {
    this.id = id;
    this.isStream = isStream;
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

type Accounts = GraphqlHost['resources']['accounts'];

export class SocketServer implements Upper, SignInWaiter {
  readonly session: TransportSession;
  private readonly engine: Engine;
  private readonly host: Pick<GraphqlHost, 'clock'> & { readonly resources: { readonly accounts: Accounts } };
  private readonly operations = new Map<string, SocketOperation>();
  private caller: Caller;

  constructor(session: TransportSession, engine: Engine, host: SocketServer['host']) {
    this.session = session;
    this.engine = engine;
    this.host = host;
    this.caller = session.messages.caller;
  }

  /** Who said so in the request is who they are; others say it here, or are nobody. */
  open(payload: Readonly<Record<string, unknown>> | null): boolean | null {
    const { caller, peer } = this.session.messages;
    const { accounts } = this.host.resources;
    const given = authorizationOf(payload);
    if (given === null) return caller.by !== ANYONE || this.became(nobodyOf(accounts, peer, caller));
    if (caller.account !== '') return true;
    const credentials = credentialsOf(given);
    if (credentials === null) return false;
    // What came through a proxy is not of this machine.
    const from = caller.origin === 'remote' ? { ...peer, forwarded: true } : peer;
    const answer = accounts.signIn(credentials, from, 'graphql', this, 0);
    return answer === null ? null : this.became(answer);
  }

  signedIn(_token: number, answer: Caller | SignInRefusal): void {
    if (!this.session.isOver) this.session.opened(this.became(answer), this.host.clock);
  }

  private became(answer: Caller | SignInRefusal | null): boolean {
    if (answer === null || 'refused' in answer) return false;
    this.caller = answer;
    this.session.messages.signedIn?.(answer);
    return true;
  }

  get size(): number {
    return this.operations.size;
  }

  has(id: string): boolean {
    return this.operations.has(id);
  }

  private asker(): Asker {
    const { caller } = this;
    const { peer, id } = this.session.messages;
    const from = `graphql/${addressText(peer.remote)}`;
    return { caller, connection: id, metadata: [], name: caller.account === '' ? from : `${from}/${caller.account}` };
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
    const operation = new SocketOperation(id, readied.operation.kind === 'subscription', this);
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

  endStreams(): void {
    for (const { id, isStream } of [...this.operations.values()]) if (isStream) this.unsubscribe(id);
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
  return new TransportSession(messages, host.limits, host.clock, (session) => new SocketServer(session, engine, host));
}

/** `{"authorization":"Bearer …"}`, as HTTP's field; also below `headers`, where some clients put it. */
function authorizationOf(payload: Readonly<Record<string, unknown>> | null): string | null {
  const { headers } = payload ?? {};
  for (const place of [payload, isObject(headers) ? headers : null]) {
    const found = place?.authorization ?? place?.Authorization;
    if (typeof found === 'string') return found;
  }
  return null;
}

function credentialsOf(authorization: string): Credentials | null {
  const read = readCredentials(authorization);
  if (read?.scheme === 'bearer') return { kind: 'token', token: read.token };
  return read?.scheme === 'basic' ? { kind: 'password', account: read.account, password: read.password } : null;
}

/** Without a name, where such are let in. What came through a proxy is not of this machine. */
function nobodyOf(accounts: Accounts, peer: Peer, { origin }: Caller): Caller | null {
  return accounts.nobody(origin === 'remote' ? { ...peer, forwarded: true } : peer);
}
