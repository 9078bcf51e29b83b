// Lines over datagrams and the topics: one command a datagram, and subscriptions that last as long as their lease. What is
// sent to an address that has not shown that it can receive is never much larger than what came from there.
import type { Caller } from '../../core/caller.ts';
import type { DatagramPort, DatagramSession } from '../../core/datagram.ts';
import {
  BUSY,
  FULL,
  INVALID,
  MISSING,
  OK,
  type Outcome,
  UNKNOWN,
  UNSUPPORTED,
  type Waiter,
} from '../../core/outcome.ts';
import { type Address, addressText, isLoopback, type Peer } from '../../core/peer.ts';
import { type Clock, type Instant, NEVER } from '../../core/time.ts';
import { Tokens } from '../../core/tokens.ts';
import type { Attachment, Gap, Match, Message, Subscriber } from '../../resources/topics/contract.ts';
import { frameSlot } from '../../resources/topics/names.ts';
import { payloadOf } from './body.ts';
import { BAD_ESCAPE, CommandReader } from './codec.ts';
import { commandName, plainFrame } from './encode.ts';
import { Nonces } from './nonces.ts';
import type { LinesHost } from './server.ts';
import { KnownWords, topicWord, word } from './token.ts';
import * as W from './words.ts';

const SLOT = frameSlot();

/** IP and UDP headers, which count in what a reflected answer multiplies. */
const HEADERS = 28;

/** What may go to an address that has not shown that it can receive, as a multiple of what came (as RFC 9000 §8.1). */
const AMPLIFICATION_MAX = 3;

/** When a port that was full is tried again. */
const AGAIN_MS = 5;

/** Who asked for what, until it settles. */
interface Asked {
  readonly to: Address;
  /** The address of ours that it came to: answers leave from there. */
  readonly local: Address | null;
  readonly verb: number;
  readonly loud: boolean;
  /** Bytes that came. */
  readonly size: number;
  readonly seconds: number;
  /** The topic or filter, which the answer repeats: answers may be lost or come in any order. */
  readonly about: string;
}

export interface DatagramFigures {
  published: number;
  /** Datagrams that are no command, or come from ourselves. */
  ignored: number;
  /** Commands that could not be done. */
  refused: number;
  /** Answers that would have been too large for an address that has shown nothing. */
  withheld: number;
  /** Commands that came while as many as may be were under way. */
  overrun: number;
  tooBig: number;
  leases: number;
}

export class LinesDatagrams implements DatagramSession, Waiter {
  readonly figures: DatagramFigures = {
    published: 0,
    ignored: 0,
    refused: 0,
    withheld: 0,
    overrun: 0,
    tooBig: 0,
    leases: 0,
  };
  readonly port: DatagramPort;
  readonly host: LinesHost;
  private readonly reader: CommandReader;
  private readonly words = new KnownWords();
  private readonly asked: Tokens<Asked>;
  private readonly leases = new Map<string, Lease>();
  private readonly perHost = new Map<string, number>();
  private readonly nonces: Nonces;
  /** Whoever sends from this machine, and from elsewhere; null when they are not let in. Good for one epoch of the rules. */
  private callers: { readonly local: Caller | null; readonly remote: Caller | null } = { local: null, remote: null };
  private callersEpoch = -1;
  private readonly stopListening: () => void;
  /** The earliest end of a lease, or earlier. */
  private expiresAt: Instant = NEVER;
  /** When subscribers that found no room are tried again. */
  private againAt: Instant = NEVER;

  constructor(port: DatagramPort, host: LinesHost) {
    this.port = port;
    this.host = host;
    const { datagramBytesMax, unansweredMax, nonceMs } = host.limits;
    // A datagram is as long as it is: what bounds lines over a stream bounds nothing here.
    this.reader = new CommandReader({ lineBytesMax: Math.max(datagramBytesMax, 65_535), payloadBytesMax: 65_535 });
    this.asked = new Tokens(unansweredMax);
    this.nonces = new Nonces(host.entropy, nonceMs);
    this.stopListening = host.resources.accounts.onRevoked(() => this.revoke());
  }

  get deadline(): Instant {
    return Math.min(this.expiresAt, this.againAt);
  }

  // ---- what comes in -----------------------------------------------------------------------------------------------

  receive(
    input: Uint8Array,
    start: number,
    end: number,
    from: Address,
    local: Address | null,
    _ecn: number,
    clock: Clock,
  ): void {
    const { reader, port } = this;
    const own = from.port === port.local.port && from.host === port.local.host;
    // What is no command is not answered: it may be somebody's answer, and two servers would talk for ever.
    if (own || !reader.readDatagram(input, start, end)) {
      this.figures.ignored++;
      return;
    }
    const { verb, loud, wrong } = reader;
    const topic = wrong === '' ? this.words.read(input, reader.topicStart, reader.topicEnd) : null;
    const asked: Asked = { to: from, local, verb, loud, size: end - start, seconds: 0, about: topic ?? '' };
    if (topic === null) {
      this.error(asked, INVALID, wrong === '' ? BAD_ESCAPE : wrong);
      return;
    }
    switch (verb) {
      case W.PUB:
      case W.PUT:
      case W.PUBB:
      case W.PUTB:
      case W.DEL:
        this.publish(input, topic, asked);
        return;
      case W.PING:
        this.answer(asked, '+PONG\n');
        return;
      case W.SUB:
      case W.UNSUB:
      case W.LAST:
        this.withLease(topic, asked, clock);
        return;
      default:
        this.error(asked, UNSUPPORTED, 'this is for TCP');
    }
  }

  private callerOf({ host }: Address): Caller | null {
    // Nobody can sign in by datagram: where accounts are needed, only what is granted to anonymous is let in.
    const { accounts } = this.host.resources;
    if (this.callersEpoch !== accounts.permissions.epoch) {
      this.callersEpoch = accounts.permissions.epoch;
      this.callers = { local: accounts.nobody(peerAt('127.0.0.1')), remote: accounts.nobody(peerAt('192.0.2.1')) };
    }
    return isLoopback(host) ? this.callers.local : this.callers.remote;
  }

  /** Somebody is not let in any more: leases that were made by them end. */
  private revoke(): void {
    for (const lease of [...this.leases.values()]) if (this.callerOf(lease.to) === null) this.drop(lease);
  }

  private publish(input: Uint8Array, topic: string, asked: Asked): void {
    const { reader } = this;
    const caller = this.callerOf(asked.to);
    if (caller === null) {
      this.error(asked, UNKNOWN);
      return;
    }
    const token = this.asked.open(asked);
    if (token === 0) {
      this.figures.overrun++;
      return;
    }
    const retain = asked.verb === W.PUT || asked.verb === W.PUTB || asked.verb === W.DEL;
    const payload =
      asked.verb === W.DEL ? Buffer.alloc(0) : payloadOf(input, reader.payloadStart, reader.payloadEnd, retain);
    this.figures.published++;
    const publication = { topic, payload, retain, assurance: 0 as const };
    this.host.resources.topics.publish(caller, publication, this, token);
  }

  settled(token: number, outcome: Outcome, value: number): void {
    const asked = this.asked.take(token);
    if (asked === undefined) return;
    const { verb, loud, seconds, about } = asked;
    if (outcome !== OK) {
      this.error(asked, outcome);
      return;
    }
    if (!loud) return;
    const said = verb === W.SUB ? seconds : verb === W.UNSUB ? 0 : value;
    this.answer(asked, `+OK ${said} ${word(about)}\n`);
  }

  // ---- leases ------------------------------------------------------------------------------------------------------

  /**
   * SUB, UNSUB and LAST: what comes of it may be much more than what was asked, so whoever asks must show each time that
   * they are where they say. One who once subscribed could else be kept flooded by others.
   */
  private withLease(topic: string, asked: Asked, clock: Clock): void {
    const { to, verb } = asked;
    const { reader } = this;
    const caller = this.callerOf(to);
    const lease = this.leases.get(addressText(to));
    if (caller === null) this.error(asked, UNKNOWN);
    else if (reader.after >= 0 || reader.encoding !== 'auto') this.error(asked, INVALID, 'this is for TCP');
    else if (!isLoopback(to.host) && !this.nonces.holds(to, reader.nonce, clock))
      this.answer(asked, `CHALLENGE ${this.nonces.make(to, clock)}\n`);
    else if (verb === W.UNSUB) this.unsubscribe(lease, topic, asked);
    else if (verb === W.LAST) this.last(caller, topic, asked);
    else this.subscribe(caller, lease, topic, asked, clock);
  }

  private unsubscribe(lease: Lease | undefined, filter: string, asked: Asked): void {
    if (lease === undefined || !lease.filters.delete(filter)) {
      this.error(asked, MISSING);
      return;
    }
    const token = this.asked.open(asked);
    lease.attachment.unsubscribe(filter, undefined, this, token);
    if (lease.filters.size === 0) this.drop(lease);
  }

  private last(caller: Caller, topic: string, asked: Asked): void {
    const message = this.host.resources.topics.retained(caller, topic);
    if (message === null) this.error(asked, MISSING, 'nothing is retained');
    else if (typeof message === 'number') this.error(asked, message);
    else this.sendMessage(asked, message);
  }

  private subscribe(caller: Caller, known: Lease | undefined, filter: string, asked: Asked, clock: Clock): void {
    const { limits } = this.host;
    const wanted = this.reader.leaseSeconds < 0 ? limits.leaseMs : this.reader.leaseSeconds * 1_000;
    const ms = Math.max(1_000, Math.min(wanted, limits.leaseMaxMs));
    const lease = known ?? this.makeLease(caller, asked);
    if (lease === null) return;
    const renewed = lease.filters.has(filter);
    if (!renewed && lease.filters.size >= limits.leaseFiltersMax) {
      this.error(asked, FULL, 'this address is subscribed to as many filters as may be');
      return;
    }
    lease.filters.set(filter, clock.now + ms);
    this.expiresAt = Math.min(this.expiresAt, clock.now + ms);
    const told = { ...asked, seconds: Math.floor(ms / 1_000) };
    if (renewed) {
      if (asked.loud) this.answer(asked, `+OK ${told.seconds} ${word(filter)}\n`);
      return;
    }
    const waiter: Waiter = {
      settled: (token, outcome, value) => {
        if (outcome !== OK) this.forget(lease, filter);
        this.settled(token, outcome, value);
      },
    };
    lease.attachment.subscribe({ filter, assurance: 0 }, waiter, this.asked.open(told));
  }

  private forget(lease: Lease, filter: string): void {
    lease.filters.delete(filter);
    if (lease.filters.size === 0) this.drop(lease);
  }

  private makeLease(caller: Caller, asked: Asked): Lease | null {
    const { limits, resources } = this.host;
    const { to } = asked;
    const ofHost = this.perHost.get(to.host) ?? 0;
    if (this.leases.size >= limits.leasesMax || ofHost >= limits.leasesPerHostMax) {
      this.error(asked, BUSY, 'as many addresses are subscribed as may be');
      return null;
    }
    const name = addressText(to);
    const lease = new Lease(this, asked, name);
    lease.attachment = resources.topics.attach(caller, lease, {
      policy: 'keep-latest',
      queueMessagesMax: limits.leaseQueueMessagesMax,
      queueBytesMax: limits.queueBytesMax,
      name: `lines-udp/${name}`,
    });
    this.leases.set(name, lease);
    this.perHost.set(to.host, ofHost + 1);
    this.figures.leases++;
    return lease;
  }

  drop(lease: Lease): void {
    if (!this.leases.delete(lease.name)) return;
    lease.attachment.detach();
    this.figures.leases--;
    const left = this.perHost.get(lease.to.host)! - 1;
    if (left === 0) this.perHost.delete(lease.to.host);
    else this.perHost.set(lease.to.host, left);
  }

  tick(clock: Clock): void {
    if (clock.now >= this.againAt) {
      this.againAt = NEVER;
      for (const lease of this.leases.values()) lease.goOn();
    }
    if (clock.now < this.expiresAt) return;
    this.expiresAt = NEVER;
    for (const lease of [...this.leases.values()]) this.expire(lease, clock);
  }

  private expire(lease: Lease, clock: Clock): void {
    for (const [filter, at] of lease.filters) {
      if (at > clock.now) {
        this.expiresAt = Math.min(this.expiresAt, at);
        continue;
      }
      lease.filters.delete(filter);
      lease.attachment.unsubscribe(filter, undefined, this, 0);
    }
    if (lease.filters.size === 0) this.drop(lease);
  }

  // ---- what goes out -----------------------------------------------------------------------------------------------

  private error(asked: Asked, outcome: Outcome, text = W.OUTCOME_TEXTS[outcome]): void {
    this.figures.refused++;
    this.answer(
      asked,
      `-ERR ${W.OUTCOME_WORDS[outcome]} ${commandName(asked.verb, asked.loud)} ${text}
`,
    );
  }

  /** Answers a datagram of `size` bytes. */
  private answer({ to, local, size }: Asked, text: string): void {
    const bytes = Buffer.from(text);
    const proven = isLoopback(to.host) || this.leases.has(addressText(to));
    if (proven || bytes.length + HEADERS <= (size + HEADERS) * AMPLIFICATION_MAX)
      this.port.send(to, local, bytes, 0, bytes.length, 0);
    else this.figures.withheld++;
  }

  /** The bytes of a message as a datagram. */
  frameOf(message: Message): Uint8Array {
    const size = message.payload.length + message.topic.length;
    const most = this.host.limits.datagramBytesMax;
    // What is surely too long need not be copied to know it.
    const frame = size > most ? null : (message.frames[SLOT] ??= plainFrame(message));
    if (frame !== null && frame.length <= most) return frame;
    const told = Buffer.from(`TOOBIG ${word(message.topic)} ${message.payload.length}\n`);
    return told.length <= most ? told : told.subarray(0, most);
  }

  sendMessage({ to, local }: Pick<Asked, 'to' | 'local'>, message: Message): void {
    const frame = this.frameOf(message);
    if (frame !== message.frames[SLOT]) this.figures.tooBig++;
    this.port.send(to, local, frame, 0, frame.length, 0);
  }

  /** The port had no room: whoever waits is tried again soon. */
  later(): void {
    if (this.againAt !== NEVER) return;
    this.againAt = this.host.clock.now + AGAIN_MS;
    this.port.touch();
  }

  leave(): void {
    this.port.close();
  }

  lost(): void {
    this.stopListening();
    for (const lease of [...this.leases.values()]) this.drop(lease);
    this.asked.clear();
  }
}

function peerAt(host: string): Peer {
  return { carrier: 'udp', remote: { host, port: 0 }, local: null, tls: null, below: null, stream: null };
}

/** An address that is subscribed. */
class Lease implements Subscriber {
  readonly to: Address;
  readonly local: Address | null;
  readonly name: string;
  attachment!: Attachment;
  /** When each filter's lease ends. */
  readonly filters = new Map<string, Instant>();
  private readonly datagrams: LinesDatagrams;
  private waits = false;

  constructor(datagrams: LinesDatagrams, { to, local }: Asked, name: string) {
    this.datagrams = datagrams;
    this.to = to;
    this.local = local;
    this.name = name;
  }

  reserve(message: Message, _match: Match): number {
    const { datagrams } = this;
    if (
      datagrams.port.room >=
      Math.min(
        message.payload.length * 3 + topicWord(message.topic).length * 3 + 32,
        datagrams.host.limits.datagramBytesMax,
      )
    )
      return 1;
    this.waits = true;
    datagrams.later();
    return 0;
  }

  deliver(message: Message): void {
    this.datagrams.sendMessage(this, message);
  }

  goOn(): void {
    if (!this.waits) return;
    this.waits = false;
    this.attachment.more();
  }

  release(): void {
    // Nothing is delivered here that has to be released.
  }

  gap(_gap: Gap): void {
    // Nobody goes on behind a cursor over datagrams.
  }

  overflow(): void {
    this.datagrams.drop(this);
  }

  superseded(): void {
    this.datagrams.drop(this);
  }
}
