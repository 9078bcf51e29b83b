// Zones that other servers have as well: those that come from primaries, refreshed by their SOA's times or when a NOTIFY says so
// (RFC 1034 §4.3.5, RFC 1996), and those whose secondaries are told of changes. It has no socket and no timer of its own.
import { randomInt } from 'node:crypto';
import { u32 } from '../../bytes/reader.ts';
import { OK, type Outcome } from '../../core/outcome.ts';
import { type Clock, type Instant, NEVER } from '../../core/time.ts';
import { serialAt, TYPE } from '../../formats/dns/records.ts';
import type { Names, OtherServer, Zone } from '../../resources/names/contract.ts';
import { Message } from './codec.ts';
import { MessageWriter } from './codec-write.ts';
import { type Came, TransferIn } from './server-transfer-in.ts';
import { Signing, type TsigKey } from './tsig.ts';
import * as W from './wire.ts';

/** How a message is carried to another server. `heard` is called for each that comes, until it answers false. */
export interface Carriers {
  ask(
    server: OtherServer,
    carrier: 'udp' | 'tcp',
    query: Uint8Array,
    heard: (bytes: Uint8Array, start: number, end: number) => boolean,
    failed: (why: string) => void,
  ): () => void;
}

export interface FollowersOptions {
  readonly names: Names;
  readonly carriers: Carriers;
  readonly keys: readonly TsigKey[];
  readonly clock: () => Clock;
  /** When a secondary was last as its primary, in milliseconds since 1970; 0 for never. */
  readonly refreshedAt: (zone: Zone) => number;
  readonly setUsable: (zone: Zone, usable: boolean) => void;
  readonly log: (text: string, fields: Readonly<Record<string, unknown>>) => void;
  /** Reads `due` again. */
  readonly touch: () => void;
}

/** Bounds of what primaries say of times, in seconds: one that says 0 is not asked without end. */
const LEAST_S = 2;
const MOST_S = 14 * 86_400;
/** A primary that never was reached is tried again after these. */
const FIRST_RETRY_MS = 5_000;
/** Without a message for so long a transfer is given up. */
const SILENCE_MS = 30_000;
/** Tries of a NOTIFY, each after twice the time (RFC 1996 §3.6). */
const NOTIFY_TRIES = 5;
const NOTIFY_FIRST_MS = 2_000;

interface Secondary {
  readonly zone: Zone;
  /** When it is refreshed next, and when what it has is no longer told. */
  at: Instant;
  expiresAt: Instant;
  running: Attempt | null;
  /** It was notified while a transfer ran. */
  again: boolean;
  /** Which primary is next. */
  turn: number;
}

/** One transfer under way. */
interface Attempt {
  silentAt: Instant;
  readonly stop: () => void;
}

interface Notifying {
  readonly zone: Zone;
  readonly server: OtherServer;
  tries: number;
  at: Instant;
  stop: () => void;
}

export class Followers {
  private readonly options: FollowersOptions;
  private readonly secondaries: Secondary[] = [];
  private notifying: Notifying[] = [];
  private readonly message = new Message();
  private closed = false;

  constructor(options: FollowersOptions) {
    this.options = options;
    options.names.onChange((zone) => this.notifyAll(zone));
  }

  /** Begins with all zones; once. */
  begin(): void {
    const { now } = this.options.clock();
    for (const zone of this.options.names.zones()) {
      if (zone.kind === 'secondary') {
        const secondary: Secondary = { zone, at: now, expiresAt: NEVER, running: null, again: false, turn: 0 };
        this.secondaries.push(secondary);
        this.setExpiry(secondary);
      } else this.notifyAll(zone);
    }
    this.options.touch();
  }

  get due(): Instant {
    if (this.closed) return NEVER;
    let due = NEVER;
    for (const { at, expiresAt, running, zone } of this.secondaries)
      due = Math.min(due, running === null ? at : running.silentAt, zone.usable ? expiresAt : NEVER);
    for (const { at } of this.notifying) due = Math.min(due, at);
    return due;
  }

  tick({ now }: Clock): void {
    for (const secondary of this.secondaries) {
      if (now >= secondary.expiresAt && secondary.zone.usable) this.expire(secondary);
      const { running } = secondary;
      if (running !== null && now >= running.silentAt) {
        running.stop();
        this.failed(secondary, 'nothing came for too long');
      } else if (running === null && now >= secondary.at) this.refresh(secondary);
    }
    for (const notifying of [...this.notifying]) if (now >= notifying.at) this.notify(notifying);
  }

  close(): void {
    this.closed = true;
    for (const { running } of this.secondaries) running?.stop();
    for (const { stop } of this.notifying.splice(0)) stop();
  }

  // ---- from primaries ----------------------------------------------------------------------------------------------

  /** A NOTIFY came for a zone. False when it is not from whom it may come. */
  notified(zone: Zone, host: string, key: string): boolean {
    const secondary = this.secondaries.find((each) => each.zone === zone);
    if (secondary === undefined) return false;
    const from = zone.primaries.findIndex((each) => each.host === host && (each.key === null || each.key === key));
    if (from < 0) return false;
    secondary.turn = from;
    if (secondary.running !== null) secondary.again = true;
    else {
      secondary.at = this.options.clock().now;
      this.options.touch();
    }
    return true;
  }

  /** Asks a primary for what has changed; for everything where nothing is known yet, or it does not do the other. */
  private refresh(secondary: Secondary, whole = false): void {
    const { zone } = secondary;
    const { clock, carriers } = this.options;
    const server = zone.primaries[secondary.turn % zone.primaries.length]!;
    const known = zone.contents.setOf(1, TYPE.SOA) !== 0;
    const incremental = known && !whole;
    const key = server.key === null ? null : (this.options.keys.find(({ name }) => name === server.key) ?? null);
    const signing = key === null ? null : Signing.query(key);
    const query = transferQuery(zone, incremental, signing, clock().wall);
    const coming = new TransferIn(zone.origin, known ? zone.serial : -1);
    let stop = () => {};
    const attempt: Attempt = { silentAt: clock().now + SILENCE_MS, stop: () => stop() };
    secondary.running = attempt;
    stop = carriers.ask(
      server,
      'tcp',
      query,
      (bytes, start, end) => {
        if (secondary.running !== attempt) return false;
        attempt.silentAt = clock().now + SILENCE_MS;
        return this.heard(secondary, coming, signing, incremental, bytes, start, end);
      },
      (why) => {
        if (secondary.running === attempt) this.failed(secondary, why);
      },
    );
    this.options.touch();
  }

  private heard(
    secondary: Secondary,
    coming: TransferIn,
    signing: Signing | null,
    incremental: boolean,
    bytes: Uint8Array,
    start: number,
    end: number,
  ): boolean {
    const { message } = this;
    if (message.read(bytes, start, end) < 0 || !message.isAnswer)
      return this.failed(secondary, 'a message is malformed');
    if (signing !== null && !signing.checkAnswer(message, this.options.clock().wall))
      return this.failed(secondary, 'the signature of an answer does not hold');
    const { rcode } = message;
    if (rcode !== W.RCODE.NOERROR) {
      // A primary that does not know IXFR (RFC 1995 §4).
      const unknown = rcode === W.RCODE.NOTIMP || rcode === W.RCODE.FORMERR || rcode === W.RCODE.REFUSED;
      if (!incremental || !unknown) return this.failed(secondary, `the primary answers ${W.rcodeName(rcode)}`);
      secondary.running = null;
      this.refresh(secondary, true);
      return false;
    }
    const came = coming.take(message);
    if (came === 'more') return true;
    if (came === 'broken') return this.failed(secondary, coming.why);
    if (signing?.isOpen === true) return this.failed(secondary, 'the last message is not signed');
    this.came(secondary, coming, came);
    return false;
  }

  private came(secondary: Secondary, coming: TransferIn, came: Came): void {
    const { names } = this.options;
    const { zone } = secondary;
    const done = (outcome: Outcome) => {
      secondary.running = null;
      if (outcome === OK) this.succeeded(secondary);
      else this.failed(secondary, 'what came could not be kept');
    };
    const waiter = { settled: (_token: number, outcome: Outcome) => done(outcome) };
    if (came === 'same') names.transferred(zone, null, coming.soa, coming.soaTtl, waiter, 0);
    else if (came === 'whole') names.transferred(zone, coming.contents, coming.soa, coming.soaTtl, waiter, 0);
    else
      for (const [index, { changes, soa, soaTtl }] of coming.steps.entries()) {
        const last = index === coming.steps.length - 1;
        names.transferred(zone, changes, soa, soaTtl, last ? waiter : { settled() {} }, 0);
      }
  }

  private succeeded(secondary: Secondary): void {
    const { zone } = secondary;
    const { clock, setUsable } = this.options;
    const [refresh] = timesOf(zone);
    // Not all at once (RFC 1033's advice, and what all do): up to a tenth earlier.
    secondary.at = secondary.again ? clock().now : clock().now + refresh * (0.9 + randomInt(1_000) / 10_000);
    secondary.again = false;
    setUsable(zone, true);
    this.setExpiry(secondary);
    this.options.touch();
  }

  private failed(secondary: Secondary, why: string): false {
    const { zone } = secondary;
    const { clock, log } = this.options;
    const server = zone.primaries[secondary.turn % zone.primaries.length]!;
    log('a zone could not be transferred', { zone: zone.name, from: `${server.host}:${server.port}`, why });
    secondary.running = null;
    secondary.turn++;
    const known = zone.contents.setOf(1, TYPE.SOA) !== 0;
    // The others are asked at once.
    const others = secondary.turn % zone.primaries.length !== 0;
    secondary.at = clock().now + (others ? 100 : known ? timesOf(zone)[1] : FIRST_RETRY_MS);
    this.options.touch();
    return false;
  }

  private setExpiry(secondary: Secondary): void {
    const { zone } = secondary;
    const { now, wall } = this.options.clock();
    const refreshed = this.options.refreshedAt(zone);
    if (zone.contents.setOf(1, TYPE.SOA) === 0) return;
    secondary.expiresAt = now + (refreshed === 0 ? 0 : refreshed - wall) + timesOf(zone)[2];
  }

  private expire(secondary: Secondary): void {
    this.options.log('a zone has expired: its primaries were not reached', { zone: secondary.zone.name });
    this.options.setUsable(secondary.zone, false);
  }

  // ---- to secondaries ----------------------------------------------------------------------------------------------

  private notifyAll(zone: Zone): void {
    if (zone.notify.length === 0 || !zone.usable || this.closed) return;
    const { now } = this.options.clock();
    for (const { stop } of this.notifying.filter((each) => each.zone === zone)) stop();
    this.notifying = this.notifying.filter((each) => each.zone !== zone);
    for (const server of zone.notify) this.notifying.push({ zone, server, tries: 0, at: now, stop: () => {} });
    this.options.touch();
  }

  private notify(notifying: Notifying): void {
    const { zone, server } = notifying;
    const { clock, carriers, keys, log } = this.options;
    notifying.stop();
    const drop = () => {
      this.notifying = this.notifying.filter((each) => each !== notifying);
    };
    if (notifying.tries === NOTIFY_TRIES) {
      log('a secondary does not answer', { zone: zone.name, secondary: `${server.host}:${server.port}` });
      drop();
      return;
    }
    const key = server.key === null ? undefined : keys.find(({ name }) => name === server.key);
    const query = notifyQuery(zone, key === undefined ? null : Signing.query(key), clock().wall);
    notifying.at = clock().now + NOTIFY_FIRST_MS * 2 ** notifying.tries++;
    const id = query.readUInt16BE(0);
    notifying.stop = carriers.ask(
      server,
      'udp',
      query,
      (bytes, start, end) => {
        const { message } = this;
        if (message.read(bytes, start, end) < 0 || message.id !== id || !message.isAnswer) return true;
        // Whatever it says, it has heard (RFC 1996 §4.7).
        drop();
        this.options.touch();
        return false;
      },
      () => {},
    );
    this.options.touch();
  }
}

const OUT = new MessageWriter();
const BYTES = Buffer.alloc(1_024);

function transferQuery(zone: Zone, incremental: boolean, signing: Signing | null, wall: number): Buffer {
  OUT.begin(BYTES, 0, BYTES.length);
  OUT.question(zone.origin, 0, incremental ? TYPE.IXFR : TYPE.AXFR, 1);
  if (incremental) writeSoa(zone, 8);
  OUT.header(randomInt(65_536), 0);
  signing?.sign(OUT, wall);
  return Buffer.from(BYTES.subarray(0, OUT.length));
}

/** NOTIFY with the SOA that there is now (RFC 1996 §3.7). */
function notifyQuery(zone: Zone, signing: Signing | null, wall: number): Buffer {
  OUT.begin(BYTES, 0, BYTES.length);
  OUT.question(zone.origin, 0, TYPE.SOA, 1);
  writeSoa(zone, 6);
  OUT.header(randomInt(65_536), (W.OPCODE.NOTIFY << 11) | W.AA);
  signing?.sign(OUT, wall);
  return Buffer.from(BYTES.subarray(0, OUT.length));
}

function writeSoa({ contents, origin }: Zone, section: number): void {
  const set = contents.setOf(1, TYPE.SOA);
  const at = contents.firstRecord(set);
  OUT.record(section, origin, 0, TYPE.SOA, 1, contents.ttlOf(set), contents.arena, at, contents.recordEnd(at));
}

/** Refresh, retry and expire, in milliseconds. */
function timesOf({ contents }: Zone): [number, number, number] {
  const at = contents.firstRecord(contents.setOf(1, TYPE.SOA));
  const serial = serialAt(contents.arena, at);
  const times = [4, 8, 12].map(
    (offset) => Math.min(MOST_S, Math.max(LEAST_S, u32(contents.arena, serial + offset))) * 1_000,
  );
  return times as [number, number, number];
}
