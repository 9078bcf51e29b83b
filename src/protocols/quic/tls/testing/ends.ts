// A client and a server of the handshake, end to end without packets: what one sends the other receives, in pieces of any
// size, and everything that they tell is kept.
import assert from 'node:assert/strict';
import type { Fault } from '../../../../core/fault.ts';
import type { Clock, Entropy } from '../../../../core/time.ts';
import type { TlsPolicy } from '../../../../core/tls.ts';
import {
  APPLICATION,
  EARLY,
  HANDSHAKE,
  type Handshake,
  type HandshakeEvents,
  INITIAL,
  type Level,
  type Protection,
  type Ticket,
  VERSION_1,
} from '../../crypto.ts';
import { LevelProtection } from '../../protection/protection.ts';
import { opened, sealed } from '../../protection/testing/packets.ts';
import { type ClientOptions, clientHandshake, type ServerOptions, serverHandshake } from '../index.ts';
import { HOST, NOW, ROOT, SERVER } from './certificates.ts';

/** The same bytes of chance in every run. */
export function seeded(seed: number): Entropy {
  let state = seed;
  return {
    fill(into) {
      for (let at = 0; at < into.length; at++) {
        state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
        into[at] = state >>> 24;
      }
    },
  };
}

export const CLIENT_PARAMETERS = Buffer.from('0104800000010f0403010203', 'hex');
export const SERVER_PARAMETERS = Buffer.from('010480000002050480001000', 'hex');

export class End implements HandshakeEvents {
  readonly name: string;
  readonly sent: { readonly level: Level; readonly bytes: Buffer }[] = [];
  readonly protections = new Map<Level, LevelProtection>();
  readonly tickets: Ticket[] = [];
  readonly told: string[] = [];
  peerParameters: Buffer | null = null;
  refusal: Fault | null = null;
  fault: Fault | null = null;
  handshake!: Handshake;

  constructor(name: string) {
    this.name = name;
  }

  send(level: Level, bytes: Uint8Array, start: number, end: number): void {
    assert.ok(end > start);
    this.sent.push({ level, bytes: Buffer.from(bytes.subarray(start, end)) });
  }

  keys(level: Level, protection: Protection): void {
    assert.ok(protection instanceof LevelProtection);
    this.protections.set(level, protection);
    this.told.push(`keys ${level}${protection.canSeal ? ' seal' : ''}${protection.canOpen ? ' open' : ''}`);
  }

  parameters(bytes: Uint8Array, start: number, end: number): Fault | null {
    this.peerParameters = Buffer.from(bytes.subarray(start, end));
    this.told.push('parameters');
    return this.refusal;
  }

  earlyRefused(): void {
    this.told.push('early refused');
  }

  ticket(ticket: Ticket): void {
    this.tickets.push(ticket);
  }
}

export interface Given {
  readonly client?: PartialOptions;
  readonly server?: PartialOptions;
  readonly clientParameters?: Buffer;
  readonly serverParameters?: Buffer;
  readonly wall?: number;
  readonly refusal?: { readonly client?: Fault; readonly server?: Fault };
}

type PartialOptions = Omit<Partial<ClientOptions & ServerOptions>, 'policy'> & { readonly policy?: Partial<TlsPolicy> };

export interface Pair {
  readonly client: End;
  readonly server: End;
  readonly clock: Clock;
}

export const CLIENT_POLICY: TlsPolicy = {
  role: 'client',
  authorities: ROOT.pem,
  serverName: HOST,
  alpn: ['h3', 'hq-interop'],
};
export const SERVER_POLICY: TlsPolicy = { role: 'server', ...SERVER, alpn: ['h3'] };

/** Two ends that have begun; the client's hello waits. */
export function pair(given: Given = {}): Pair {
  const client = new End('client');
  const server = new End('server');
  const clock = { now: 0, wall: given.wall ?? NOW };
  const optionsOf = ({ policy, ...rest }: PartialOptions, own: TlsPolicy, seed: number) => ({
    version: VERSION_1 as typeof VERSION_1,
    entropy: seeded(seed),
    ...rest,
    policy: { ...own, ...policy },
  });
  client.handshake = clientHandshake(optionsOf(given.client ?? {}, CLIENT_POLICY, 1), client);
  server.handshake = serverHandshake(optionsOf(given.server ?? {}, SERVER_POLICY, 2), server);
  client.refusal = given.refusal?.client ?? null;
  server.refusal = given.refusal?.server ?? null;
  server.handshake.begin(given.serverParameters ?? SERVER_PARAMETERS, clock);
  client.handshake.begin(given.clientParameters ?? CLIENT_PARAMETERS, clock);
  return { client, server, clock };
}

/** Whoever has said something is heard, until nobody has or one is at fault. `cut` says how long the next piece is. */
export function run({ client, server, clock }: Pair, cut: (left: number) => number = (left) => left): void {
  for (;;) {
    const from = client.sent.length > 0 ? client : server.sent.length > 0 ? server : null;
    if (from === null) return;
    const to = from === client ? server : client;
    const { level, bytes } = from.sent.shift()!;
    deliver(to, level, bytes, clock, cut);
    if (to.fault !== null) return;
  }
}

export function deliver(
  to: End,
  level: Level,
  bytes: Buffer,
  clock: Clock,
  cut: (left: number) => number = (left) => left,
): void {
  for (let at = 0; at < bytes.length && to.fault === null; ) {
    const size = Math.max(1, Math.min(cut(bytes.length - at), bytes.length - at));
    // What is borrowed is not there afterwards.
    const piece = Buffer.concat([Buffer.from('..'), bytes.subarray(at, at + size), Buffer.from('..')]);
    to.fault = to.handshake.receive(level, piece, 2, 2 + size, clock);
    piece.fill(0xee);
    at += size;
  }
}

/** A handshake from its beginning to its end, without fault, and packets both ways at each level that is left. */
export function done(given: Given = {}): Pair {
  const both = pair(given);
  run(both);
  const { client, server } = both;
  assert.deepEqual([client.fault, server.fault], [null, null]);
  assert.ok(client.handshake.complete && server.handshake.complete);
  agree(both);
  return both;
}

/** That both ends hold the same keys. */
export function agree({ client, server }: Pair): void {
  for (const level of [HANDSHAKE, APPLICATION] as const) {
    const [one, other] = [client.protections.get(level)!, server.protections.get(level)!];
    for (const [from, to] of [
      [one, other],
      [other, one],
    ] as const)
      assert.equal(String(opened(to, sealed(from, 3, Buffer.from('hello there')), 3)), 'hello there');
  }
  assert.deepEqual([client.handshake.suite, client.handshake.group], [server.handshake.suite, server.handshake.group]);
  assert.equal(client.handshake.alpn, server.handshake.alpn);
  assert.equal(client.handshake.resumed, server.handshake.resumed);
}

export { APPLICATION, EARLY, HANDSHAKE, INITIAL };
