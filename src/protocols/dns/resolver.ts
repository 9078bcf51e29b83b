// The resolver: questions in, answers out, by way of the cache, of what is proved, and of other servers. It has no socket and no clock:
// it is handed the time, gives queries to whoever carries them, and is told what arrived (RFC 1034 §5.3.3, RFC 4035 §4).
import { copyOf } from '../../bytes/reader.ts';
import type { Clock, Entropy, Instant } from '../../core/time.ts';
import { TYPE } from '../../formats/dns/records.ts';
import { keyOf, ROOT_NAME } from '../../formats/dnssec/names.ts';
import { BOGUS, Cache, endOf, type Finding, INSECURE, SECURE, type Security } from './cache.ts';
import { Message } from './codec.ts';
import { MessageWriter } from './codec-write.ts';
import { type Ask, Dice } from './resolver-asks.ts';
import type { BlockList } from './resolver-blocks.ts';
import { Deadlines } from './resolver-deadlines.ts';
import { Denials } from './resolver-denials.ts';
import { type Attempt, Finder } from './resolver-find.ts';
import { Budget, Job, Jobs, type Work } from './resolver-jobs.ts';
import { Judge, type TrustAnchor, type Verdict } from './resolver-judge.ts';
import type { ResolverBound } from './resolver-limits.ts';
import { writeQuery } from './resolver-reply.ts';
import { type Carrier, Delegations, type NamedServer, type ServerPoint, Servers } from './resolver-servers.ts';
import { HINFO_FOR_ANY, LOCALHOST, localhost, nobodys } from './resolver-special.ts';
import { EDE, RCODE } from './wire.ts';

/** Carries queries. For each token it calls `arrived` or `failed` of the resolver, never within `send`. */
export interface Outside {
  /** Over UDP: from a port that nobody can guess, and hears only what comes from that very address and port. */
  send(token: number, point: ServerPoint, carrier: Carrier, query: Uint8Array): void;
  /** Nothing more is wanted of it. */
  drop(token: number): void;
}

export interface ForwardedZone {
  readonly zone: Buffer;
  readonly to: readonly ServerPoint[];
}

export interface ResolverSettings {
  readonly bound: ResolverBound;
  /** Where the root is asked. */
  readonly roots: readonly NamedServer[];
  readonly forward: readonly ForwardedZone[];
  readonly anchors: readonly TrustAnchor[];
  readonly insecure: readonly Buffer[];
  readonly minimises: boolean;
  readonly families: readonly (4 | 6)[];
  readonly port: number;
  readonly mayAsk: (host: string) => boolean;
  /** Names that nobody outside can know are answered here, unless a zone is forwarded that holds them. */
  readonly special: boolean;
  readonly blocks: BlockList;
  /** What a blocked name is answered with: that it is not there, or these addresses. */
  readonly blockedTo: readonly Buffer[] | null;
}

export interface Answer {
  readonly rcode: number;
  /** Aliases in order, and what stands at their end. */
  readonly steps: readonly Finding[];
  readonly security: Security;
  readonly ede: number;
  readonly stale: boolean;
  /** From what is kept, without asking anybody. */
  readonly cached: boolean;
}

export interface Question {
  readonly name: Buffer;
  readonly type: number;
  /** The client judges for itself (RFC 4035 §3.2.2). */
  readonly checkingDisabled: boolean;
  /** Whose questions are counted together. */
  readonly client: string;
  readonly done: (answer: Answer) => void;
}

export interface Counters {
  questions: number;
  cached: number;
  stale: number;
  blocked: number;
  failed: number;
  bogus: number;
  refused: number;
  asks: number;
  timeouts: number;
  suspicious: number;
  refreshed: number;
}

interface Asking {
  readonly token: number;
  readonly ask: Ask;
  readonly job: Job;
}

interface Pending {
  readonly question: Question;
  readonly steps: Finding[];
  answered: boolean;
}

type Due = { readonly token: number } | { readonly pending: Pending; readonly stale: boolean };

const UDP_BYTES = 1_232;
const ATTEMPTS = 2;
/** What failed to validate is asked again no sooner. */
const BOGUS_SECONDS = 30;
/** The TTL of a stale answer (RFC 8767 §5). */
const STALE_SECONDS = 30;

export class Resolver {
  readonly cache: Cache;
  readonly denials: Denials;
  readonly counters: Counters = {
    ...{ questions: 0, cached: 0, stale: 0, blocked: 0, failed: 0, bogus: 0, refused: 0 },
    ...{ asks: 0, timeouts: 0, suspicious: 0, refreshed: 0 },
  };
  now: Instant = 0;
  /** Seconds since 1970. */
  wall = 0;
  private readonly settings: ResolverSettings;
  private readonly outside: Outside;
  private readonly servers: Servers;
  private readonly delegations: Delegations;
  private readonly dice: Dice;
  private readonly jobs: Jobs;
  private readonly finder: Finder;
  private readonly judge: Judge;
  private readonly asking = new Map<number, Asking>();
  private readonly deadlines = new Deadlines<Due>();
  private readonly byClient = new Map<string, number>();
  private readonly message = new Message();
  private readonly writer = new MessageWriter();
  private readonly query = new Uint8Array(512);
  private pendingCount = 0;
  private tokens = 0;
  private serial = 0;
  private readonly ownZones: ReadonlySet<string>;

  constructor(settings: ResolverSettings, outside: Outside, entropy: Entropy, bug: (error: unknown) => void) {
    this.settings = settings;
    this.outside = outside;
    const { bound } = settings;
    const secret = new Uint8Array(32);
    entropy.fill(secret);
    this.cache = new Cache(bound.cacheBytes, bound.staleMs);
    this.denials = new Denials(bound.denials);
    this.servers = new Servers(bound.servers, secret);
    this.delegations = new Delegations(bound.delegations);
    this.dice = new Dice(entropy);
    this.jobs = new Jobs((ask, job) => this.sendAsk(ask, job), bug);
    this.finder = new Finder(settings, this.parts());
    this.judge = new Judge(settings, this.parts());
    const root = { zone: ROOT_NAME, key: '', until: Number.POSITIVE_INFINITY };
    this.delegations.fix({ ...root, servers: settings.roots, forward: null });
    for (const { zone, to } of settings.forward)
      this.delegations.fix({ zone, key: keyOf(zone), servers: [], until: root.until, forward: to });
    this.ownZones = new Set(settings.forward.map(({ zone }) => keyOf(zone)).filter((key) => key !== ''));
  }

  /** What finder and judge may use: this resolver, at its present time. */
  private parts() {
    const self = this;
    const { cache, servers, delegations, dice } = this;
    return {
      ...{ cache, servers, delegations, dice },
      get now() {
        return self.now;
      },
      get wall() {
        return self.wall;
      },
      lookup: (name: Buffer, type: number, job: Job) => self.lookup(name, type, job),
      delegated: (finding: Finding, job: Job) => self.delegated(finding, job),
    };
  }

  /** How many questions are worked on. */
  get pending(): number {
    return this.pendingCount;
  }

  get due(): Instant {
    return this.deadlines.next;
  }

  private at(clock: Clock): void {
    this.now = clock.now;
    this.wall = Math.floor(clock.wall / 1_000);
  }

  /** Answers a question, at once when it is known, else as soon as it is, within its time. */
  ask(question: Question, clock: Clock): void {
    this.at(clock);
    this.counters.questions++;
    const known = this.known(question);
    if (known !== null) {
      this.counters.cached++;
      question.done(known);
      return;
    }
    const { bound } = this.settings;
    const mine = this.byClient.get(question.client) ?? 0;
    if (this.pendingCount >= bound.questions || mine >= bound.questionsPerClient) {
      this.counters.refused++;
      question.done(this.staleAnswer(question) ?? failure(EDE.OTHER));
      return;
    }
    this.byClient.set(question.client, mine + 1);
    this.pendingCount++;
    const pending: Pending = { question, steps: [], answered: false };
    const budget = new Budget(bound, this.now);
    const job = new Job(`question ${this.serial++}`, budget, 0, (own) => this.follow(pending, own));
    this.deadlines.add(this.now + bound.questionMs, { pending, stale: false });
    if (this.canBeStale(question)) this.deadlines.add(this.now + bound.staleAfterMs, { pending, stale: true });
    this.jobs.start(job);
  }

  /** Bytes that came for a query. They are borrowed. */
  arrived(token: number, bytes: Uint8Array, start: number, end: number, clock: Clock): void {
    this.at(clock);
    const asking = this.asking.get(token);
    if (asking === undefined) return;
    const { ask } = asking;
    const heard = ask.hear(this.message, bytes, start, end);
    if (heard === null) return;
    if (heard === 'suspicious') this.counters.suspicious++;
    if (typeof heard !== 'string') ask.server.answered(this.now - ask.sentAt, this.now);
    this.settle(asking, heard);
  }

  /** A query could not be carried. */
  failed(token: number, clock: Clock): void {
    this.at(clock);
    const asking = this.asking.get(token);
    if (asking === undefined) return;
    asking.ask.server.timedOut(this.now, asking.ask.sentAt);
    this.settle(asking, 'lost');
  }

  tick(clock: Clock): void {
    this.at(clock);
    for (let due = this.deadlines.take(this.now); due !== null; due = this.deadlines.take(this.now)) {
      if ('token' in due) this.expire(due.token);
      else this.hurry(due.pending, due.stale);
    }
  }

  private expire(token: number): void {
    const asking = this.asking.get(token);
    if (asking === undefined) return;
    this.counters.timeouts++;
    asking.ask.server.timedOut(this.now, asking.ask.sentAt);
    this.settle(asking, 'timeout');
  }

  /** A client has waited long: something stale is better than nothing, and nothing better than waiting on (RFC 8767 §5). */
  private hurry(pending: Pending, stale: boolean): void {
    if (pending.answered) return;
    const answer = this.staleAnswer(pending.question);
    if (answer !== null) this.answer(pending, answer);
    else if (!stale) this.answer(pending, failure(EDE.NO_REACHABLE_AUTHORITY));
  }

  private settle({ token, ask, job }: Asking, result: unknown): void {
    this.asking.delete(token);
    ask.server.waiting--;
    this.outside.drop(token);
    this.jobs.resume(job, result);
  }

  private sendAsk(ask: Ask, job: Job): void {
    const { bound } = this.settings;
    const token = ++this.tokens;
    const timeout = ask.carrier === 'udp' ? Math.min(ask.server.timeout, bound.askMsMost) : bound.streamMs;
    ask.sentAt = this.now;
    ask.deadline = Math.min(this.now + timeout, job.budget.until);
    const size = writeQuery(this.writer, this.query, ask.id, ask.name, ask.type, {
      ...{ recursion: ask.recursion, edns: ask.edns, udpBytes: UDP_BYTES, cookie: ask.cookie },
    });
    this.counters.asks++;
    ask.server.waiting++;
    this.asking.set(token, { token, ask, job });
    this.deadlines.add(ask.deadline, { token });
    this.outside.send(token, ask.server.point, ask.carrier, copyOf(this.query, 0, size));
  }

  // ---- one name and type -------------------------------------------------------------------------------------------

  /** What is known without asking; null when it is not. */
  private peek(name: Buffer, key: string, type: number, forClient: boolean): Finding | null {
    const found = this.cache.find(key, type, this.now) ?? this.denials.find(name, key, type, this.now);
    // That there is no DS, as a referral tells it, comes without SOA: enough for us, and no answer for others (RFC 2308 §5).
    if (forClient && found?.kind === 'nodata' && found.soa === null && found.proofs.length > 0) return null;
    if (found !== null && this.cache.wantsRefresh(found, this.now)) this.refresh(found);
    return found;
  }

  private refresh(finding: Finding): void {
    const { name, key } = finding;
    const type = finding.kind === 'alias' ? TYPE.CNAME : finding.type;
    if (finding.kind === 'nxdomain' || this.jobs.find(placeOf(key, type)) !== undefined) return;
    if (this.pendingCount >= this.settings.bound.questions) return;
    this.counters.refreshed++;
    this.jobs.start(this.finding(name, key, type, new Budget(this.settings.bound, this.now), 0));
  }

  private finding(name: Buffer, key: string, type: number, budget: Budget, depth: number): Job {
    return new Job(placeOf(key, type), budget, depth, (job) => this.findOut(name, key, type, job));
  }

  /** What is known of a name and type, found out if need be; equal lookups are one. */
  private *lookup(name: Buffer, type: number, job: Job, forClient = false): Work<Finding> {
    const key = keyOf(name);
    const known = this.special(name, key, type) ?? this.peek(name, key, type, forClient);
    if (known !== null) return known;
    let other = this.jobs.find(placeOf(key, type));
    if (other === undefined) {
      if (job.depth >= this.settings.bound.depth)
        return this.finder.failed(name, key, type, ROOT_NAME, EDE.NO_REACHABLE_AUTHORITY);
      other = this.finding(name, key, type, job.budget, job.depth + 1);
      this.jobs.start(other);
    }
    const found = (yield other) as Finding | null;
    return found ?? this.finder.failed(name, key, type, ROOT_NAME, EDE.NO_REACHABLE_AUTHORITY);
  }

  private *findOut(name: Buffer, key: string, type: number, job: Job): Work<Finding> {
    const attempt: Attempt = { avoid: new Set(), last: null };
    let wrong: { readonly said: Finding; readonly verdict: Verdict } | null = null;
    for (let round = 1; ; round++) {
      const said = yield* this.finder.find(name, key, type, job, attempt);
      if (said.kind === 'failed') return wrong === null ? this.keep(said) : this.keep(wrong.said, wrong.verdict);
      const verdict = yield* this.judge.judge(said, job);
      // One bad server, or one forged packet, must not spoil a zone: another is asked.
      if (verdict.security !== BOGUS || round >= ATTEMPTS || attempt.last === null) return this.keep(said, verdict);
      attempt.avoid.add(attempt.last);
      wrong = { said, verdict };
    }
  }

  private *delegated(said: Finding, job: Job): Work<void> {
    if (this.cache.find(said.key, TYPE.DS, this.now) !== null) return;
    const verdict = yield* this.judge.judge(said, job);
    if (verdict.security === SECURE || verdict.security === INSECURE) this.keep(said, verdict);
  }

  private keep(said: Finding, verdict: Verdict | null = null): Finding {
    let finding = said;
    if (verdict !== null) {
      const { security, ede } = verdict;
      const bogus = security === BOGUS;
      const ttl = Math.min(said.ttl, verdict.ttl, bogus ? BOGUS_SECONDS : Number.POSITIVE_INFINITY);
      // What is not proved is not shown as a proof.
      const proofs = security === SECURE || verdict.zone !== null ? verdict.proofs : said.proofs;
      const zone = verdict.zone ?? said.zone;
      finding = { ...said, security, ede, ttl: bogus ? Math.max(1, ttl) : ttl, proofs, zone };
      if (bogus) this.counters.bogus++;
      if (security === SECURE && finding.soa !== null && finding.kind !== 'data')
        this.denials.learn(zone, finding.soa, proofs, ttl, this.now);
    }
    if (finding.ttl > 0) this.cache.put(finding);
    return finding;
  }

  // ---- a client's question -----------------------------------------------------------------------------------------

  private *follow(pending: Pending, job: Job): Work<null> {
    const { question, steps } = pending;
    let { name } = question;
    for (let alias = 0; alias <= this.settings.bound.aliases; alias++) {
      const blocked = this.blocked(name, keyOf(name), question.type);
      const found = blocked ?? (yield* this.lookup(name, question.type, job, true));
      steps.push(found);
      if (found.kind !== 'alias' || found.set === null) break;
      name = found.set.data[0]!;
    }
    if (!pending.answered) {
      const answer = this.compose(question, steps, false);
      const stale = answer.rcode === RCODE.SERVFAIL ? this.staleAnswer(question) : null;
      this.answer(pending, stale ?? answer);
    }
    return null;
  }

  /** The whole answer, when nothing need be asked. */
  private known(question: Question): Answer | null {
    const steps: Finding[] = [];
    let { name } = question;
    for (let alias = 0; alias <= this.settings.bound.aliases; alias++) {
      const key = keyOf(name);
      const { type } = question;
      const found = this.blocked(name, key, type) ?? this.special(name, key, type) ?? this.peek(name, key, type, true);
      if (found === null) return null;
      steps.push(found);
      if (found.kind !== 'alias' || found.set === null) break;
      name = found.set.data[0]!;
    }
    return this.compose(question, steps, true);
  }

  private canBeStale(question: Question): boolean {
    return this.cache.stale(keyOf(question.name), question.type, this.now) !== null;
  }

  private staleAnswer(question: Question): Answer | null {
    const steps: Finding[] = [];
    let { name } = question;
    for (let alias = 0; alias <= this.settings.bound.aliases; alias++) {
      const found = this.cache.stale(keyOf(name), question.type, this.now);
      if (found === null || found.security === BOGUS) return null;
      steps.push(this.now < endOf(found) ? found : { ...found, ttl: STALE_SECONDS, since: this.now });
      if (found.kind !== 'alias' || found.set === null) break;
      name = found.set.data[0]!;
    }
    this.counters.stale++;
    const last = steps.at(-1)!;
    const answer = this.compose(question, steps, true);
    return { ...answer, stale: true, ede: last.kind === 'nxdomain' ? EDE.STALE_NXDOMAIN : EDE.STALE };
  }

  private compose({ checkingDisabled }: Question, steps: readonly Finding[], cached: boolean): Answer {
    const last = steps.at(-1)!;
    const security = Math.min(...steps.map((step) => step.security)) as Security;
    const ede = steps.find((step) => step.ede >= 0)?.ede ?? -1;
    const bad = steps.some((step) => step.kind === 'failed' || (step.security === BOGUS && !checkingDisabled));
    if (bad || last.kind === 'alias') {
      this.counters.failed++;
      return { rcode: RCODE.SERVFAIL, steps: [], security, ede: ede < 0 ? EDE.OTHER : ede, stale: false, cached };
    }
    const rcode = last.kind === 'nxdomain' ? RCODE.NXDOMAIN : RCODE.NOERROR;
    return { rcode, steps, security, ede, stale: false, cached };
  }

  private answer(pending: Pending, answer: Answer): void {
    pending.answered = true;
    this.pendingCount--;
    const { client, done } = pending.question;
    const left = (this.byClient.get(client) ?? 1) - 1;
    if (left > 0) this.byClient.set(client, left);
    else this.byClient.delete(client);
    done(answer);
  }

  // ---- what is answered here ---------------------------------------------------------------------------------------

  private blocked(name: Buffer, key: string, type: number): Finding | null {
    if (!this.settings.blocks.blocks(key)) return null;
    this.counters.blocked++;
    const to = this.settings.blockedTo;
    if (to === null) return this.made(name, key, type, 'nxdomain', null, EDE.BLOCKED);
    const size = type === TYPE.A ? 4 : type === TYPE.AAAA ? 16 : 0;
    const data = to.filter((one) => one.length === size);
    return this.made(name, key, type, data.length > 0 ? 'data' : 'nodata', data, EDE.BLOCKED);
  }

  private special(name: Buffer, key: string, type: number): Finding | null {
    if (type === TYPE.ANY) {
      const made = this.made(name, key, TYPE.HINFO, 'data', [HINFO_FOR_ANY], -1);
      return { ...made, type };
    }
    if (!this.settings.special) return null;
    const own = key.startsWith(LOCALHOST) ? localhost(key, type) : null;
    if (own !== null) return this.made(name, key, type, own.length > 0 ? 'data' : 'nodata', own, -1);
    const nowhere = nobodys(key);
    if (nowhere === null || this.isForwarded(key)) return null;
    return this.made(name, key, type, key === nowhere ? 'nodata' : 'nxdomain', null, -1);
  }

  private isForwarded(key: string): boolean {
    for (const zone of this.ownZones) if (key.startsWith(zone)) return true;
    return false;
  }

  private made(
    name: Buffer,
    key: string,
    type: number,
    kind: 'data' | 'nodata' | 'nxdomain',
    data: readonly Buffer[] | null,
    ede: number,
  ): Finding {
    const set = kind === 'data' ? { name, key, type, ttl: 60, data: [...data!], signatures: [] } : null;
    return {
      ...{ kind, name, key, type, zone: ROOT_NAME, security: INSECURE, set, from: null, soa: null, proofs: [] },
      ...{ ttl: 60, since: this.now, ede },
    };
  }

  /** Forgets a name and what is below it, or everything; answers how many findings went. */
  flush(name: Buffer): number {
    this.denials.flush();
    return this.cache.flush(keyOf(name));
  }
}

function failure(ede: number): Answer {
  return { rcode: RCODE.SERVFAIL, steps: [], security: INSECURE, ede, stale: false, cached: false };
}

function placeOf(key: string, type: number): string {
  return `${type} ${key}`;
}
