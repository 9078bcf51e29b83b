// The services of a server: which there are, and the calls that run. Sources (the server's own resources, a program's modules,
// upstreams) put theirs in and take them out; calls that run meanwhile end with what they began with.
import { type Caller, OPERATOR } from '../../core/caller.ts';
import { type Bound, bindLimits } from '../../core/limits.ts';
import type { Log } from '../../core/log.ts';
import type { Permissions } from '../../core/permissions.ts';
import { type Clock, NEVER } from '../../core/time.ts';
import { type Turn, Turned } from '../../core/turn.ts';
import { checkOf } from '../../formats/schema/check.ts';
import type { Violation } from '../../formats/schema/types.ts';
import {
  type Entry,
  LEAVING,
  ManyInputsCall,
  OneInputCall,
  type Runner,
  type RunningCall,
  type Share,
} from './calls.ts';
import type { Carrier } from './client.ts';
import type { Call, CallOptions, CallReceiver, Method, Service, Services } from './contract.ts';
import type { Described } from './define.ts';
import { SERVICE_LIMITS } from './limits.ts';
import { unmarked } from './modules.ts';
import { CODE_NAMES, type CodeName, type Detail, ServiceError, type Status } from './status.ts';

export interface CallFigures {
  readonly running: number;
  readonly open: number;
  readonly callers: number;
}

export interface ServicesOptions {
  readonly turn: Turn;
  readonly log: Log;
  readonly permissions: Permissions;
  readonly limits?: Readonly<Record<string, number>>;
}

/** Two services of one name. */
export class ServiceClash extends Error {
  constructor(name: string, source: string, other: string) {
    super(`${source} has the service ${name}, which ${other} has already: give one of them another package`);
    this.name = 'ServiceClash';
  }
}

/** The same bug is told once in this time, with how often it came. */
const BUG_MS = 10_000;

export class OpenServices extends Turned implements Services, Runner {
  readonly due: number = NEVER;
  epochNow = 0;
  all: ReadonlyMap<string, Service> = new Map();
  /** Calls whose handlers have not ended yet. */
  running = 0;
  private readonly turn: Turn;
  private readonly log: Log;
  private readonly permissions: Permissions;
  private readonly limits: Bound<typeof SERVICE_LIMITS>;
  private readonly sources = new Map<string, readonly Described[]>();
  private entries = new Map<Method, Entry>();
  private readonly listeners = new Set<() => void>();
  /** Begun in this turn; most of them are over when it ends. */
  private young: RunningCall[] = [];
  private readonly open = new Set<RunningCall>();
  private readonly shares = new Map<string, Share>();
  private readonly idle: Share[] = [];
  /** By the method's name; those of services that are gone are kept. */
  private readonly counted = new Map<string, Record<CodeName, number>>();
  private readonly bugs = new Map<string, { at: number; more: number }>();
  private leaving = false;

  constructor({ turn, log, permissions, limits }: ServicesOptions) {
    super();
    this.turn = turn;
    this.log = log;
    this.permissions = permissions;
    this.limits = bindLimits(SERVICE_LIMITS, limits);
  }

  get epoch(): number {
    return this.epochNow;
  }

  get inputsMax(): number {
    return this.limits.inputsMax;
  }

  /** Calls that wait for something, and callers that have any: for figures, and to see that none is left. */
  get figures(): CallFigures {
    return { running: this.running, open: this.open.size, callers: this.shares.size };
  }

  /** How many calls of each method ended how: `shop.v1.Orders/GetOrder`, and only what came to pass. */
  *ends(): Generator<readonly [name: string, code: CodeName, count: number]> {
    for (const [name, ends] of this.counted)
      for (const code of CODE_NAMES) if (ends[code] > 0) yield [name, code, ends[code]];
  }

  /** Calls from within this process, with the rights of whoever is given; nobody stands between. */
  carrier(caller: Caller): Carrier {
    return {
      kindOf: (service, method) => this.method(service, method)?.kind ?? null,
      begin: (service, method, options, receiver) =>
        this.begin(this.method(service, method)!, { ...options, caller, connection: 0 }, receiver),
    };
  }

  /** Takes a source's services in place of those that it had. Throws a `ServiceClash`, and nothing has changed then. */
  put(source: string, services: readonly Described[]): void {
    const names = new Set<string>();
    for (const { service } of services) {
      const other = [...this.sources].find(
        ([name, theirs]) => name !== source && theirs.some((each) => each.service.name === service.name),
      );
      if (other !== undefined) throw new ServiceClash(service.name, source, other[0]);
      if (names.has(service.name)) throw new ServiceClash(service.name, source, 'it');
      names.add(service.name);
    }
    if (services.length === 0) this.sources.delete(source);
    else this.sources.set(source, services);
    this.renew();
  }

  /** Takes a source's services out. */
  drop(source: string): void {
    if (this.sources.delete(source)) this.renew();
  }

  private renew(): void {
    const all = new Map<string, Service>();
    const entries = new Map<Method, Entry>();
    const described = [...this.sources.values()].flat();
    described.sort((one, two) => (one.service.name < two.service.name ? -1 : 1));
    for (const each of described) {
      all.set(each.service.name, each.service);
      for (const method of each.service.methods.values())
        entries.set(method, this.entries.get(method) ?? this.entryOf(each, method));
    }
    this.all = all;
    this.entries = entries;
    this.epochNow++;
    for (const listener of [...this.listeners]) listener();
  }

  private entryOf({ handlers }: Described, method: Method): Entry {
    const name = `${method.service.name}/${method.name}`;
    const handled = handlers.get(method.name);
    if (handled === undefined) throw new Error(`${name} has no handler`);
    const ends = this.counted.get(name) ?? noEnds();
    this.counted.set(name, ends);
    const { schema } = method.service;
    const checks = { checkInput: checkOf(schema, method.input), checkOutput: checkOf(schema, method.output) };
    return { ...handled, method, name, ...checks, ends };
  }

  method(service: string, method: string): Method | null {
    return this.all.get(service)?.methods.get(method) ?? null;
  }

  may(caller: Caller, method: Method): boolean {
    return this.allows(caller, method.service, `${method.service.name}/${method.name}`);
  }

  /** A resource asks for itself, by the rules for what is called for: nobody needs another rule to come by this way. */
  private allows(caller: Caller, { origin }: Service, name: string): boolean {
    return origin === 'resource' || this.permissions.may(caller, 'call', 'services', name);
  }

  changed(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => void this.listeners.delete(listener);
  }

  begin(method: Method, options: CallOptions, receiver: CallReceiver): Call {
    const entry = this.entries.get(method) ?? this.entries.get(this.method(method.service.name, method.name)!);
    const { caller } = options;
    const share = this.shareOf(caller);
    const refusal = this.refusalOf(entry, options, share);
    if (refusal !== null || entry === undefined) {
      if (entry !== undefined && refusal !== null) entry.ends[refusal.code]++;
      return refused(refusal ?? NO_METHOD, receiver);
    }
    const { clock } = this.turn;
    this.running++;
    share.calls++;
    const { kind } = entry.method;
    const call =
      kind === 'unary' || kind === 'server'
        ? new OneInputCall(this, entry, options, receiver, clock, share)
        : new ManyInputsCall(this, entry, options, receiver, clock, share);
    this.young.push(call);
    this.turn.touch(this);
    if (call instanceof ManyInputsCall) queueMicrotask(() => call.begin());
    return call;
  }

  private refusalOf(entry: Entry | undefined, { caller, timeoutMs }: CallOptions, share: Share): Status | null {
    if (entry === undefined) return NO_METHOD;
    if (this.leaving) return LEAVING;
    if (!this.allows(caller, entry.method.service, entry.name)) return deniedTo(caller);
    if (share.calls >= this.limits.callsPerCallerMax && caller !== OPERATOR) return TOO_MANY_OF_ONE;
    if (this.running >= this.limits.callsMax) return TOO_MANY;
    return timeoutMs > 0 ? null : LATE_ALREADY;
  }

  private shareOf({ id, account }: Caller): Share {
    const key = id ?? account;
    const known = this.shares.get(key);
    if (known !== undefined) return known;
    const share: Share = { key, calls: 0, isIdle: false };
    this.shares.set(key, share);
    this.idles(share);
    return share;
  }

  /** Calls that outlive their turn are kept, with their deadline. */
  work(): void {
    const { young } = this;
    if (young.length > 0) {
      this.young = [];
      for (const call of young) if (!call.isOver) this.keep(call);
    }
    for (const share of this.idle.splice(0)) {
      share.isIdle = false;
      if (share.calls === 0) this.shares.delete(share.key);
    }
  }

  private keep(call: RunningCall): void {
    call.isKept = true;
    this.open.add(call);
    if (call.due !== NEVER) this.turn.touch(call);
  }

  tick(_clock: Clock): void {}

  ended(call: RunningCall): void {
    if (!call.isKept) return;
    this.open.delete(call);
    this.turn.forget(call);
  }

  settled(call: RunningCall): void {
    this.running--;
    call.share.calls--;
    if (call.share.calls === 0) this.idles(call.share);
  }

  private idles(share: Share): void {
    if (share.isIdle) return;
    share.isIdle = true;
    this.idle.push(share);
    this.turn.touch(this);
  }

  readonly epochOfRules = (): number => this.permissions.epoch;

  mayGoOn(call: RunningCall): Status | null {
    call.rulesEpoch = this.permissions.epoch;
    const { caller, entry } = call;
    return this.allows(caller, entry.method.service, entry.name) ? null : deniedTo(caller);
  }

  /** Rules or accounts have changed: calls of those who may no longer make them end. */
  recheck(stands: (caller: Caller) => boolean): void {
    for (const call of [...this.open]) {
      const refusal = stands(call.caller) ? this.mayGoOn(call) : REVOKED;
      if (refusal !== null) call.end(refusal);
    }
  }

  /** No new calls. Streams that have no deadline end now, all else within `drainMs`. */
  leave(drainMs: number): void {
    this.leaving = true;
    this.work();
    const { now } = this.turn.clock;
    for (const call of [...this.open]) {
      const isEndless = call.due === NEVER && call.entry.method.kind !== 'unary';
      if (isEndless) call.end(LEAVING);
      else {
        call.leave(now + drainMs);
        this.turn.touch(call);
      }
    }
  }

  /** Ends what is left. */
  close(): void {
    this.leaving = true;
    this.work();
    for (const call of [...this.open]) call.end(LEAVING);
    this.listeners.clear();
  }

  statusOf(error: unknown, entry: Entry): Status {
    const { name, code, message, details } = (error ?? {}) as Partial<ServiceError>;
    const isMeant = error instanceof ServiceError || (name === 'ServiceError' && error instanceof Error);
    if (isMeant && CODE_NAMES.includes(code as CodeName) && code !== 'OK')
      return { code: code!, message: message ?? '', details: this.detailsOf(details ?? [], entry) };
    this.tell(entry, error instanceof Error ? (error.stack ?? error.message) : String(error));
    return BROKEN;
  }

  /** Details that no protocol could write are left out, and told in the log. */
  private detailsOf(details: readonly Detail[], entry: Entry): Detail[] {
    const { schema } = entry.method.service;
    return details.flatMap(({ type, value }) => {
      if (type.startsWith('google.rpc.')) return [{ type, value }];
      const message = schema.types.get(type);
      const violations: Violation[] = [];
      if (message?.kind !== 'message')
        violations.push({ path: '', text: 'is no message of the service: name it in `types`' });
      const taken = message?.kind === 'message' ? checkOf(schema, message)(value, violations) : value;
      if (violations.length === 0) return [{ type, value: taken }];
      this.tell(entry, `the detail ${type} ${textOf(violations)}`);
      return [];
    });
  }

  wrongOutput(entry: Entry, violations: readonly Violation[]): Status {
    this.tell(entry, `what the handler answered is not what it says it does: ${textOf(violations)}`);
    return BROKEN;
  }

  bug(error: unknown): void {
    this.turn.bug(error, 'a call of a service');
  }

  private tell(entry: Entry, what: string): void {
    const { now } = this.turn.clock;
    const key = `${entry.name} ${what.slice(0, 200)}`;
    const known = this.bugs.get(key);
    if (known !== undefined && now - known.at < BUG_MS) {
      known.more++;
      return;
    }
    if (this.bugs.size >= 100) this.bugs.clear();
    this.bugs.set(key, { at: now, more: 0 });
    const { name, service } = entry.method;
    this.log.error(`a bug in the service ${service.name}`, {
      method: name,
      unsaid: known?.more ?? 0,
      stack: unmarked(what),
    });
  }
}

function noEnds(): Record<CodeName, number> {
  return Object.fromEntries(CODE_NAMES.map((code) => [code, 0])) as Record<CodeName, number>;
}

function textOf(violations: readonly Violation[]): string {
  return violations.map(({ path, text }) => (path === '' ? text : `${path}: ${text}`)).join('; ');
}

function status(code: CodeName, message: string): Status {
  return Object.freeze({ code, message, details: [] });
}

const NO_METHOD = status('UNIMPLEMENTED', 'there is no such method');
const BROKEN = status('INTERNAL', 'the service failed; the log of its server says more');
const TOO_MANY = status('RESOURCE_EXHAUSTED', 'the server has too many calls at once');
const TOO_MANY_OF_ONE = status('RESOURCE_EXHAUSTED', 'you have too many calls at once');
const LATE_ALREADY = status('DEADLINE_EXCEEDED', 'the deadline has passed');
const REVOKED = status('UNAUTHENTICATED', 'you may no longer be here: sign in again');
const DENIED = status('PERMISSION_DENIED', 'you may not call this');
const NOBODY = status('UNAUTHENTICATED', 'sign in first');

function deniedTo({ account, id }: Caller): Status {
  return account === '' && (id === undefined || id === '') ? NOBODY : DENIED;
}

/** A call that ends before it began: not from within `begin`. */
function refused(why: Status, receiver: CallReceiver): Call {
  let isOver = false;
  queueMicrotask(() => {
    if (isOver) return;
    isOver = true;
    receiver.end(why, []);
  });
  return {
    room: 1,
    send() {},
    finish() {},
    more() {},
    cancel() {
      isOver = true;
    },
  };
}
