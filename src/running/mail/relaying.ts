// Brings the mail of the queue to other servers: by MX or by way of a smart host, within TLS where that can be had, over connections
// that are kept a moment for the next.
import { domainToASCII } from 'node:url';
import type { RelayPlan } from '../../config/mail.ts';
import type { Log } from '../../core/log.ts';
import { OK } from '../../core/outcome.ts';
import type { Pipe } from '../../core/pipe.ts';
import type { Reach } from '../../core/reach.ts';
import type { Reading, Sink } from '../../core/sink.ts';
import type { Clock, Entropy, Instant } from '../../core/time.ts';
import type { TlsPolicy } from '../../core/tls.ts';
import { type Turn, Turned } from '../../core/turn.ts';
import { SmtpClient } from '../../protocols/smtp/client.ts';
import type { OutgoingMessage, RecipientOutcome, Trouble } from '../../protocols/smtp/client-terms.ts';
import { literalOf, planOf, shuffled } from '../../protocols/smtp/destinations.ts';
import { judgeTlsa, mayTake, type StsPolicy, usableTlsa } from '../../protocols/smtp/transport-security.ts';
import type { PasswordCredentials } from '../../protocols/text/sasl-client.ts';
import type { Carriage, Carrier, Result } from '../../resources/mail/queue-contract.ts';
import type { Lookup } from '../names/looking-up.ts';
import type { StsPolicies } from './relaying-policies.ts';

export interface RelayingOptions {
  readonly plan: RelayPlan;
  /** PEM, in place of the authorities that all know. */
  readonly authorities?: string | undefined;
  /** How this server calls itself. */
  readonly name: string;
  /** Domains and hosts that are this server. */
  readonly isOwn: (host: string) => boolean;
  readonly turn: Turn;
  readonly reach: Reach;
  readonly entropy: Entropy;
  readonly lookup: Lookup;
  /** What other domains say of the TLS to them. */
  readonly policies: Pick<StsPolicies, 'of'>;
  readonly log: Log;
  /** What stands before a message on its way out: its signatures. */
  readonly sealed: (carriage: Carriage) => Promise<Buffer>;
}

/** Where one attempt to connect goes. */
interface Place {
  /** As it is named in logs and asked for in TLS. */
  readonly host: string;
  /** What is dialled. */
  readonly address: string;
  readonly port: number;
  /** TLS from the first byte. */
  readonly isImplicit: boolean;
  readonly tls: TlsPolicy | null;
  readonly tlsRequired: boolean;
  readonly credentials: PasswordCredentials | null;
}

type Places = { readonly places: readonly Place[] } | { readonly refused: Result };

/** Addresses that are tried for one mail. */
const PLACES_MAX = 12;
/** How long a connection is kept with nothing to send (RFC 5321 has no word on it; servers see it gladly end). */
const KEPT_MS = 2_000;
const KEPT_MAX = 20;
/** Mails on one connection. */
const MAILS_MAX = 100;

/** A connection that stands, between mails. */
interface Kept {
  readonly client: SmtpClient;
  readonly place: Place;
  readonly extensions: ReadonlyMap<string, string>;
  mails: number;
  until: Instant;
  /** Told what became of the mail on it. */
  sent: ((outcomes: readonly RecipientOutcome[]) => void) | null;
}

export class Relaying extends Turned implements Carrier {
  private readonly options: RelayingOptions;
  private readonly kept = new Map<string, Set<Kept>>();
  private readonly smartHost: SmartHost | null;
  private isClosed = false;

  constructor(options: RelayingOptions) {
    super();
    this.options = options;
    const { plan, authorities } = options;
    this.smartHost = plan.smartHost === undefined ? null : smartHostOf(plan.smartHost, plan, authorities);
  }

  // ---- Carrier -----------------------------------------------------------------------------------------------------

  destinationOf(domain: string): string {
    return this.smartHost === null ? domain : `${this.smartHost.host}:${this.smartHost.port}`;
  }

  carry(destination: string, carriage: Carriage): void {
    this.bring(destination, carriage).catch((error: unknown) => {
      this.options.turn.bug(error, 'relaying');
      carriage.done(all(carriage, later('4.3.0 A fault of this server.')), false);
    });
  }

  private async bring(destination: string, carriage: Carriage): Promise<void> {
    const before = await this.options.sealed(carriage);
    const known = this.takeKept(destination);
    if (known !== null) {
      const outcomes = await this.send(destination, known, carriage, before);
      // It had gone meanwhile: nobody has heard of the mail.
      if (!outcomes.every(isUnheard)) {
        carriage.done(resultsOf(outcomes, known.place), false);
        return;
      }
    }
    const found = await this.placesOf(destination);
    if ('refused' in found) {
      carriage.done(all(carriage, found.refused), false);
      return;
    }
    await this.tryEach(destination, found.places, carriage, before);
  }

  private async tryEach(
    destination: string,
    places: readonly Place[],
    carriage: Carriage,
    before: Buffer,
  ): Promise<void> {
    let last: Result = later('4.4.1 There is no address to bring it to.');
    let isReached = false;
    let results: readonly Result[] | null = null;
    for (const place of places) {
      if (this.isClosed) break;
      const opened = await this.openAt(destination, place);
      if ('stage' in opened) {
        last = { state: 'transient', text: opened.text, server: place.host };
        continue;
      }
      isReached = true;
      const outcomes = await this.send(destination, opened, carriage, before);
      results = resultsOf(outcomes, place);
      if (!outcomes.every(isUnheard)) break;
    }
    carriage.done(results ?? all(carriage, last), !isReached);
  }

  // ---- where to ----------------------------------------------------------------------------------------------------

  private async placesOf(destination: string): Promise<Places> {
    const { smartHost } = this;
    if (smartHost !== null) return { places: [{ ...smartHost, address: smartHost.host }] };
    const { entropy, isOwn, lookup } = this.options;
    const literal = literalOf(destination);
    if (literal !== null) return { places: [this.placeOf(destination, literal)] };
    const domain = domainToASCII(destination) || destination;
    const mx = await lookup.find(domain, 'MX');
    const plan = planOf(domain, mx, isOwn, entropy);
    if (plan.kind === 'refused')
      return { refused: { state: plan.isPermanent ? 'permanent' : 'transient', text: plan.text, server: '' } };
    if (plan.kind === 'address') return { places: [this.placeOf(domain, plan.address)] };
    const places: Place[] = [];
    const policy = await this.options.policies.of(domain);
    let isKnown = true;
    let forbidden = '';
    for (const host of plan.hosts) {
      if (places.length >= PLACES_MAX) break;
      const addresses = await this.addressesOf(host);
      isKnown &&= addresses !== null;
      if (addresses === null || addresses.values.length === 0) continue;
      const terms = await this.termsFor(domain, host, policy, mx.isSecure && addresses.isSecure);
      if (typeof terms === 'string') forbidden = terms;
      else for (const address of addresses.values) places.push({ ...this.placeOf(host, address), ...terms });
    }
    // Somebody may be in between: it is tried until that is over (RFC 8461 §5, RFC 7672 §2.1).
    if (places.length === 0 && forbidden !== '') return { refused: later(forbidden) };
    if (places.length > 0) return { places: places.slice(0, PLACES_MAX) };
    const text = isKnown
      ? `5.4.4 No host for mail of ${domain} has an address.`
      : `4.4.3 DNS does not say now where ${plan.hosts[0]} is.`;
    return { refused: { state: isKnown ? 'permanent' : 'transient', text, server: '' } };
  }

  /** The TLS that a host must have by what is published of it, beside what is configured; or why it is not to be used. */
  private async termsFor(
    domain: string,
    host: string,
    policy: StsPolicy | null,
    isSecure: boolean,
  ): Promise<Partial<Place> | string> {
    const { lookup, plan, turn } = this.options;
    if (isSecure) {
      const found = await lookup.find(`_${plan.port}._tcp.${host}`, 'TLSA');
      // Whoever keeps the answer away must not have the mail in the clear (RFC 7672 §2.1.2).
      if (found.kind === 'failed') return `4.7.5 DNS does not say now which certificate ${host} has.`;
      if (found.isSecure && found.values.length > 0) {
        const records = usableTlsa(found.values);
        const tls: TlsPolicy = { role: 'client', serverName: host, verify: false };
        // None that can be used still say that there is TLS (RFC 7672 §2.2).
        if (records.length === 0) return { tls, tlsRequired: true };
        const judge: TlsPolicy['judge'] = (chain) => judgeTlsa(records, chain, [host, domain], turn.clock.wall);
        return { tls: { ...tls, judge }, tlsRequired: true };
      }
    }
    if (policy?.mode !== 'enforce') return {};
    if (!mayTake(policy, host))
      return `4.7.5 ${host} is none of the hosts that ${domain} has its mail brought to (MTA-STS).`;
    const { authorities } = this.options;
    const trust = authorities === undefined ? {} : { authorities };
    return { tls: { role: 'client', serverName: host, ...trust }, tlsRequired: true };
  }

  /** Of both families, in turn; null where that is not known now. */
  private async addressesOf(
    host: string,
  ): Promise<{ readonly values: readonly string[]; readonly isSecure: boolean } | null> {
    const { lookup, entropy } = this.options;
    const [six, four] = await Promise.all([lookup.find(host, 'AAAA'), lookup.find(host, 'A')]);
    if (six.kind === 'failed' && four.kind !== 'data') return null;
    if (four.kind === 'failed' && six.kind !== 'data') return null;
    const sixes = shuffled(six.values, entropy);
    const fours = shuffled(four.values, entropy);
    const mixed: string[] = [];
    for (let at = 0; at < Math.max(sixes.length, fours.length); at++)
      mixed.push(...[sixes[at], fours[at]].filter((address) => address !== undefined));
    return { values: mixed, isSecure: six.isSecure && four.isSecure };
  }

  private placeOf(host: string, address: string): Place {
    const { plan, authorities } = this.options;
    // Where nobody says which certificate is right, any is better than none (RFC 7435).
    const { tls: wanted = 'offered' } = plan;
    const trust = authorities === undefined ? {} : { authorities };
    const tls: TlsPolicy = { role: 'client', serverName: host, verify: wanted === 'verified', ...trust };
    return {
      ...{ host, address, port: plan.port, isImplicit: false, credentials: null },
      tls,
      tlsRequired: wanted !== 'offered',
    };
  }

  // ---- connections -------------------------------------------------------------------------------------------------

  /** Connects; without TLS once more, where a handshake failed that nobody insists on. */
  private async openAt(destination: string, place: Place): Promise<Kept | Trouble> {
    const opened = await this.open(destination, place);
    if (!('stage' in opened) || opened.stage !== 'tls' || place.tlsRequired || place.tls === null) return opened;
    this.options.log.info('a mail server offers TLS that fails, and is sent to without', {
      server: place.host,
      why: opened.text,
    });
    return this.open(destination, { ...place, tls: null });
  }

  private open(destination: string, place: Place): Promise<Kept | Trouble> {
    const { reach, turn, entropy, name } = this.options;
    return new Promise((resolve) => {
      let kept: Kept | null = null;
      const begin = (pipe: Pipe) => {
        pipe.speaks('reach/smtp');
        const client: SmtpClient = new SmtpClient(
          pipe,
          {
            ...{ name, entropy, credentials: place.credentials, tlsRequired: place.tlsRequired },
            tls: place.isImplicit ? null : place.tls,
          },
          {
            ready: (extensions) => {
              kept = { client, place, extensions, mails: 0, until: Number.POSITIVE_INFINITY, sent: null };
              resolve(kept);
            },
            unready: resolve,
            sent: (outcomes) => {
              const sent = kept!.sent!;
              kept!.sent = null;
              // Whether it stands is known once this call is over.
              setImmediate(() => {
                this.keep(destination, kept!);
                sent(outcomes);
              });
            },
            closed: () => {
              if (kept !== null) this.drop(destination, kept);
            },
          },
          turn.clock,
        );
        return client;
      };
      const { address, port } = place;
      reach.dial({ host: address, port }, place.isImplicit ? place.tls : null, begin, (cause, why) => {
        const stage = cause === 'handshake' ? 'tls' : 'connection';
        resolve({ stage, isPermanent: false, reply: null, text: `4.4.1 ${place.host} cannot be reached: ${why}` });
      });
    });
  }

  private async send(
    destination: string,
    kept: Kept,
    carriage: Carriage,
    before: Buffer,
  ): Promise<readonly RecipientOutcome[]> {
    const { mail } = carriage;
    const { extensions } = kept;
    // Only for a server of long ago is it worth a look what is in it.
    const isAll = extensions.has('8BITMIME') && (extensions.has('SMTPUTF8') || !mail.isUtf8);
    const high = isAll ? { inHeader: true, inBody: true } : await highBytes(carriage);
    if (high === null || !kept.client.isIdle) {
      this.keep(destination, kept);
      return carriage.recipients.map(() => ({
        state: 'transient',
        reply: null,
        text: '4.3.0 The message could not be read.',
      }));
    }
    const recipients = carriage.recipients.map(({ address, ...wishes }) => ({
      ...wishes,
      address: asciiAddress(address),
    }));
    const from = asciiAddress(mail.from);
    const isUtf8 = [from, ...recipients.map(({ address }) => address)].some((address) => !isAscii(address));
    const message: OutgoingMessage = {
      ...{ from, recipients, ret: mail.ret, envid: mail.envid },
      size: before.length + mail.size,
      isEightBit: high.inHeader || high.inBody,
      isUtf8: isUtf8 || (mail.isUtf8 && high.inHeader),
      read: (sink) => new Joined(before, carriage, sink),
    };
    kept.mails++;
    return new Promise((resolve) => {
      kept.sent = resolve;
      kept.client.send(message);
    });
  }

  private takeKept(destination: string): Kept | null {
    const those = this.kept.get(destination);
    for (const each of those ?? []) {
      this.drop(destination, each);
      if (each.client.isIdle) return each;
    }
    return null;
  }

  private keep(destination: string, kept: Kept): void {
    if (!kept.client.isIdle) return;
    let those = this.kept.get(destination);
    if (this.isClosed || kept.mails >= MAILS_MAX || this.kept.size >= KEPT_MAX) {
      kept.client.quit();
      return;
    }
    if (those === undefined) this.kept.set(destination, (those = new Set()));
    those.add(kept);
    kept.until = this.options.turn.clock.now + KEPT_MS;
    this.options.turn.touch(this);
  }

  private drop(destination: string, kept: Kept): void {
    const those = this.kept.get(destination);
    if (those?.delete(kept) === true && those.size === 0) this.kept.delete(destination);
  }

  get due(): Instant {
    let due = Number.POSITIVE_INFINITY;
    for (const those of this.kept.values()) for (const { until } of those) due = Math.min(due, until);
    return due;
  }

  work(): void {}

  tick(clock: Clock): void {
    for (const [destination, those] of [...this.kept])
      for (const each of [...those]) {
        if (each.until > clock.now) continue;
        this.drop(destination, each);
        each.client.quit();
      }
  }

  /** Begins nothing more. */
  close(): void {
    this.isClosed = true;
    for (const those of this.kept.values()) for (const { client } of those) client.quit();
    this.kept.clear();
    this.options.turn.forget(this);
  }
}

// ---- a message ---------------------------------------------------------------------------------------------------------

/** What stands before a message, and the message. */
class Joined implements Reading {
  private readonly reading: Reading;

  constructor(before: Buffer, carriage: Carriage, sink: Sink) {
    if (before.length > 0) sink.bytes(before, 0, before.length);
    this.reading = carriage.read(0, carriage.mail.size, sink);
  }

  more(): void {
    this.reading.more();
  }

  stop(): void {
    this.reading.stop();
  }
}

/** Where a message has bytes beyond ASCII; null where it cannot be read. */
function highBytes(carriage: Carriage): Promise<{ inHeader: boolean; inBody: boolean } | null> {
  const found = { inHeader: false, inBody: false };
  let last = 0;
  let isBody = false;
  return new Promise((resolve) => {
    carriage.read(0, carriage.mail.size, {
      room: 65_536,
      bytes(data, start, end) {
        for (let at = start; at < end; at++) {
          const byte = data[at]!;
          if (byte > 0x7f) found[isBody ? 'inBody' : 'inHeader'] = true;
          if (byte === 0x0d) continue;
          if (byte === 0x0a && last === 0x0a) isBody = true;
          last = byte;
        }
      },
      end: (outcome) => resolve(outcome === OK ? found : null),
    });
  });
}

function isAscii(text: string): boolean {
  return /^[\x20-\x7e]*$/.test(text);
}

/** Where it is only the domain that is beyond ASCII, it has another form (RFC 5891 §4). */
function asciiAddress(address: string): string {
  const at = address.lastIndexOf('@');
  const local = address.slice(0, at);
  if (at < 0 || isAscii(address) || !isAscii(local)) return address;
  return `${local}@${domainToASCII(address.slice(at + 1)) || address.slice(at + 1)}`;
}

// ---- results -----------------------------------------------------------------------------------------------------------

function later(text: string): Result {
  return { state: 'transient', text, server: '' };
}

function all({ recipients }: Carriage, result: Result): Result[] {
  return recipients.map(() => result);
}

/** The server said nothing of it, and surely has not taken it: another may be asked at once. */
function isUnheard({ state, reply, isDoubtful = false }: RecipientOutcome): boolean {
  return state === 'transient' && !isDoubtful && (reply === null || reply.code === 421);
}

function resultsOf(outcomes: readonly RecipientOutcome[], { host }: Place): Result[] {
  return outcomes.map(({ state, text, isDoubtful, tells, reply }) => {
    return { state, text, isDoubtful, tells, server: reply === null && state === 'permanent' ? '' : host };
  });
}

// ---- the smart host ----------------------------------------------------------------------------------------------------

interface SmartHost extends Omit<Place, 'address'> {}

const PORTS: Readonly<Record<string, number>> = { 'smtp:': 25, 'smtps:': 465, 'submission:': 587 };

/** `smtps://user:password@relay.example.org:465`. Whoever is named is held to his name, unless less is asked for. */
export function smartHostOf(
  text: string,
  { tls = 'verified' }: Pick<RelayPlan, 'tls'>,
  authorities?: string,
): SmartHost {
  const url = new URL(text);
  const host = url.hostname.replace(/^\[|\]$/g, '');
  const account = decodeURIComponent(url.username);
  const trust = authorities === undefined ? {} : { authorities };
  return {
    ...{ host, port: url.port === '' ? PORTS[url.protocol]! : Number(url.port), isImplicit: url.protocol === 'smtps:' },
    tls: { role: 'client', serverName: host, verify: tls === 'verified', ...trust },
    tlsRequired: tls !== 'offered',
    credentials: account === '' ? null : { account, password: decodeURIComponent(url.password) },
  };
}
