// Playbooks: conversations of clients with a server session over simulated pipes. Each runs with the bytes as they were
// sent, cut singly, and cut in pieces of up to seven, and must be the same every time.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ByteWriter } from '../../bytes/writer.ts';
import type { Fault } from '../../core/fault.ts';
import { bindLimits } from '../../core/limits.ts';
import { SILENT } from '../../core/log.ts';
import type { Cause, Pipe, Session } from '../../core/pipe.ts';
import { NO_EVENTS, type PipeBounds } from '../../core/stream-pipe.ts';
import { type Clock, NEVER } from '../../core/time.ts';
import type { Accounts } from '../../resources/accounts/contract.ts';
import { OPEN_ACCOUNTS } from '../../resources/accounts/open-accounts.ts';
import { type Link, linkPipes } from '../../sim/pipes.ts';
import { World } from '../../sim/world.ts';
import type { Authenticator } from '../text/authenticator.ts';
import { PacketReader } from './codec.ts';
import * as E from './encode.ts';
import { FakeTopics } from './fake-topics.ts';
import { limits as rows } from './limits.ts';
import * as P from './packets.ts';
import type { PropertyValues } from './properties.ts';
import { type MqttHost, serveMqtt } from './server.ts';
import type { MqttSession } from './session.ts';

/** What a client got: a packet's name and the fields that it has. */
export interface Got {
  readonly name: string;
  readonly [field: string]: unknown;
}

export interface Setting {
  readonly limits?: Readonly<Record<string, number>>;
  readonly bounds?: Partial<PipeBounds>;
  readonly accounts?: Accounts;
  readonly authenticators?: readonly Authenticator[];
}

/** How long is waited for what must come, and for what must not. */
const PATIENCE_MS = 400;

/** One run of a playbook. */
export class Stage {
  readonly world: World;
  readonly topics: FakeTopics;
  readonly faults: Fault[] = [];
  private readonly host: MqttHost;
  private readonly setting: Setting;
  private readonly cut: number;

  constructor(setting: Setting, cut: number) {
    this.world = new World(7 + cut);
    this.topics = new FakeTopics(this.world);
    this.setting = setting;
    this.cut = cut;
    const { world } = this;
    this.host = {
      resources: { accounts: setting.accounts ?? OPEN_ACCOUNTS, topics: this.topics },
      limits: bindLimits(rows, setting.limits),
      get clock() {
        return world.turn.clock;
      },
      entropy: world.random,
      reach: null as never,
      log: SILENT,
      software: 'Portico/test',
      routes: () => {},
    };
  }

  /** A client whose connection is open, and which has said nothing yet. */
  client(version: P.Version = P.V5): Client {
    return new Client(this, version, (near, far) =>
      linkPipes(this.world, near, far, {
        cut: this.cut,
        ...(this.setting.bounds === undefined ? {} : { bounds: this.setting.bounds }),
        events: { ...NO_EVENTS, faulted: (_pipe, fault) => void this.faults.push(fault) },
      }),
    );
  }

  /** A client that is connected: its CONNACK was 0. */
  joined(version: P.Version = P.V5, connect: Partial<P.Connect> = {}): Client {
    const client = this.client(version);
    client.connect(connect);
    client.gets('CONNACK', { reason: 0 });
    return client;
  }

  serve(pipe: Pipe): MqttSession {
    return serveMqtt(pipe, this.host, this.setting.authenticators);
  }

  pass(ms: number): void {
    this.world.pass(ms);
  }
}

/** Runs a playbook with its bytes cut in each way. */
export function play(name: string, book: (stage: Stage) => void | Promise<void>, setting: Setting = {}): void {
  test(name, async () => {
    for (const cut of [0, 1, 7]) {
      const stage = new Stage(setting, cut);
      try {
        await book(stage);
      } catch (error) {
        if (error instanceof Error) error.message += ` (cut ${cut})`;
        throw error;
      }
      assert.deepEqual(stage.world.bugs, [], `bugs (cut ${cut})`);
    }
  });
}

/** Lets promises go on that the server half waits for. */
export const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

export class Client implements Session {
  readonly version: P.Version;
  readonly stage: Stage;
  readonly link: Link;
  session!: MqttSession;
  deadline = NEVER;
  /** Why the connection ended; null while it stands. */
  cause: Cause | null = null;
  ended = false;
  /** Everything that came, in bytes. */
  bytes = 0;
  private readonly pipe: Pipe;
  private readonly reader: PacketReader;
  private readonly inbox: Got[] = [];

  constructor(
    stage: Stage,
    version: P.Version,
    join: (near: (pipe: Pipe) => Session, far: (pipe: Pipe) => Session) => Link,
  ) {
    this.stage = stage;
    this.version = version;
    this.reader = new PacketReader('server', {
      packetBytesMax: 268_435_455,
      userPropertiesMax: 1_000,
      filtersMax: 65_535,
    });
    this.reader.version = version;
    this.link = join(
      () => this,
      (pipe) => {
        this.session = stage.serve(pipe);
        return this.session;
      },
    );
    this.pipe = this.link.near;
  }

  // ---- Session -----------------------------------------------------------------------------------------------------

  receive(input: Uint8Array, start: number, end: number): number {
    this.bytes += end - start;
    let at = start;
    while (at < end) {
      const next = this.reader.read(input, at, end);
      if (next === -1) return at;
      if (next < 0) throw new Error(`the server broke the protocol: ${this.reader.fault?.id}`);
      at = next;
      if (this.reader.type !== 0) this.inbox.push(gotOf(this.reader, this.version));
    }
    return at;
  }
  overlong(): void {}
  writable(): void {}
  tick(): void {}
  finish(): void {
    this.ended = true;
    this.pipe.end();
  }
  leave(): void {}
  lost(cause: Cause, _wire: number, _clock: Clock): void {
    this.cause = cause;
  }

  // ---- what a client does ------------------------------------------------------------------------------------------

  /** Bytes as they are. */
  raw(...bytes: readonly number[]): void {
    this.pipe.out.copy(Uint8Array.from(bytes), 0, bytes.length);
    this.pipe.flush();
  }

  says(write: (out: ByteWriter, version: P.Version) => unknown): void {
    write(this.pipe.out, this.version);
    this.pipe.flush();
  }

  connect(fields: Partial<P.Connect> = {}): void {
    this.says((out, version) => E.writeConnect(out, connectOf(version, fields)));
  }

  publish(topic: string, payload: string | Uint8Array, options: PublishOptions = {}): void {
    this.says((out, version) => writePublish(out, version, topic, payload, options));
  }

  subscribe(packetId: number, filters: readonly FilterOptions[], properties: PropertyValues | null = null): void {
    this.says((out, version) => E.writeSubscribe(out, version, packetId, filters.map(requestOf), properties));
  }

  unsubscribe(packetId: number, ...filters: string[]): void {
    this.says((out, version) => E.writeUnsubscribe(out, version, packetId, filters, null));
  }

  ack(type: P.AckType, packetId: number, reason = 0): void {
    this.says((out, version) => E.writeAck(out, version, type, packetId, reason, null));
  }

  ping(): void {
    this.says((out) => E.writePingreq(out));
  }

  disconnect(reason = 0, properties: PropertyValues | null = null): void {
    this.says((out, version) => E.writeDisconnect(out, version, reason, properties));
  }

  auth(reason: number, properties: PropertyValues | null): void {
    this.says((out) => E.writeAuth(out, reason, properties));
  }

  /** The end of the stream, without a word. */
  hangUp(): void {
    this.pipe.end();
    this.stage.pass(PATIENCE_MS);
  }

  /** The wire is cut. */
  cut(): void {
    this.link.cut();
    this.stage.pass(10);
  }

  // ---- what it must be told ----------------------------------------------------------------------------------------

  /** The next packet, which must come and have these fields. */
  gets(name: string, fields: Readonly<Record<string, unknown>> = {}): Got {
    const got = this.next();
    assert.ok(got, `nothing came for ${name} ${JSON.stringify(fields)}`);
    check(got, name, fields);
    return got;
  }

  /** The next packets in any order. */
  getsAll(...wanted: readonly [string, Readonly<Record<string, unknown>>][]): void {
    const got = wanted.map(() => this.next());
    for (const [name, fields] of wanted) {
      const at = got.findIndex((it) => it !== undefined && fits(it, name, fields));
      assert.ok(at >= 0, `no ${name} ${JSON.stringify(fields)} in ${JSON.stringify(got)}`);
      got.splice(at, 1);
    }
  }

  nothing(ms = PATIENCE_MS): void {
    this.stage.pass(ms);
    assert.deepEqual(this.inbox, []);
  }

  /** All that came by now. */
  all(): Got[] {
    this.stage.pass(PATIENCE_MS);
    return this.inbox.splice(0);
  }

  /** The server has ended the connection, and nothing more came. */
  closed(): void {
    for (let waited = 0; waited < 3_000 && !this.ended && this.cause === null; waited += 10) this.stage.pass(10);
    assert.deepEqual(this.inbox, []);
    assert.ok(this.ended || this.cause !== null, 'the connection is still open');
  }

  stays(): void {
    this.stage.pass(PATIENCE_MS);
    assert.ok(!this.ended && this.cause === null, 'the connection was closed');
  }

  private next(): Got | undefined {
    for (let waited = 0; waited < PATIENCE_MS && this.inbox.length === 0; waited++) this.stage.pass(1);
    return this.inbox.shift();
  }
}

export interface PublishOptions {
  readonly qos?: P.Qos;
  readonly packetId?: number;
  readonly retain?: boolean;
  readonly dup?: boolean;
  readonly properties?: PropertyValues;
}

export interface FilterOptions extends Partial<P.SubscriptionRequest> {
  readonly filter: string;
}

export function requestOf(options: FilterOptions): P.SubscriptionRequest {
  return { qos: 0, noLocal: false, retainAsPublished: false, retainHandling: 0, ...options };
}

export function connectOf(version: P.Version, fields: Partial<P.Connect> = {}): P.Connect {
  return {
    version,
    clientId: 'c',
    cleanStart: true,
    keepAlive: 0,
    will: null,
    username: null,
    password: null,
    properties: {},
    ...fields,
  };
}

/** A PUBLISH as a client writes it. */
export function writePublish(
  out: ByteWriter,
  version: P.Version,
  topic: string,
  payload: string | Uint8Array,
  options: PublishOptions = {},
): void {
  const { properties = {} } = options;
  const content: P.PublishContent = {
    topic,
    payload: typeof payload === 'string' ? Buffer.from(payload) : payload,
    contentType: properties.contentType ?? '',
    text: properties.payloadFormat === 1,
    properties: properties.user ?? [],
    responseTopic: properties.responseTopic ?? '',
    correlation: properties.correlation ?? null,
  };
  const head = new P.PublishHead();
  head.qos = options.qos ?? 0;
  head.retain = options.retain ?? false;
  head.dup = options.dup ?? false;
  head.packetId = options.packetId ?? 0;
  head.expiry = properties.messageExpiry ?? -1;
  head.alias = properties.topicAlias ?? 0;
  const frame = E.encodePublish(content, version, false, head.expiry);
  out.copy(frame, E.writePublishHead(out, frame, version, head), frame.length);
}

/** Bytes of one packet, for `raw`. */
export function bytesOf(write: (out: ByteWriter) => unknown): number[] {
  const out = new ByteWriter(1_000_000);
  write(out);
  return [...out.bytes.subarray(0, out.length)];
}

function gotOf(reader: PacketReader, version: P.Version): Got {
  const { type, packetId, reason, reasons } = reader;
  const name = P.PACKET_NAMES[type]!;
  const properties = propertiesOf(reader);
  const said = version === P.V5 ? properties : {};
  switch (type) {
    case P.CONNACK:
      return { name, sessionPresent: reader.sessionPresent, reason, ...said };
    case P.PUBLISH: {
      const payload = Buffer.from(reader.bytes.subarray(reader.payloadStart, reader.payloadEnd)).toString();
      const { qos, retain, dup } = reader;
      return { name, topic: reader.topic(), payload, qos, retain, dup, ...(qos > 0 ? { packetId } : {}), ...said };
    }
    case P.SUBACK:
    case P.UNSUBACK:
      return { name, packetId, reasons: [...reasons], ...said };
    case P.PINGRESP:
      return { name };
    case P.DISCONNECT:
    case P.AUTH:
      return { name, reasonCode: reason, ...said };
    default:
      return { name, packetId, reason, ...(Object.keys(said).length > 0 ? { said } : {}) };
  }
}

/** The properties that are there. `reason` as a property is called `why`: the code has that name. */
function propertiesOf(reader: PacketReader): Record<string, unknown> {
  const there: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(reader.properties)) {
    if (value === null || value === -1 || (Array.isArray(value) && value.length === 0)) continue;
    there[name === 'reason' ? 'why' : name] = value instanceof Uint8Array ? Buffer.from(value).toString() : value;
  }
  return there;
}

function fits(got: Got, name: string, fields: Readonly<Record<string, unknown>>): boolean {
  try {
    check(got, name, fields);
    return true;
  } catch {
    return false;
  }
}

function check(got: Got, name: string, fields: Readonly<Record<string, unknown>>): void {
  const seen: Record<string, unknown> = {};
  for (const field of Object.keys(fields)) seen[field] = got[field];
  assert.deepEqual({ name: got.name, ...seen }, { name, ...fields }, JSON.stringify(got));
}
